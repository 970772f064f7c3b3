/** The field in plain TypeScript: fallback without WebGL2, and oracle of the shader. Order as in `field.frag`. */
import type { HistoryView } from '../model/history';
import { HISTORY_WINDOWS } from '../model/history';
import { GEX_NEUTRAL, HUD_ROWS, SIDE_ASK, SPOT_ROW } from '../model/planes';
import { spotTick, type FieldFrame, type FieldPlane, type FieldRenderer } from './field';
import * as look from './look';
import type { Rgb } from './look';
import { placeStrip, Strip } from './strip';
import { Torus, wrap, type Rect } from './torus';

/** What the pixels of a row show, pooled over their cells; pixels of one cell share it. */
class Samples {
  core = new Uint8Array(0);
  fog = new Uint8Array(0);
  side = new Uint8Array(0);
  fogSide = new Uint8Array(0);
  gex = new Uint8Array(0);
  imbalance = new Uint8Array(0);
  hole = new Uint8Array(0);
  /** Mean of the vacuum bytes, 0 .. 1. */
  vacuum = new Float64Array(0);
  /** 1 where the colour depends on the cell and on grid lines alone: neighbours of the same cell have the same. */
  plain = new Uint8Array(0);
  /** 1 where a column shows the same windows and grid lines as the one before. */
  asBefore = new Uint8Array(0);

  /** Room for so many columns. */
  fit(width: number): void {
    if (this.core.length >= width) return;
    for (const name of ['core', 'fog', 'side', 'fogSide', 'gex', 'imbalance', 'hole', 'plain', 'asBefore'] as const) {
      this[name] = new Uint8Array(width);
    }
    this.vacuum = new Float64Array(width);
  }
}

const samples = new Samples();

export class CanvasField implements FieldRenderer {
  readonly kind = 'canvas2d';
  private readonly context: CanvasRenderingContext2D;
  private lut: Uint8Array = new Uint8Array(look.LUT_ROWS * 256 * 4);
  private history: HistoryView | null = null;
  private readonly spots = new Int32Array(HISTORY_WINDOWS).fill(look.NO_SPOT);
  private readonly torus = new Torus();
  private readonly strip = new Strip();
  private image: ImageData | null = null;
  private topPx = Number.NaN;

  /** @throws Error when the browser gives no 2d context. */
  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d', { alpha: false });
    if (!context) throw new Error('the browser gives no 2d canvas; the picture cannot be drawn');
    this.context = context;
  }

  isReady(): boolean {
    return true;
  }

  setLut(lut: Uint8Array): void {
    this.lut = lut;
    this.torus.invalidate();
  }

  upload(history: HistoryView, slots: readonly number[] | 'all'): void {
    this.history = history;
    this.torus.changed(slots, history.planes.hole_u8);
    const changed = slots === 'all' ? this.spots.keys() : slots;
    for (const slot of changed) this.spots[slot] = spotTick(history, slot, look.NO_SPOT);
  }

  draw(frame: FieldFrame): void {
    const { widthPx, heightPx, leftPx, topPx, dpr } = frame;
    const { history, torus, strip } = this;
    if (!this.image || this.image.width !== widthPx || this.image.height !== heightPx) {
      this.image = this.context.createImageData(widthPx, heightPx);
      torus.invalidate();
    }
    const { image } = this;
    if (!history) return;
    const isMoved = strip.show(leftPx, widthPx) && topPx === this.topPx && this.canvas.height === heightPx;
    const rects = torus.update(frame);
    for (const rect of rects) paintField(image.data, rect, torus, frame, history, this.spots, this.lut);
    if (isMoved) {
      for (const rect of rects) this.put(rect, leftPx, topPx);
    } else {
      strip.restart(leftPx, widthPx);
      this.topPx = topPx;
      if (this.canvas.width !== strip.canvasPx || this.canvas.height !== heightPx) {
        this.canvas.width = strip.canvasPx;
        this.canvas.height = heightPx;
      }
      this.put({ x0: 0, x1: widthPx, y0: 0, y1: heightPx }, leftPx, topPx);
    }
    placeStrip(this.canvas, strip, widthPx, dpr);
  }

  /** Show pixels of the torus where the view has them: unrolled, up to four pieces. */
  private put(rect: Rect, leftPx: number, topPx: number): void {
    const image = this.image!;
    const { width, height } = image;
    const left = wrap(leftPx, width);
    const top = wrap(topPx, height);
    for (const [x0, x1, dx] of [[Math.max(rect.x0, left), rect.x1, -left], [rect.x0, Math.min(rect.x1, left), width - left]] as const) {
      for (const [y0, y1, dy] of [[Math.max(rect.y0, top), rect.y1, -top], [rect.y0, Math.min(rect.y1, top), height - top]] as const) {
        if (x1 > x0 && y1 > y0) this.context.putImageData(image, dx + this.strip.offsetPx, dy, x0, y0, x1 - x0, y1 - y0);
      }
    }
  }

  readPixels(): Uint8ClampedArray {
    const { width, height } = this.image ?? { width: 0, height: 0 };
    return this.context.getImageData(this.strip.offsetPx, 0, width, height).data;
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

/**
 * Paint the pixels of a rectangle as RGBA, upper row first, into `out` (width x height x 4 bytes). No canvas needed.
 *
 * A cell is several pixels wide and high, so cells are pooled once per row of cells, and a pixel that looks like its
 * neighbour is copied.
 */
export function paintField(
  out: Uint8ClampedArray, rect: Rect, strips: Strips, frame: Pick<FieldFrame, 'opacity' | 'warm'>, history: HistoryView,
  spots: Int32Array, lut: Uint8Array,
): void {
  const { widthPx, columns, rows } = strips;
  const { opacity } = frame;
  const holes = history.planes.hole_u8;
  const color: [number, number, number] = [0, 0, 0];
  const pixels = new Uint32Array(out.buffer, out.byteOffset, out.length >> 2);
  const s = samples;
  s.fit(rect.x1 - rect.x0);
  for (let x = rect.x0; x < rect.x1; x++) {
    const a = 4 * x;
    s.asBefore[x - rect.x0] = x > rect.x0 && columns[a] === columns[a - 4] && columns[a + 1] === columns[a - 3]
      && (columns[a + 2]! & COLUMN_LOOK) === (columns[a - 2]! & COLUMN_LOOK) ? 1 : 0;
  }

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

  let sampledTick = Number.NaN;
  let sampledTicks = 0;
  let lookBefore = -1;
  for (let y = rect.y0; y < rect.y1; y++) {
    const tick0 = rows[4 * y]!;
    const ticks = rows[4 * y + 1]!;
    const rowBits = rows[4 * y + 2]!;
    const offY = rows[4 * y + 3]! & 0xffff;
    const cellH = rows[4 * y + 3]! >> 16;
    const rowPhase = (rowBits >> look.ROW_PHASE_SHIFT) & 15;
    const down = rowBits & look.ROW_FIVE_POINTS ? look.GRID_FIVE : rowBits & look.ROW_POINT ? look.GRID_TICK : 0;
    const isGap = cellH >= look.GAP_FROM && offY === cellH - 1;
    const gap = isGap ? look.GAP_OPACITY : 1;
    // what a plain pixel of this row depends on, besides its cell
    const rowLook = (rowBits & (look.ROW_FIVE_POINTS | look.ROW_POINT)) * 2 + (isGap ? 1 : 0);
    const fresh = tick0 !== sampledTick || ticks !== sampledTicks;
    if (fresh) {
      sampleRow(rect, columns, tick0, ticks, history, spots);
      sampledTick = tick0;
      sampledTicks = ticks;
    }
    const asAbove = !fresh && rowLook === lookBefore;
    lookBefore = rowLook;
    for (let x = rect.x0; x < rect.x1; x++) {
      const i = x - rect.x0;
      const at = y * widthPx + x;
      if (s.plain[i] === 1) {
        if (asAbove) {
          pixels[at] = pixels[at - widthPx]!;
          continue;
        }
        if (s.asBefore[i] === 1) {
          pixels[at] = pixels[at - 1]!;
          continue;
        }
      }
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
      const across = colBits & look.COL_LANDMARK ? look.GRID_LANDMARK
        : colBits & look.COL_FIVE_MINUTES ? look.GRID_FIVE_MINUTES : colBits & look.COL_MINUTE ? look.GRID_MINUTE : 0;
      mixRgb(look.GRID, Math.max(down, across) * opacity.grid);

      if (noData) {
        if (hatched) mixRgb(look.HATCH, look.HATCH_NO_DATA);
      } else if (slot0 >= 0) {
        const [core, fog, gex, hole] = [s.core[i]!, s.fog[i]!, s.gex[i]!, s.hole[i]!];
        if (gex > 0) {
          const row = s.imbalance[i]! >= GEX_NEUTRAL ? look.LUT_CALL : look.LUT_PUT;
          if (opacity.gammaBands > 0) mixLut(row, gex, opacity.gammaBands * look.GAMMA_BAND);
          if (rowBits & look.ROW_CENTRE && (colPhase & 7) < 4) mixLut(row, gex, opacity.gamma);
        }
        if (fog > 0) {
          const weave = (colPhase + rowPhase) & 1 ? look.FOG_WEAVE : 1;
          mixLut(s.fogSide[i] === SIDE_ASK ? look.LUT_ASK_FOG : look.LUT_BID_FOG, fog, opacity.fog * weave * gap);
        }
        if (core > 0) mixLut(s.side[i] === SIDE_ASK ? look.LUT_ASK : look.LUT_BID, core, opacity.walls * gap);
        if (s.vacuum[i]! > 0 && opacity.erosion > 0) {
          const height = cellH < 3 ? cellH : Math.ceil(cellH * look.NOTCH_SHARE);
          const ask = (core > 0 ? s.side[i] : s.fogSide[i]) === SIDE_ASK;
          if (ask ? offY >= cellH - height : offY < height) {
            const light = luma() / (frame.warm[0] * look.LUMA[0] + frame.warm[1] * look.LUMA[1] + frame.warm[2] * look.LUMA[2]);
            const share = s.vacuum[i]! ** look.NOTCH_POWER * opacity.erosion;
            mix(
              Math.min(255, frame.warm[0] * light), Math.min(255, frame.warm[1] * light),
              Math.min(255, frame.warm[2] * light), share,
            );
          }
        }
        if (hole > 0 && opacity.holes > 0) {
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
      const byte = at * 4;
      out[byte] = color[0]; out[byte + 1] = color[1]; out[byte + 2] = color[2]; out[byte + 3] = 255;
    }
  }
}

/** Bits of a column that a plain pixel depends on. */
const COLUMN_LOOK = (1 << look.COL_PHASE_SHIFT) - 1;

/** Pools the cells of one row of pixels into `samples`; a column of the same windows as the one before takes over its values. */
function sampleRow(
  rect: Rect, columns: Int32Array, tick0: number, ticks: number, history: HistoryView, spots: Int32Array,
): void {
  const { planes } = history;
  const core = planes.wall_core_u8;
  const fog = planes.wall_fog_u8;
  const vacuum = planes.vacuum_u8;
  const gexAbs = planes.gex_abs_u8;
  const gexImbalance = planes.gex_imbalance_u8;
  const sides = planes.side_u8;
  const holes = planes.hole_u8;
  const s = samples;
  for (let x = rect.x0; x < rect.x1; x++) {
    const at = x - rect.x0;
    if (s.asBefore[at] === 1) {
      s.core[at] = s.core[at - 1]!; s.fog[at] = s.fog[at - 1]!; s.side[at] = s.side[at - 1]!; s.fogSide[at] = s.fogSide[at - 1]!;
      s.gex[at] = s.gex[at - 1]!; s.imbalance[at] = s.imbalance[at - 1]!; s.hole[at] = s.hole[at - 1]!;
      s.vacuum[at] = s.vacuum[at - 1]!; s.plain[at] = s.plain[at - 1]!;
      continue;
    }
    const slot0 = columns[4 * x]!;
    const windows = columns[4 * x + 1]!;
    const bits = columns[4 * x + 2]!;
    let [c, f, side, fogSide, v, g, imbalance, hole, cells] = [0, 0, 0, 0, 0, 0, GEX_NEUTRAL as number, 0, 0];
    const shows = slot0 >= 0 && (bits & look.COL_NO_DATA) === 0;
    for (let k = 0; shows && k < windows; k++) {
      const slot = (slot0 + k) % HISTORY_WINDOWS;
      const row0 = tick0 - spots[slot]! + SPOT_ROW;
      const from = Math.max(0, row0);
      const to = Math.min(HUD_ROWS, row0 + ticks);
      const base = slot * HUD_ROWS;
      for (let i = base + from; i < base + to; i++) {
        cells++;
        if (core[i]! > c) { c = core[i]!; side = sides[i]!; }
        if (fog[i]! > f) { f = fog[i]!; fogSide = sides[i]!; }
        v += vacuum[i]!;
        if (gexAbs[i]! > g) { g = gexAbs[i]!; imbalance = gexImbalance[i]!; }
        if (holes[i]! > hole) hole = holes[i]!;
      }
    }
    s.core[at] = c; s.fog[at] = f; s.side[at] = side; s.fogSide[at] = fogSide;
    s.gex[at] = g; s.imbalance[at] = imbalance; s.hole[at] = hole;
    s.vacuum[at] = v > 0 ? v / (255 * cells) : 0;
    const patterned = f > 0 || g > 0 || v > 0 || hole > 0 || (bits & (look.COL_NO_DATA | look.COL_INVALID)) !== 0;
    s.plain[at] = patterned ? 0 : 1;
  }
}
