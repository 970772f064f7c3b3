/**
 * The one place where state changes. Actions make a new `Snapshot` and tell the listeners how much of the picture
 * it touches; nothing is drawn here. Panels read `store.snapshot` and call `store.actions`.
 */
import type { WindowNo } from '../units/time';
import type { InvalidateLevel } from './invalidate';
import type { Layer, Palette } from './settings';
import type { Cursor, Measure, Snapshot } from './snapshot';

export interface TransportActions {
  play(): void;
  pause(): void;
  toggle(): void;
  /** 0.1 .. 1000 or 'max'. */
  setSpeed(speed: number | 'max'): void;
  /** While paused: n windows on, or back for n < 0. Pauses first when playing. */
  step(windows: number): void;
  /** Show the half hour that ends at `window` and go on from there. Clamped to the day. */
  seek(window: WindowNo): void;
}

export interface ViewActions {
  /** Move the picture by CSS pixels; locks it (no following). */
  pan(dx: number, dy: number): void;
  /** factor > 1 shows more detail; the point under the CSS pixel stays. */
  zoomPrice(factor: number, cssY: number): void;
  zoomTime(factor: number, cssX: number): void;
  /** Minutes across, room ahead not counted. */
  setMinutes(minutes: number): void;
  setHalfTicks(halfTicks: number): void;
  /** Follow head and mid again. */
  recentre(): void;
  /** Show another stretch without moving the transport, for example from a list of alerts; locks the picture. */
  lookAt(window: WindowNo, ticks?: number): void;
}

export interface LookActions {
  setLayer(layer: Layer, opacity: number): void;
  setPalette(palette: Palette): void;
  setContrast(contrast: number): void;
  setRoomSeconds(seconds: number): void;
  setCursor(cursor: Cursor | null): void;
  setMeasure(measure: Measure | null): void;
  /** A sentence for the person in front of the page; null takes it away. */
  setNotice(notice: string | null): void;
}

export type Actions = TransportActions & ViewActions & LookActions;

export type Listener = (level: InvalidateLevel) => void;

export interface Store {
  readonly snapshot: Snapshot;
  readonly actions: Actions;
  /** Called after every change, possibly many times per frame; returns the way to stop it. Panels need not. */
  subscribe(listener: Listener): () => void;
}
