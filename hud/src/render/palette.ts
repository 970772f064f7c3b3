/**
 * Colour tables: from a byte of a plane to a colour. They depend on the calibration, the contrast slider and the
 * palette, never on what is on screen: a colour means the same all day (spec 10, Colour).
 */
import type { Palette } from '../model/settings';
import { FULL_DEPTH_LOTS } from '../model/planes';
import {
  LUT_ASK, LUT_ASK_FOG, LUT_BID, LUT_BID_FOG, LUT_CALL, LUT_PUT, LUT_ROWS, WARM, WARM_COLOUR_BLIND, type Rgb,
} from './look';

/** Brightness 0 .. 1 to colour, by stops at equal distances. */
type Ramp = readonly Rgb[];

export interface PaletteColours {
  readonly bid: Ramp;
  readonly ask: Ramp;
  readonly call: Rgb;
  readonly put: Rgb;
  readonly warm: Rgb;
  readonly buyTrade: Rgb;
  readonly sellTrade: Rgb;
  readonly bestBid: Rgb;
  readonly bestAsk: Rgb;
  readonly vwap: Rgb;
}

export const COLOURS: Readonly<Record<Palette, PaletteColours>> = {
  standard: {
    bid: [[12, 18, 26], [13, 31, 45], [15, 50, 70], [18, 80, 100], [24, 124, 130], [62, 188, 148], [158, 240, 178], [238, 255, 236]],
    ask: [[20, 16, 20], [38, 21, 26], [62, 27, 31], [100, 35, 35], [156, 52, 37], [222, 94, 42], [255, 164, 82], [255, 238, 208]],
    call: [168, 128, 255],
    put: [232, 176, 40],
    warm: WARM,
    buyTrade: [120, 255, 190],
    sellTrade: [255, 128, 150],
    bestBid: [92, 224, 196],
    bestAsk: [255, 146, 110],
    vwap: [214, 164, 255],
  },
  // blue against orange: told apart by every kind of colour vision; gamma by light against dark and by its dashes
  'colour-blind': {
    bid: [[11, 17, 28], [12, 29, 54], [13, 47, 90], [14, 74, 138], [28, 112, 190], [84, 168, 234], [164, 214, 250], [236, 248, 255]],
    ask: [[21, 17, 14], [42, 27, 14], [70, 42, 13], [112, 64, 10], [168, 98, 8], [224, 146, 20], [248, 196, 84], [255, 240, 200]],
    call: [214, 140, 190],
    put: [236, 228, 100],
    warm: WARM_COLOUR_BLIND,
    buyTrade: [150, 215, 255],
    sellTrade: [255, 200, 90],
    bestBid: [110, 190, 255],
    bestAsk: [255, 176, 60],
    vwap: [224, 170, 210],
  },
};

/** Bounds of ln(1 + lots): q05 and q95 of the calibration. */
export interface WallBounds {
  readonly q05: number;
  readonly q95: number;
}

const FULL_LOG = Math.log1p(FULL_DEPTH_LOTS);
/** Share of the brightness that the calibrated range gets; the rest is for walls beyond its upper bound. */
const WITHIN = 0.6;

/**
 * Brightness 0 .. 1 of a wall byte. Between the calibration's bounds it rises slowly, then faster: a usual level
 * stays calm, and only what stands out of the day's distribution shines.
 */
export function wallBrightness(u8: number, bounds: WallBounds, contrast: number): number {
  if (u8 === 0) return 0;
  const middle = (bounds.q05 + bounds.q95) / 2;
  const half = Math.max(0.25, (bounds.q95 - bounds.q05) / 2) * 2 ** ((0.5 - contrast) * 2);
  const log = (u8 / 255) * FULL_LOG;
  const low = middle - half;
  const high = Math.min(middle + half, FULL_LOG - 0.5);
  const within = Math.min(1, Math.max(0, (log - low) / (high - low)));
  const beyond = Math.min(1, Math.max(0, (log - high) / (FULL_LOG - high)));
  return WITHIN * within ** 2.6 + (1 - WITHIN) * beyond ** 0.75;
}

/** Colour of a ramp at 0 .. 1. */
export function rampAt(ramp: Ramp, at: number): Rgb {
  const x = Math.min(1, Math.max(0, at)) * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(x));
  const a = ramp[i]!;
  const b = ramp[i + 1]!;
  const t = x - i;
  return [0, 1, 2].map((k) => Math.round(a[k]! + (b[k]! - a[k]!) * t)) as unknown as Rgb;
}

/** The table both renderers read: `LUT_ROWS` rows of 256 RGBA colours. */
export function buildLut(palette: Palette, bounds: WallBounds, contrast: number): Uint8Array {
  const colours = COLOURS[palette];
  const lut = new Uint8Array(LUT_ROWS * 256 * 4);
  const put = (row: number, u8: number, [r, g, b]: Rgb, alpha: number): void => {
    lut.set([r, g, b, Math.round(255 * Math.min(1, Math.max(0, alpha)))], (row * 256 + u8) * 4);
  };
  for (let u8 = 1; u8 < 256; u8++) {
    const light = wallBrightness(u8, bounds, contrast);
    const soft = 0.35 + 0.5 * light;
    put(LUT_BID, u8, rampAt(colours.bid, light), 0.7 + 0.3 * Math.min(1, light * 2));
    put(LUT_ASK, u8, rampAt(colours.ask, light), 0.7 + 0.3 * Math.min(1, light * 2));
    put(LUT_BID_FOG, u8, rampAt(colours.bid, soft), 0.25 + 0.6 * light);
    put(LUT_ASK_FOG, u8, rampAt(colours.ask, soft), 0.25 + 0.6 * light);
    const gamma = 0.22 + 0.78 * (u8 / 255) ** 1.5;
    put(LUT_CALL, u8, colours.call, gamma);
    put(LUT_PUT, u8, colours.put, gamma);
  }
  return lut;
}

/** CSS colour. */
export function css([r, g, b]: Rgb, alpha = 1): string {
  return alpha === 1 ? `rgb(${r} ${g} ${b})` : `rgb(${r} ${g} ${b} / ${alpha})`;
}
