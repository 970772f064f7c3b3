/** What is open on the page, and what the commands of keys and buttons do. */
import { InvalidateLevel } from '../model/invalidate';
import { PALETTES, type Layer } from '../model/settings';
import type { Ticks } from '../units/price';
import type { WindowNo } from '../units/time';
import { bookmarkUrl } from './bookmarks';
import type { Command } from './keymap';
import type { PanelContext } from './panel';

export type DrawerId = 'explain' | 'legend' | 'alerts';
const DRAWERS: readonly DrawerId[] = ['explain', 'legend', 'alerts'];

const SPEEDS: readonly (number | 'max')[] = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 1000, 'max'];
const PAN_SHARE = 0.1;
const ZOOM_STEP = 1.25;
const CONTRAST_STEP = 0.05;

const LAYER_KEYS: Partial<Record<Command, Layer>> = {
  walls: 'walls', fog: 'fog', erosion: 'erosion', holes: 'holes', trades: 'trades', gamma: 'gamma', gamma_bands: 'gammaBands',
  vwap: 'vwap', levels: 'levels',
};

export class Desk {
  /** The crosshair stands where keys put it and not under the pointer. */
  keyboardCursor = false;
  /** The far corner of the measure follows the crosshair. */
  measuring = false;
  /** Somebody asked for the picture; the frame that draws it saves it. */
  savePicture = false;
  private readonly open = new Set<DrawerId>();
  private readonly opacity = new Map<Layer, number>();
  private opener: Element | null = null;

  constructor(private readonly page: PanelContext) {}

  isOpen(drawer: DrawerId): boolean {
    return this.open.has(drawer);
  }

  /** Opens or closes; legend and alerts share a place, so one of them is open at most. */
  setOpen(drawer: DrawerId, on: boolean): void {
    const host = hostOf(drawer);
    if (on === this.open.has(drawer)) return;
    if (on) {
      if (drawer !== 'explain') for (const other of ['legend', 'alerts'] as const) if (other !== drawer) this.setOpen(other, false);
      this.opener = document.activeElement;
      this.open.add(drawer);
      host.hidden = false;
      if (drawer !== 'explain') host.querySelector<HTMLElement>('button, input, select')?.focus();
    } else {
      this.open.delete(drawer);
      const inside = host.contains(document.activeElement);
      host.hidden = true;
      if (inside && this.opener instanceof HTMLElement) this.opener.focus();
    }
    this.page.redraw(InvalidateLevel.Full);
  }

  run(command: Command): void {
    const { actions, snapshot } = this.page.store;
    const { transport, viewport, settings, source } = snapshot;
    const layer = LAYER_KEYS[command];
    if (layer !== undefined) return this.toggleLayer(layer);
    const [width, height] = [viewport.widthPx / viewport.dpr, viewport.heightPx / viewport.dpr];
    switch (command) {
      case 'toggle': return actions.toggle();
      case 'step_back': return actions.step(-1);
      case 'step_on': return actions.step(1);
      case 'minute_back': return this.seekBy(-60);
      case 'minute_on': return this.seekBy(60);
      case 'slower': return actions.setSpeed(nextSpeed(transport.speed, -1));
      case 'faster': return actions.setSpeed(nextSpeed(transport.speed, 1));
      case 'realtime': return actions.setSpeed(1);
      case 'to_start': return source === null ? undefined : actions.seek(source.firstWindow);
      case 'to_end': return source === null ? undefined : actions.seek(source.lastWindow);
      case 'goto': return document.querySelector<HTMLInputElement>('#panel-transport input')?.focus();
      case 'recentre': return actions.recentre();
      case 'minutes_5': return actions.setMinutes(5);
      case 'minutes_10': return actions.setMinutes(10);
      case 'minutes_30': return actions.setMinutes(30);
      case 'price_in': return actions.zoomPrice(ZOOM_STEP, height / 2);
      case 'price_out': return actions.zoomPrice(1 / ZOOM_STEP, height / 2);
      case 'time_in': return actions.zoomTime(ZOOM_STEP, width / 2);
      case 'time_out': return actions.zoomTime(1 / ZOOM_STEP, width / 2);
      case 'price_up': return actions.pan(0, height * PAN_SHARE);
      case 'price_down': return actions.pan(0, -height * PAN_SHARE);
      case 'pan_back': return actions.pan(width * PAN_SHARE, 0);
      case 'pan_on': return actions.pan(-width * PAN_SHARE, 0);
      case 'crosshair': return this.toggleKeyboardCursor();
      case 'measure': return this.toggleMeasure();
      case 'explain': case 'legend': case 'alerts': return this.setOpen(command, !this.open.has(command));
      case 'palette': return actions.setPalette(PALETTES[(PALETTES.indexOf(settings.palette) + 1) % PALETTES.length]!);
      case 'contrast_up': return actions.setContrast(settings.contrast + CONTRAST_STEP);
      case 'contrast_down': return actions.setContrast(settings.contrast - CONTRAST_STEP);
      case 'picture':
        this.savePicture = true;
        return this.page.redraw(InvalidateLevel.Full);
      case 'link': return void this.copyLink();
      case 'help': return this.toggleHelp();
      case 'close': return this.close();
    }
  }

  private seekBy(seconds: number): void {
    const { actions, snapshot: { transport } } = this.page.store;
    const from = transport.seeking ?? transport.position;
    if (!Number.isNaN(from)) actions.seek((from + seconds) as WindowNo);
  }

  /** Off, and on again with the opacity it had. */
  private toggleLayer(layer: Layer): void {
    const { actions, snapshot: { settings } } = this.page.store;
    const now = settings.layers[layer];
    if (now > 0) this.opacity.set(layer, now);
    actions.setLayer(layer, now > 0 ? 0 : this.opacity.get(layer) ?? 1);
  }

  private toggleHelp(): void {
    const help = document.getElementById('panel-help') as HTMLDialogElement;
    if (help.open) help.close();
    else help.showModal();
  }

  /** Whatever is in front goes first. */
  private close(): void {
    const { actions, snapshot } = this.page.store;
    if (this.measuring || snapshot.measure !== null) {
      this.measuring = false;
      actions.setMeasure(null);
    } else if (this.keyboardCursor) this.toggleKeyboardCursor();
    else for (const drawer of DRAWERS) if (this.open.has(drawer)) return this.setOpen(drawer, false);
  }

  // ---- crosshair and measure

  private toggleKeyboardCursor(): void {
    const { actions, snapshot: { viewport, history } } = this.page.store;
    this.keyboardCursor = !this.keyboardCursor;
    if (!this.keyboardCursor) return actions.setCursor(null);
    const slot = history.slotOf(history.head);
    const ticks = slot >= 0 && !Number.isNaN(history.spot[slot]!)
      ? history.spot[slot]! : (viewport.topTicks + viewport.bottomTicks) / 2;
    if (!history.isEmpty) this.placeCursor(history.head, Math.round(ticks));
  }

  placeCursor(window: number, ticks: number): void {
    const { actions, snapshot: { viewport } } = this.page.store;
    actions.setCursor({
      window: window as WindowNo, ticks: ticks as Ticks, x: viewport.xOfSecond(window - 0.5), y: viewport.yOfTicks(ticks),
    });
  }

  /** An arrow key while the crosshair is the keyboard's. Windows and ticks to move. */
  moveCursor(windows: number, ticks: number): void {
    const { history, cursor } = this.page.store.snapshot;
    if (cursor === null) return;
    const window = Math.min(history.head, Math.max(history.oldest, cursor.window + windows));
    this.placeCursor(window, cursor.ticks + ticks);
  }

  toggleMeasure(): void {
    const { actions, snapshot: { cursor, measure } } = this.page.store;
    if (this.measuring) {
      this.measuring = false;
      return this.page.redraw(InvalidateLevel.Cursor);
    }
    if (measure !== null) return actions.setMeasure(null);
    if (cursor === null) return actions.setNotice('To measure, point at the picture (or press X for a crosshair) and press M.');
    this.measuring = true;
    const corner = { window: cursor.window, ticks: cursor.ticks };
    actions.setMeasure({ from: corner, to: corner });
  }

  // ---- link

  private async copyLink(): Promise<void> {
    const { store } = this.page;
    const url = bookmarkUrl(store);
    history.replaceState(null, '', url);
    try {
      await navigator.clipboard.writeText(url);
      store.actions.setNotice('Copied a link to this second and view.');
    } catch {
      store.actions.setNotice('The browser gives no clipboard here; the address bar holds the link.');
    }
  }
}

function nextSpeed(speed: number | 'max', step: 1 | -1): number | 'max' {
  const value = speed === 'max' ? Infinity : speed;
  const number = (s: number | 'max'): number => (s === 'max' ? Infinity : s);
  if (step > 0) return SPEEDS.find((s) => number(s) > value) ?? 'max';
  return [...SPEEDS].reverse().find((s) => number(s) < value) ?? SPEEDS[0]!;
}

export function hostOf(drawer: DrawerId): HTMLElement {
  return document.getElementById(`panel-${drawer}`)!;
}

const desks = new WeakMap<PanelContext, Desk>();

/** The one desk of a page. */
export function deskOf(page: PanelContext): Desk {
  let desk = desks.get(page);
  if (desk === undefined) {
    desk = new Desk(page);
    desks.set(page, desk);
  }
  return desk;
}
