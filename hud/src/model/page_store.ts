/**
 * The store of the page: holds the parts of a snapshot, changes them, and says how much of the picture a change
 * touches. Time is an argument (`animate`); whatever needs the service goes through the `TransportPort`.
 */
import type { Tick } from '../units/price';
import type { WindowNo } from '../units/time';
import {
  clampPriceScale, clampTimeScale, easeStep, leftOfHead, openingSpan, scaleOfHalfTicks, scaleOfMinutes, tidyScale, topOfCentre,
  wantedTop,
} from './follow';
import { History, type WindowBlock, type WindowRow } from './history';
import { InvalidateLevel } from './invalidate';
import { DEFAULT_SETTINGS, type Layer, type Palette, type Settings } from './settings';
import type {
  Connection, Cursor, DayOverview, Measure, Opening, ReferenceLevel, Snapshot, Source, Transport,
} from './snapshot';
import type { Actions, Listener, Store, TransportActions } from './store';
import { Viewport } from './viewport';

/** Steps that lie close together are one step: a mid that left the free third is followed until it is centred. */
interface Glide {
  readonly target: number;
  readonly sinceMs: number;
}

type Mutable = { -readonly [K in keyof Snapshot]: Snapshot[K] };

export class PageStore implements Store {
  readonly history = new History();
  readonly actions: Actions;
  private readonly listeners = new Set<Listener>();
  private parts: Mutable;
  private port: TransportActions | null = null;
  private view = new Viewport({
    widthPx: 1, heightPx: 1, dpr: 1, pxPerTick: 6, pxPerSecond: 1, leftPx: 0, topPx: 0, followTime: true, followPrice: true,
  });
  private opening: Opening = {};
  private sized = false;
  private centred = false;
  private glide: Glide | null = null;

  constructor() {
    this.parts = {
      stage: 'loading',
      error: null,
      source: null,
      connection: {
        link: 'connecting', lostSinceMs: null, windowsReceived: 0, windowsDropped: 0, gapCount: 0, reconnects: 0, notice: null,
      },
      transport: {
        clock: 'private', playing: true, speed: 1, position: Number.NaN as WindowNo, seeking: null, ended: false,
      },
      history: this.history,
      day: null,
      levels: [],
      viewport: this.view,
      settings: DEFAULT_SETTINGS,
      cursor: null,
      measure: null,
      renderer: 'webgl2',
    };
    this.actions = this.makeActions();
  }

  get snapshot(): Snapshot {
    return this.parts;
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Whoever drives the service takes the transport's commands. */
  connectTransport(port: TransportActions): void {
    this.port = port;
  }

  /** What a link asks for; before the first picture. */
  open(opening: Opening): void {
    this.opening = opening;
    if (opening.settings) {
      const layers = { ...this.parts.settings.layers, ...opening.settings.layers };
      this.change({ settings: { ...this.parts.settings, ...opening.settings, layers } }, InvalidateLevel.Full);
    }
  }

  // ---- what the session reports

  setSource(source: Source): void { this.change({ source }, InvalidateLevel.Full); }
  setDay(day: DayOverview | null): void { this.change({ day }, InvalidateLevel.Full); }
  setLevels(levels: readonly ReferenceLevel[]): void { this.change({ levels }, InvalidateLevel.Full); }
  setRenderer(renderer: Snapshot['renderer']): void { this.change({ renderer }, InvalidateLevel.Full); }
  setError(error: string | null): void {
    if (error !== this.parts.error) this.change({ error }, InvalidateLevel.Light);
  }
  fail(error: string): void { this.change({ stage: 'failed', error }, InvalidateLevel.Full); }
  setConnection(changes: Partial<Connection>): void {
    this.change({ connection: { ...this.parts.connection, ...changes } }, InvalidateLevel.Light);
  }
  setTransport(changes: Partial<Transport>): void {
    this.change({ transport: { ...this.parts.transport, ...changes } }, InvalidateLevel.Light);
  }

  /** A half hour, oldest first, in place of whatever was held. */
  loadHistory(rows: readonly WindowRow[]): void {
    this.history.clear();
    for (const row of rows) this.history.push(row);
    this.arrived(rows.length, InvalidateLevel.Full);
  }

  /** The newest part of a half hour, in place of whatever was held. */
  loadBlock(block: WindowBlock): void {
    this.history.load(block);
    this.arrived(block.windows.length, InvalidateLevel.Full);
  }

  /** The older part of it, behind what is shown. */
  fillBlock(block: WindowBlock): void {
    this.history.fill(block);
    this.arrived(block.windows.length, InvalidateLevel.Light);
  }

  /** One second more. */
  pushWindow(row: WindowRow): void {
    this.history.push(row);
    this.arrived(1, InvalidateLevel.Light);
  }

  /** Show an earlier second at once, from what is held. */
  rewind(window: WindowNo): void {
    this.history.rewind(window);
    this.arrived(0, InvalidateLevel.Full);
  }

  private arrived(count: number, level: InvalidateLevel): void {
    const { connection, transport, stage } = this.parts;
    this.parts = {
      ...this.parts,
      connection: { ...connection, windowsReceived: connection.windowsReceived + count },
      transport: { ...transport, position: this.history.head },
      stage: stage === 'loading' && !this.history.isEmpty ? 'ready' : stage,
    };
    if (!this.centred && !this.history.isEmpty) this.placeView();
    else this.followHead();
    if (level === InvalidateLevel.Full) this.jumpToMid();
    this.emit(level);
  }

  // ---- the view

  /** The heatmap has another size; keeps the scale, or makes the opening view the first time. */
  resize(widthPx: number, heightPx: number, dpr: number): void {
    if (widthPx < 1 || heightPx < 1) return;
    const old = this.view;
    if (!this.sized) {
      this.sized = true;
      const span = { ...openingSpan(widthPx / dpr, heightPx / dpr), ...pick(this.opening) };
      this.view = old.with({
        widthPx, heightPx, dpr,
        pxPerTick: scaleOfHalfTicks(span.halfTicks, heightPx, dpr),
        pxPerSecond: scaleOfMinutes(span.minutes, widthPx, this.parts.settings.roomSeconds, dpr),
      });
    } else {
      const zoom = dpr / old.dpr;
      const right = old.rightSecond;
      const centre = (old.topTicks + old.bottomTicks) / 2;
      const scaled = old.with({
        widthPx, heightPx, dpr, pxPerTick: old.pxPerTick * zoom, pxPerSecond: old.pxPerSecond * zoom,
      });
      this.view = scaled.with({
        leftPx: right * scaled.pxPerSecond - widthPx, topPx: topOfCentre(scaled, centre),
      });
    }
    this.glide = null;
    if (!this.history.isEmpty && !this.centred) this.placeView();
    else this.followHead();
    this.show(this.view);
  }

  /** First placing: the head with room ahead, the mid in the middle, or what the link asked for. */
  private placeView(): void {
    if (!this.sized) return;
    this.centred = true;
    const { centrePriceInt, rightSecond } = this.opening;
    const tick = this.parts.source?.tick as Tick | undefined;
    let view = this.view.with({ topPx: topOfCentre(this.view, this.midNow()) });
    view = view.with({ leftPx: leftOfHead(view, this.history.head, this.parts.settings.roomSeconds) });
    if (centrePriceInt !== undefined && tick) {
      const centre = Number(centrePriceInt) / Number(tick.int);
      view = view.with({ topPx: topOfCentre(view, centre), followPrice: false });
    }
    if (rightSecond !== undefined) {
      view = view.with({ leftPx: rightSecond * view.pxPerSecond - view.widthPx, followTime: false });
    }
    this.view = view;
    this.parts.viewport = view;
  }

  private followHead(): void {
    if (this.history.isEmpty || !this.centred) return;
    if (this.view.followTime) {
      const leftPx = leftOfHead(this.view, this.history.head, this.parts.settings.roomSeconds);
      this.view = this.view.with({ leftPx });
      this.parts.viewport = this.view;
    }
    const target = wantedTop(this.view, this.midNow());
    if (target !== this.view.topPx && this.glide === null) this.glide = { target, sinceMs: Number.NaN };
    else if (this.glide !== null) this.glide = { ...this.glide, target: topOfCentre(this.view, this.midNow()) };
  }

  /** After a jump in time the picture is where it belongs at once. */
  private jumpToMid(): void {
    if (this.glide === null) return;
    this.view = this.view.with({ topPx: this.glide.target });
    this.parts.viewport = this.view;
    this.glide = null;
  }

  /** Ease towards the mid. `nowMs` is the frame's time. Returns whether another frame is needed. */
  animate(nowMs: number): boolean {
    if (this.glide === null) return false;
    const { target, sinceMs } = this.glide;
    if (Number.isNaN(target) || !this.view.followPrice || target === this.view.topPx) {
      this.glide = null;
      return false;
    }
    const topPx = easeStep(this.view.topPx, target, Number.isNaN(sinceMs) ? 16 : nowMs - sinceMs);
    this.glide = topPx === target ? null : { target, sinceMs: nowMs };
    this.show(this.view.with({ topPx }));
    return this.glide !== null;
  }

  /** Mid of the head; the last spot held where the book has no mid. */
  private midNow(): number {
    const { history } = this;
    for (let w = history.head; w > history.head - 120 && w >= history.oldest; w = (w - 1) as WindowNo) {
      const slot = history.slotOf(w);
      if (slot < 0) continue;
      const mid = history.mid[slot]!;
      if (!Number.isNaN(mid)) return mid;
      if (!Number.isNaN(history.spot[slot]!)) return history.spot[slot]!;
    }
    return Number.NaN;
  }

  private show(view: Viewport): void {
    this.view = view;
    this.change({ viewport: view }, InvalidateLevel.Full);
  }

  // ---- actions

  private makeActions(): Actions {
    const port = (use: (port: TransportActions) => void): void => { if (this.port) use(this.port); };
    return {
      play: () => port((p) => p.play()),
      pause: () => port((p) => p.pause()),
      toggle: () => port((p) => p.toggle()),
      setSpeed: (speed) => port((p) => p.setSpeed(speed)),
      step: (windows) => port((p) => p.step(windows)),
      seek: (window) => port((p) => p.seek(window)),
      pan: (dx, dy) => {
        const { view } = this;
        this.glide = null;
        this.show(view.with({
          leftPx: view.leftPx - Math.round(dx * view.dpr), topPx: view.topPx - Math.round(dy * view.dpr),
          followTime: dx === 0 && view.followTime, followPrice: dy === 0 && view.followPrice,
        }));
      },
      zoomPrice: (factor, cssY) => this.zoomPrice(factor, cssY),
      zoomTime: (factor, cssX) => this.zoomTime(factor, cssX),
      setMinutes: (minutes) => {
        const { view } = this;
        const right = view.rightSecond;
        const pxPerSecond = scaleOfMinutes(minutes, view.widthPx, this.parts.settings.roomSeconds, view.dpr);
        this.view = view.with({ pxPerSecond, leftPx: right * pxPerSecond - view.widthPx });
        this.followHead();
        this.show(this.view);
      },
      setHalfTicks: (halfTicks) => {
        const { view } = this;
        const centre = (view.topTicks + view.bottomTicks) / 2;
        const scaled = view.with({ pxPerTick: scaleOfHalfTicks(halfTicks, view.heightPx, view.dpr) });
        this.glide = null;
        this.show(scaled.with({ topPx: topOfCentre(scaled, centre) }));
      },
      recentre: () => {
        this.glide = null;
        this.view = this.view.with({ followTime: true, followPrice: true });
        if (!this.history.isEmpty) {
          const mid = this.midNow();
          if (!Number.isNaN(mid)) this.view = this.view.with({ topPx: topOfCentre(this.view, mid) });
        }
        this.followHead();
        this.show(this.view);
      },
      lookAt: (window, ticks) => {
        const { view } = this;
        this.glide = null;
        this.show(view.with({
          leftPx: window * view.pxPerSecond - view.widthPx / 2, followTime: false,
          ...(ticks === undefined ? {} : { topPx: topOfCentre(view, ticks), followPrice: false }),
        }));
      },
      setLayer: (layer: Layer, opacity: number) => this.setting({
        layers: { ...this.parts.settings.layers, [layer]: Math.min(1, Math.max(0, opacity)) },
      }),
      setPalette: (palette: Palette) => this.setting({ palette }),
      setContrast: (contrast) => this.setting({ contrast: Math.min(1, Math.max(0, contrast)) }),
      setRoomSeconds: (seconds) => {
        this.setting({ roomSeconds: Math.min(300, Math.max(0, seconds)) });
        this.followHead();
        this.show(this.view);
      },
      setCursor: (cursor: Cursor | null) => {
        if (cursor !== this.parts.cursor) this.change({ cursor }, InvalidateLevel.Cursor);
      },
      setMeasure: (measure: Measure | null) => this.change({ measure }, InvalidateLevel.Cursor),
      setNotice: (notice) => this.setConnection({ notice }),
    };
  }

  private zoomPrice(factor: number, cssY: number): void {
    const { view } = this;
    const wanted = clampPriceScale(view.pxPerTick * factor, view.dpr);
    let pxPerTick = tidyScale(wanted);
    // a step of the wheel that the rounding would swallow still moves by one pixel
    if (pxPerTick === view.pxPerTick && factor > 1) pxPerTick = clampPriceScale(Math.floor(pxPerTick) + 1, view.dpr);
    const anchor = view.followPrice ? view.heightPx / 2 : cssY * view.dpr;
    const ticks = -(view.topPx + anchor) / view.pxPerTick;
    this.glide = null;
    this.show(view.with({ pxPerTick, topPx: -ticks * pxPerTick - anchor }));
  }

  private zoomTime(factor: number, cssX: number): void {
    const { view } = this;
    const pxPerSecond = clampTimeScale(view.pxPerSecond * factor, view.dpr);
    const second = (view.leftPx + cssX * view.dpr) / view.pxPerSecond;
    this.view = view.with({ pxPerSecond, leftPx: second * pxPerSecond - cssX * view.dpr });
    this.followHead();
    this.show(this.view);
  }

  private setting(changes: Partial<Settings>): void {
    this.change({ settings: { ...this.parts.settings, ...changes } }, InvalidateLevel.Full);
  }

  private change(changes: Partial<Snapshot>, level: InvalidateLevel): void {
    this.parts = { ...this.parts, ...changes };
    this.emit(level);
  }

  private emit(level: InvalidateLevel): void {
    for (const listener of this.listeners) listener(level);
  }
}

/** Span of an opening, where it names one. */
function pick(opening: Opening): { minutes?: number; halfTicks?: number } {
  return {
    ...(opening.minutes === undefined ? {} : { minutes: opening.minutes }),
    ...(opening.halfTicks === undefined ? {} : { halfTicks: opening.halfTicks }),
  };
}
