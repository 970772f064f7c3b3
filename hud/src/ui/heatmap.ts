/** The heatmap: field, overlay and cursor canvases, and the pointer on them. */
import { InvalidateLevel } from '../model/invalidate';
import { HISTORY_WINDOWS } from '../model/history';
import { Made } from '../model/made';
import type { PageStore } from '../model/page_store';
import type { Measure, Snapshot } from '../model/snapshot';
import { CanvasField } from '../render/field_canvas';
import type { FieldFrame, FieldRenderer } from '../render/field';
import { WebGlField } from '../render/field_webgl';
import { FrameStrips } from '../render/frame_strips';
import { Overlay } from '../render/overlay';
import { buildLut, COLOURS } from '../render/palette';
import { shownPart } from '../render/strip';
import type { Panel, PanelContext } from './panel';

/** One notch of the wheel, and the least distance of a drag in CSS pixels. */
const WHEEL_ZOOM = 1.2;
const DRAG_FROM = 3;
/** Shaders that still compile are asked for again after this. */
const ASK_EVERY_MS = 8;

export class Heatmap implements Panel {
  readonly id = 'heatmap';
  private context!: PanelContext;
  private field!: FieldRenderer;
  private readonly overlay = new Overlay();
  private over!: CanvasRenderingContext2D;
  private cursor!: CanvasRenderingContext2D;
  private readonly painted = new Made();
  private readonly lutMade = new Made();
  private readonly strips = new FrameStrips();
  private names!: CanvasRenderingContext2D;
  private uploadedVersion = -1;
  private uploadedJumps = -1;
  private uploadedHead = Number.NaN;
  private uploadedOldest = Number.NaN;
  private asking = 0;
  private readonly cursorMade = new Made();

  /**
   * @param wanted `canvas2d` uses the Canvas2D renderer although there is a GPU, `webgl2` takes WebGL2 without one too
   *   (`?renderer=`); null: WebGL2 on a GPU, else Canvas2D
   */
  constructor(private readonly store: PageStore, private readonly wanted: string | null) {}

  /** The renderer, for tests and for saving a picture. */
  get renderer(): FieldRenderer {
    return this.field;
  }

  /** RGBA of lines, dots and names over the field, upper row first: for tests. */
  readOverlay(): Uint8ClampedArray {
    const { widthPx, heightPx } = this.store.snapshot.viewport;
    const whole = document.createElement('canvas');
    whole.width = widthPx;
    whole.height = heightPx;
    const context = whole.getContext('2d')!;
    for (const { canvas } of [this.over, this.names]) context.drawImage(canvas, -shownPart(canvas).x, 0);
    return context.getImageData(0, 0, widthPx, heightPx).data;
  }

  mount(host: HTMLElement, context: PanelContext): void {
    this.context = context;
    this.field = this.makeField(host);
    this.store.setRenderer(this.field.kind);
    this.over = layer(host, 'heatmap-overlay');
    this.names = layer(host, 'heatmap-names');
    this.cursor = layer(host, 'heatmap-cursor');
    new ResizeObserver((entries) => {
      const dpr = window.devicePixelRatio || 1;
      const box = entries.at(-1)!.contentRect;
      this.store.resize(Math.round(box.width * dpr), Math.round(box.height * dpr), dpr);
    }).observe(host);
    this.listen(host);
  }

  private makeField(host: HTMLElement): FieldRenderer {
    if (this.wanted !== 'canvas2d') {
      const canvas = addCanvas(host, 'heatmap-field');
      try {
        return new WebGlField(canvas, this.wanted === 'webgl2');
      } catch (error) {
        console.info(`drawing with Canvas2D: ${String(error)}`);
        canvas.remove(); // a canvas that once was asked for WebGL gives no 2d context
      }
    }
    return new CanvasField(addCanvas(host, 'heatmap-field'));
  }

  draw(level: InvalidateLevel): void {
    const state = this.context.store.snapshot;
    if (state.viewport.widthPx < 2) return;
    // another screen, or the browser's zoom: the size in CSS pixels may stay the same
    const dpr = window.devicePixelRatio || 1;
    if (dpr !== state.viewport.dpr) {
      const zoom = dpr / state.viewport.dpr;
      this.store.resize(Math.round(state.viewport.widthPx * zoom), Math.round(state.viewport.heightPx * zoom), dpr);
      return;
    }
    if (!this.isFieldReady()) return;
    this.fit(state);
    if (level >= InvalidateLevel.Light && this.hasChanged(state)) {
      const jumped = this.drawField(state);
      this.overlay.draw(this.over, state, jumped);
      this.overlay.drawNames(this.names, state);
    }
    const { viewport, cursor, measure, history, settings } = state;
    if (!this.cursorMade.isFrom(viewport, cursor, measure, history.version, settings.layers.spot)) this.overlay.drawCursor(this.cursor, state);
  }

  /** Whether the field can be drawn now; else it is asked again soon. A field that fails late makes room for the other. */
  private isFieldReady(): boolean {
    try {
      if (this.field.isReady()) return true;
    } catch (error) {
      console.info(`drawing with Canvas2D: ${String(error)}`);
      const canvas = document.createElement('canvas');
      canvas.className = 'heatmap-field';
      document.querySelector('.heatmap-field')!.replaceWith(canvas);
      this.field = new CanvasField(canvas);
      this.store.setRenderer(this.field.kind);
      return true;
    }
    if (this.asking === 0) {
      this.asking = window.setTimeout(() => {
        this.asking = 0;
        this.context.redraw(InvalidateLevel.Full);
      }, ASK_EVERY_MS);
    }
    return false;
  }

  /** Whether the picture differs from the one painted: panels ask for frames too when their numbers arrive. */
  private hasChanged({ viewport, settings, source, day, levels, history }: Snapshot): boolean {
    return !this.painted.isFrom(viewport, settings, source, day, levels, history.version);
  }

  private fit(state: Snapshot): void {
    const { widthPx, heightPx } = state.viewport;
    for (const { canvas } of [this.names, this.cursor]) {
      if (canvas.width !== widthPx || canvas.height !== heightPx) {
        canvas.width = widthPx;
        canvas.height = heightPx;
      }
    }
  }

  /** Returns whether the history jumped. */
  private drawField(state: Snapshot): boolean {
    const { settings, source } = state;
    const bounds = source?.wallBounds ?? { q05: 1, q95: 4 };
    if (!this.lutMade.isFrom(this.field, settings.palette, settings.contrast, bounds.q05, bounds.q95)) {
      this.field.setLut(buildLut(settings.palette, bounds, settings.contrast));
    }
    const jumped = this.uploadChanged(state);
    this.field.draw(fieldFrame(state, this.strips));
    return jumped;
  }

  /** Upload what arrived since the last frame: seconds one by one, or everything after a jump; whether more than later seconds came. */
  private uploadChanged(state: Snapshot): boolean {
    const { history } = state;
    if (history.version === this.uploadedVersion) return false;
    const seconds = history.head - this.uploadedHead;
    const later = history.jumps === this.uploadedJumps && seconds < HISTORY_WINDOWS / 2;
    if (later) {
      const slots: number[] = [];
      for (let w = history.oldest; w < this.uploadedOldest; w++) slots.push(w % HISTORY_WINDOWS);
      for (let w = this.uploadedHead + 1; w <= history.head; w++) slots.push(w % HISTORY_WINDOWS);
      this.field.upload(history, slots);
    } else {
      this.field.upload(history, 'all');
    }
    this.uploadedVersion = history.version;
    this.uploadedJumps = history.jumps;
    this.uploadedHead = history.head;
    const filled = history.oldest < this.uploadedOldest;
    this.uploadedOldest = history.oldest;
    return !later || filled;
  }

  // ---- pointer

  private listen(host: HTMLElement): void {
    const { actions } = this.context.store;
    let drag: { x: number; y: number; moved: boolean; measuring: boolean } | null = null;
    const at = (event: PointerEvent | WheelEvent): { x: number; y: number } => {
      const box = host.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const place = ({ x, y }: { x: number; y: number }): Measure['from'] => {
      const { viewport } = this.context.store.snapshot;
      return { window: viewport.windowAt(x), ticks: viewport.ticksAt(y) };
    };
    host.addEventListener('wheel', (event) => {
      event.preventDefault();
      // shift turns the wheel sideways in some browsers
      const delta = event.deltaY || event.deltaX;
      if (delta === 0) return;
      const factor = delta < 0 ? WHEEL_ZOOM : 1 / WHEEL_ZOOM;
      const { x, y } = at(event);
      if (event.shiftKey || event.deltaX !== 0) actions.zoomTime(factor, x);
      else actions.zoomPrice(factor, y);
    }, { passive: false });
    host.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      host.setPointerCapture(event.pointerId);
      const point = at(event);
      const measuring = event.shiftKey;
      drag = { ...point, moved: false, measuring };
      if (measuring) actions.setMeasure({ from: place(point), to: place(point) });
      else if (this.context.store.snapshot.measure) actions.setMeasure(null);
    });
    host.addEventListener('pointermove', (event) => {
      const point = at(event);
      actions.setCursor({ ...place(point), ...point });
      if (!drag) return;
      if (drag.measuring) {
        const { measure } = this.context.store.snapshot;
        if (measure) actions.setMeasure({ from: measure.from, to: place(point) });
        return;
      }
      if (!drag.moved && Math.hypot(point.x - drag.x, point.y - drag.y) < DRAG_FROM) return;
      // whole device pixels; what is left over belongs to the next move, so that the picture stays under the pointer
      const { dpr } = this.context.store.snapshot.viewport;
      const dx = Math.round((point.x - drag.x) * dpr) / dpr;
      const dy = Math.round((point.y - drag.y) * dpr) / dpr;
      actions.pan(dx, dy);
      drag = { x: drag.x + dx, y: drag.y + dy, moved: true, measuring: false };
    });
    const drop = (): void => { drag = null; };
    host.addEventListener('pointerup', drop);
    host.addEventListener('pointercancel', drop);
    host.addEventListener('pointerleave', () => { if (!drag) actions.setCursor(null); });
    host.addEventListener('dblclick', () => actions.recentre());
  }
}

/** What the field renderer needs of a state; its strips are those of the newest frame only. */
export function fieldFrame(state: Snapshot, strips: FrameStrips): FieldFrame {
  const { viewport, settings, source, history } = state;
  const { layers } = settings;
  const columns = strips.columnsFor(viewport, history);
  return {
    widthPx: viewport.widthPx,
    heightPx: viewport.heightPx,
    dpr: viewport.dpr,
    leftPx: viewport.leftPx,
    topPx: viewport.topPx,
    key: lookKey(viewport, settings),
    columns,
    fresh: strips.fresh,
    rows: strips.rowsFor(viewport, source ? Math.round(1 / source.tick.points) : 4),
    opacity: layers,
    warm: COLOURS[settings.palette].warm,
  };
}

/** Everything that decides how the field and its lines look; made anew only when it changed. */
function lookKey({ pxPerTick, pxPerSecond }: Snapshot['viewport'], settings: Snapshot['settings']): string {
  if (pxPerTick !== look.pxPerTick || pxPerSecond !== look.pxPerSecond || settings !== look.settings) {
    const key = [pxPerTick, pxPerSecond, settings.palette, ...Object.values(settings.layers)].join();
    look = { pxPerTick, pxPerSecond, settings, key };
  }
  return look.key;
}
let look: { readonly pxPerTick: number; readonly pxPerSecond: number; readonly settings: Snapshot['settings'] | null; readonly key: string } = {
  pxPerTick: Number.NaN, pxPerSecond: Number.NaN, settings: null, key: '',
};

function addCanvas(host: HTMLElement, name: string): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.className = name;
  host.append(canvas);
  return canvas;
}

function layer(host: HTMLElement, name: string): CanvasRenderingContext2D {
  const context = addCanvas(host, name).getContext('2d');
  if (!context) throw new Error('the browser gives no 2d canvas; the picture cannot be drawn');
  return context;
}
