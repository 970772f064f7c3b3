/** The field in plain TypeScript: fallback without WebGL2, and oracle of the shader. Order as in `field.frag`. */
import type { HistoryView } from '../model/history';
import { HISTORY_WINDOWS } from '../model/history';
import { GEX_NEUTRAL, HUD_ROWS, SIDE_ASK, SPOT_ROW } from '../model/planes';
import { spotTick, type FieldFrame, type FieldPlane, type FieldRenderer } from './field';
import * as look from './look';
import type { Rgb } from './look';
import { Torus, wrap, type Rect } from './torus';

/** What one pixel shows, pooled over its cells. */
interface Sample {
  core: number;
  fog: number;
  side: number;
  fogSide: number;
  vacuum: number;
  gex: number;
  imbalance: number;
  hole: number;
}

export class CanvasField implements FieldRenderer {
  readonly kind = 'canvas2d';
  private readonly context: CanvasRenderingContext2D;
  private lut: Uint8Array = new Uint8Array(look.LUT_ROWS * 256 * 4);
  private history: HistoryView | null = null;
  private readonly spots = new Int32Array(HISTORY_WINDOWS).fill(look.NO_SPOT);
  private readonly torus = new Torus();
  private image: ImageData | null = null;

  /** @throws Error when the browser gives no 2d context. */
  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d', { alpha: false });
    if (!context) throw new Error('the browser gives no 2d canvas; the picture cannot be drawn');
    this.context = context;
  }

  setLut(lut: Uint8Array): void {
    this.lut = lut;
    this.torus.invalidate();
  }

  upload(history: HistoryView, slots: readonly number[] | 'all'): void {
    this.history = history;
    this.torus.changed(slots);
    const changed = slots === 'all' ? this.spots.keys() : slots;
    for (const slot of changed) this.spots[slot] = spotTick(history, slot, look.NO_SPOT);
  }

  draw(frame: FieldFrame): void {
    const { widthPx, heightPx } = frame;
    if (this.canvas.width !== widthPx || this.canvas.height !== heightPx || !this.image) {
      this.canvas.width = widthPx;
      this.canvas.height = heightPx;
      this.image = this.context.createImageData(widthPx, heightPx);
      this.torus.invalidate();
    }
    const { image, history, torus } = this;
    if (!history) return;
    for (const rect of torus.update(frame)) {
      paintField(image.data, rect, torus, frame, history, this.spots, this.lut);
    }
    // the torus unrolled: up to four pieces
    const left = wrap(frame.leftPx, widthPx);
    const top = wrap(frame.topPx, heightPx);
    for (const [x, w, dx] of [[left, widthPx - left, -left], [0, left, widthPx - left]] as const) {
      for (const [y, h, dy] of [[top, heightPx - top, -top], [0, top, heightPx - top]] as const) {
        if (w > 0 && h > 0) this.context.putImageData(image, dx, dy, x, y, w, h);
      }
    }
  }

  readPixels(): Uint8ClampedArray {
    return this.context.getImageData(0, 0, this.canvas.width, this.canvas.height).data;
  }

  readTexels(plane: FieldPlane, slot: number): Uint8Array {
    const bytes = this.history?.planes[plane] ?? new Uint8Array(0);
    return bytes.slice(slot * HUD_ROWS, (slot + 1) * HUD_ROWS);
  }
}

/** The strips of a frame in the order in which its pixels lie. */
export interface Strips {
  readonly widthPx: number;
  readonly columns: Int32Array;
  readonly rows: Int32Array;
}

/** Paint the pixels of a rectangle as RGBA, upper row first, into `out` (width x height x 4 bytes). No canvas needed. */
export function paintField(
  out: Uint8ClampedArray, rect: Rect, strips: Strips, frame: Pick<FieldFrame, 'opacity' | 'warm'>, history: HistoryView,
  spots: Int32Array, lut: Uint8Array,
): void {
  const { widthPx, columns, rows } = strips;
  const { opacity } = frame;
  const { planes } = history;
  const core = planes.wall_core_u8;
  const fog = planes.wall_fog_u8;
  const vacuum = planes.vacuum_u8;
  const gexAbs = planes.gex_abs_u8;
  const gexImbalance = planes.gex_imbalance_u8;
  const sides = planes.side_u8;
  const holes = planes.hole_u8;
  const color: [number, number, number] = [0, 0, 0];
  const s: Sample = { core: 0, fog: 0, side: 0, fogSide: 0, vacuum: 0, gex: 0, imbalance: GEX_NEUTRAL, hole: 0 };

  const mix = (r: number, g: number, b: number, a: number): void => {
    color[0] += (r - color[0]) * a;
    color[1] += (g - color[1]) * a;
    color[2] += (b - color[2]) * a;
  };
  const mixRgb = (rgb: Rgb, a: number): void => mix(rgb[0], rgb[1], rgb[2], a);
  const mixLut = (row: number, u8: number, a: number): void => {
    const at = (row * 256 + u8) * 4;
    mix(lut[at]!, lut[at + 1]!, lut[at + 2]!, (lut[at + 3]! / 255) * a);
  };
  const luma = (): number => color[0] * look.LUMA[0] + color[1] * look.LUMA[1] + color[2] * look.LUMA[2];
  /** Byte of the hole plane at a tick, 0 outside the plane. */
  const holeAt = (slot: number, tick: number): number => {
    const row = tick - spots[slot]! + SPOT_ROW;
    return row < 0 || row >= HUD_ROWS ? 0 : holes[slot * HUD_ROWS + row]!;
  };

  for (let y = rect.y0; y < rect.y1; y++) {
    const tick0 = rows[4 * y]!;
    const ticks = rows[4 * y + 1]!;
    const rowBits = rows[4 * y + 2]!;
    const offY = rows[4 * y + 3]! & 0xffff;
    const cellH = rows[4 * y + 3]! >> 16;
    const rowPhase = (rowBits >> look.ROW_PHASE_SHIFT) & 15;
    for (let x = rect.x0; x < rect.x1; x++) {
      const slot0 = columns[4 * x]!;
      const windows = columns[4 * x + 1]!;
      const colBits = columns[4 * x + 2]!;
      const offX = columns[4 * x + 3]! & 0xffff;
      const cellW = columns[4 * x + 3]! >> 16;
      const colPhase = (colBits >> look.COL_PHASE_SHIFT) & 15;
      const noData = (colBits & look.COL_NO_DATA) !== 0;
      const hatched = ((colPhase + rowPhase) & 7) < 2;

      const ground = noData ? look.NO_DATA : look.BACKGROUND;
      color[0] = ground[0]; color[1] = ground[1]; color[2] = ground[2];
      const down = rowBits & look.ROW_FIVE_POINTS ? look.GRID_FIVE : rowBits & look.ROW_POINT ? look.GRID_TICK : 0;
      const across = colBits & look.COL_LANDMARK ? look.GRID_LANDMARK
        : colBits & look.COL_FIVE_MINUTES ? look.GRID_FIVE_MINUTES : colBits & look.COL_MINUTE ? look.GRID_MINUTE : 0;
      mixRgb(look.GRID, Math.max(down, across) * opacity.grid);

      if (noData) {
        if (hatched) mixRgb(look.HATCH, look.HATCH_NO_DATA);
      } else if (slot0 >= 0) {
        s.core = s.fog = s.side = s.fogSide = s.vacuum = s.gex = s.hole = 0;
        s.imbalance = GEX_NEUTRAL;
        let cells = 0;
        for (let k = 0; k < windows; k++) {
          const slot = (slot0 + k) % HISTORY_WINDOWS;
          const base = slot * HUD_ROWS;
          for (let t = 0; t < ticks; t++) {
            const row = tick0 + t - spots[slot]! + SPOT_ROW;
            if (row < 0 || row >= HUD_ROWS) continue;
            const i = base + row;
            cells++;
            const side = sides[i]!;
            if (core[i]! > s.core) { s.core = core[i]!; s.side = side; }
            if (fog[i]! > s.fog) { s.fog = fog[i]!; s.fogSide = side; }
            s.vacuum += vacuum[i]!;
            if (gexAbs[i]! > s.gex) { s.gex = gexAbs[i]!; s.imbalance = gexImbalance[i]!; }
            if (holes[i]! > s.hole) s.hole = holes[i]!;
          }
        }
        if (s.gex > 0) {
          const row = s.imbalance >= GEX_NEUTRAL ? look.LUT_CALL : look.LUT_PUT;
          if (opacity.gammaBands > 0) mixLut(row, s.gex, opacity.gammaBands * look.GAMMA_BAND);
          if (rowBits & look.ROW_CENTRE && (colPhase & 7) < 4) mixLut(row, s.gex, opacity.gamma);
        }
        const gap = cellH >= look.GAP_FROM && offY === cellH - 1 ? look.GAP_OPACITY : 1;
        if (s.fog > 0) {
          const weave = (colPhase + rowPhase) & 1 ? look.FOG_WEAVE : 1;
          mixLut(s.fogSide === SIDE_ASK ? look.LUT_ASK_FOG : look.LUT_BID_FOG, s.fog, opacity.fog * weave * gap);
        }
        if (s.core > 0) mixLut(s.side === SIDE_ASK ? look.LUT_ASK : look.LUT_BID, s.core, opacity.walls * gap);
        if (s.vacuum > 0 && opacity.erosion > 0) {
          const strength = s.vacuum / (255 * cells);
          const height = cellH < 3 ? cellH : Math.ceil(cellH * look.NOTCH_SHARE);
          const ask = (s.core > 0 ? s.side : s.fogSide) === SIDE_ASK;
          if (ask ? offY >= cellH - height : offY < height) {
            const light = luma() / (frame.warm[0] * look.LUMA[0] + frame.warm[1] * look.LUMA[1] + frame.warm[2] * look.LUMA[2]);
            const share = strength ** look.NOTCH_POWER * opacity.erosion;
            mix(
              Math.min(255, frame.warm[0] * light), Math.min(255, frame.warm[1] * light),
              Math.min(255, frame.warm[2] * light), share,
            );
          }
        }
        if (s.hole > 0 && opacity.holes > 0) {
          let line = look.HOLE_SMALL;
          if (ticks === 1 && cellH >= 3) {
            const edge = (offY === 0 && holeAt(slot0, tick0 + 1) === 0) || (offY === cellH - 1 && holeAt(slot0, tick0 - 1) === 0)
              || (windows === 1 && offX === 0 && holeAt((slot0 + HISTORY_WINDOWS - 1) % HISTORY_WINDOWS, tick0) === 0)
              || (windows === 1 && offX === cellW - 1 && holeAt((slot0 + 1) % HISTORY_WINDOWS, tick0) === 0);
            line = edge ? look.HOLE_LINE : 0;
          }
          mixRgb(look.HOLE, line * opacity.holes);
        }
        if (colBits & look.COL_INVALID) {
          const grey = luma() * look.GREY_LIGHT;
          mix(grey, grey, grey, look.GREY_MIX);
          if (hatched) mixRgb(look.HATCH, look.HATCH_MIX);
        }
      }
      const at = (y * widthPx + x) * 4;
      out[at] = color[0]; out[at + 1] = color[1]; out[at + 2] = color[2]; out[at + 3] = 255;
    }
  }
}
