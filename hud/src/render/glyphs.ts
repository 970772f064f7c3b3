/**
 * Numbers as pixels: the shapes of the digits are taken from the canvas once, and a number is set by blending them
 * into a picture. A column of lots shows other numbers every second, and the canvas works out each text anew.
 */
export const GLYPHS = '0123456789.kM+−';
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
  /** Per ink: coverage 0 .. 255 of glyph g at phase p from ((g * PHASES + p) * heightPx * widthPx) on. */
  readonly coverage: readonly Uint8Array[];
  /** Per ink: red, green, blue. */
  readonly inks: readonly (readonly [number, number, number])[];
}

/** A picture of opaque RGBA pixels. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8ClampedArray;
}

/** Width of a number, device pixels; characters that no number has are left out. */
export function textWidthPx(set: GlyphSet, text: string): number {
  let width = 0;
  for (let i = 0; i < text.length; i++) width += set.advancePx[GLYPHS.indexOf(text[i]!)] ?? 0;
  return width;
}

/** Set a number: its end at `rightPx`, the middle of its shapes at row `midPx`. Nothing is painted outside [x0, x1). */
export function setNumber(to: Pixels, set: GlyphSet, text: string, ink: number, rightPx: number, midPx: number, x0: number, x1: number): void {
  let at = rightPx - textWidthPx(set, text);
  const top = midPx - (set.heightPx >> 1);
  for (let i = 0; i < text.length; i++) {
    const glyph = GLYPHS.indexOf(text[i]!);
    if (glyph < 0) continue;
    const px = Math.floor(at);
    blend(to, set, glyph * PHASES + Math.floor((at - px) * PHASES), ink, px - set.originPx, top, x0, x1);
    at += set.advancePx[glyph]!;
  }
}

function blend(to: Pixels, { widthPx, heightPx, coverage, inks }: GlyphSet, shape: number, ink: number, left: number, top: number, x0: number, x1: number): void {
  const { bytes, width, height } = to;
  const shapes = coverage[ink]!;
  const [red, green, blue] = inks[ink]!;
  const from = Math.max(0, x0 - left, -left);
  const end = Math.min(widthPx, x1 - left, width - left);
  for (let y = Math.max(0, -top); y < heightPx && top + y < height; y++) {
    const row = (shape * heightPx + y) * widthPx;
    let at = 4 * ((top + y) * width + left + from);
    for (let x = from; x < end; x++, at += 4) {
      const a = shapes[row + x]!;
      if (a === 0) continue;
      const share = a / 255;
      bytes[at]! += (red - bytes[at]!) * share;
      bytes[at + 1]! += (green - bytes[at + 1]!) * share;
      bytes[at + 2]! += (blue - bytes[at + 2]!) * share;
    }
  }
}
