/**
 * Numbers as pixels: the shapes of the digits are taken from the canvas once, and a number is set by blending them
 * into a picture. A column of lots shows other numbers every second, and the canvas works out each text anew.
 */
export const GLYPHS = '0123456789.kM+−';
type Rgb = readonly [number, number, number];

/** A glyph stands at a quarter of a pixel, as the canvas sets it. */
export const PHASES = 4;

/** Shapes of the glyphs in every ink: `PHASES` per glyph, all of one size, rows from the top. */
export interface GlyphSet {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Pixels from a glyph's place to the left edge of its shape. */
  readonly originPx: number;
  /** How far the next glyph stands, device pixels. */
  readonly advancePx: Float64Array;
  /** Per ink: coverage 0 .. 255 of shape s = g * PHASES + p, glyph g at phase p, from s * heightPx * widthPx on. */
  readonly coverage: readonly Uint8Array[];
  /** Per ink: four for each shape, the half-open part of it that is covered at all: left, right, top, bottom. */
  readonly bounds: readonly Uint8Array[];
  /** Per ink: red, green, blue. */
  readonly inks: readonly Rgb[];
}

/** `bounds` of the shapes of one ink. */
export function boundsOf(coverage: Uint8Array, widthPx: number, heightPx: number): Uint8Array {
  const bounds = new Uint8Array(4 * coverage.length / (widthPx * heightPx));
  for (let shape = 0, at = 0; 4 * shape < bounds.length; shape++) {
    let left = widthPx;
    let right = 0;
    let top = heightPx;
    let bottom = 0;
    for (let y = 0; y < heightPx; y++) {
      for (let x = 0; x < widthPx; x++) {
        if (coverage[at++] === 0) continue;
        if (x < left) left = x;
        if (x >= right) right = x + 1;
        if (y < top) top = y;
        bottom = y + 1;
      }
    }
    if (left < right) bounds.set([left, right, top, bottom], 4 * shape);
  }
  return bounds;
}

/** A picture of opaque RGBA pixels. `words` are the same pixels. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8ClampedArray;
  readonly words: Uint32Array;
}

/** A ground, as the word of its pixels, and what an ink makes of it at every coverage. */
export interface Tint {
  readonly ground: number;
  readonly words: Uint32Array;
}

export function tintOf(ground: Rgb, ink: Rgb): Tint {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let a = 0; a < 256; a++) {
    const share = a / 255;
    for (let k = 0; k < 3; k++) bytes[4 * a + k] = ground[k]! + (ink[k]! - ground[k]!) * share;
    bytes[4 * a + 3] = 255;
  }
  const words = new Uint32Array(bytes.buffer);
  return { ground: words[0]!, words };
}

/** Width of a number, device pixels; characters that no number has are left out. */
export function textWidthPx(set: GlyphSet, text: string): number {
  let width = 0;
  for (let i = 0; i < text.length; i++) width += set.advancePx[GLYPHS.indexOf(text[i]!)] ?? 0;
  return width;
}

/**
 * Set a number: its end at `rightPx`, the middle of its shapes at row `midPx`. Nothing is painted outside [x0, x1).
 * @param tints of the ink on the grounds it mostly stands on; anything else is blended pixel by pixel
 * @returns the first column that may be painted
 */
export function setNumber(
  to: Pixels, set: GlyphSet, text: string, ink: number, tints: readonly [Tint, Tint], rightPx: number, midPx: number, x0: number, x1: number,
): number {
  let at = rightPx - textWidthPx(set, text);
  const first = Math.max(x0, Math.floor(at) - set.originPx);
  const top = midPx - (set.heightPx >> 1);
  for (let i = 0; i < text.length; i++) {
    const glyph = GLYPHS.indexOf(text[i]!);
    if (glyph < 0) continue;
    const px = Math.floor(at);
    blend(to, set, glyph * PHASES + Math.floor((at - px) * PHASES), ink, tints, px - set.originPx, top, x0, x1);
    at += set.advancePx[glyph]!;
  }
  return first;
}

function blend(
  to: Pixels, { widthPx, heightPx, coverage, bounds, inks }: GlyphSet, shape: number, ink: number, tints: readonly [Tint, Tint],
  left: number, top: number, x0: number, x1: number,
): void {
  const { bytes, words, width, height } = to;
  const shapes = coverage[ink]!;
  const first = tints[0];
  const second = tints[1];
  const within = bounds[ink]!;
  const from = Math.max(within[4 * shape]!, x0 - left, -left);
  const end = Math.min(within[4 * shape + 1]!, x1 - left, width - left);
  const last = Math.min(within[4 * shape + 3]!, height - top);
  for (let y = Math.max(within[4 * shape + 2]!, -top); y < last; y++) {
    const row = (shape * heightPx + y) * widthPx;
    let at = (top + y) * width + left + from;
    for (let x = from; x < end; x++, at++) {
      const a = shapes[row + x]!;
      if (a === 0) continue;
      const ground = words[at]!;
      if (ground === first.ground) words[at] = first.words[a]!;
      else if (ground === second.ground) words[at] = second.words[a]!;
      else {
        const share = a / 255;
        const rgb = inks[ink]!;
        for (let k = 0; k < 3; k++) bytes[4 * at + k]! += (rgb[k]! - bytes[4 * at + k]!) * share;
      }
    }
  }
}
