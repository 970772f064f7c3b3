/**
 * The field: everything of the heatmap that is cells - grid, gamma, walls, erosion, holes, invalid seconds. Lines
 * and dots lie above it on a canvas of their own (`overlay.ts`).
 *
 * Two renderers paint it. `WebGlField` does it on the GPU; `CanvasField` does the same sums in plain TypeScript, is
 * the fallback where WebGL2 is missing, and the oracle the tests hold the other against: equal within one level.
 */
import type { HistoryView } from '../model/history';
import type { Rgb } from './look';

/** Planes the field reads, in texture order. */
export const FIELD_PLANES = [
  'wall_core_u8', 'wall_fog_u8', 'vacuum_u8', 'gex_abs_u8', 'gex_imbalance_u8', 'side_u8', 'hole_u8',
] as const;
export type FieldPlane = (typeof FIELD_PLANES)[number];

export interface FieldFrame {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Device pixels per CSS pixel. */
  readonly dpr: number;
  /** World pixel of the upper left corner. */
  readonly leftPx: number;
  readonly topPx: number;
  /** Everything but place and data that decides how pixels look: scale, colours, opacities. */
  readonly key: string;
  /** From `columnsOf` and `rowsOf`: four integers per pixel. */
  readonly columns: Int32Array;
  readonly rows: Int32Array;
  /** Columns that may differ from those of the frame before at the same pixels of the world; null: all. */
  readonly fresh: readonly (readonly [from: number, to: number])[] | null;
  readonly opacity: FieldOpacity;
  readonly warm: Rgb;
}

export interface FieldOpacity {
  readonly grid: number;
  readonly gamma: number;
  readonly gammaBands: number;
  readonly walls: number;
  readonly fog: number;
  readonly erosion: number;
  readonly holes: number;
}

export interface FieldRenderer {
  readonly kind: 'webgl2' | 'canvas2d';
  /**
   * Whether `draw` would not wait; ask until it is true.
   * @throws Error when this renderer cannot be had after all
   */
  isReady(): boolean;
  /** Colours from `buildLut`. */
  setLut(lut: Uint8Array): void;
  /** Take over slots of the history that changed. */
  upload(history: HistoryView, slots: readonly number[] | 'all'): void;
  /** Paint a frame; resizes the canvas when needed. */
  draw(frame: FieldFrame): void;
  /** RGBA of the last frame, upper row first: for tests and for saving a picture. */
  readPixels(): Uint8ClampedArray;
  /** What the renderer holds of a plane at a slot: for tests. */
  readTexels(plane: FieldPlane, slot: number): Uint8Array;
}

/** Spot tick of a slot as both renderers use it: whole ticks. */
export function spotTick(history: HistoryView, slot: number, none: number): number {
  const spot = history.spot[slot]!;
  return Number.isNaN(spot) ? none : Math.round(spot);
}
