/**
 * A panel: one part of the page with a host element of its own.
 *
 * Life of a panel: `mount` once, when the page opens (there is no data yet), then `draw` whenever something changed,
 * at most once per frame and only then, with the highest level that changed since the last frame. A panel that a
 * level does not concern returns at once. A panel never draws on its own and never starts an animation loop; when
 * it has fetched something it calls `context.redraw(level)`.
 */
import type { InvalidateLevel } from '../model/invalidate';
import type { Store } from '../model/store';
import type { HudApi } from '../wire/api';

/** Host elements of index.html: `<div id="panel-...">`. */
export type PanelId =
  | 'heatmap' | 'transport' | 'minimap'
  | 'badges' | 'readout' | 'price-axis' | 'time-axis' | 'ladder' | 'profile' | 'gamma'
  | 'flow' | 'delta' | 'scores' | 'explain' | 'crosshair' | 'alerts' | 'legend' | 'help' | 'notice';

export interface PanelContext {
  readonly store: Store;
  readonly api: HudApi;
  /** Ask for a frame. */
  redraw(level: InvalidateLevel): void;
}

export interface Panel {
  readonly id: PanelId;
  mount(host: HTMLElement, context: PanelContext): void;
  /** `store.snapshot` holds what to show. Reading the clock of the browser is for animation only. */
  draw(level: InvalidateLevel): void;
}
