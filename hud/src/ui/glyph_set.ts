/** Takes the shapes of the digits, and colours as numbers, from the canvas. */
import { boundsOf, GLYPHS, PHASES, type GlyphSet } from '../render/glyphs';

type Rgb = readonly [number, number, number];

function sheetOf(width: number, height: number): CanvasRenderingContext2D {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  // read back at once, never shown
  const g = canvas.getContext('2d', { willReadFrequently: true });
  if (!g) throw new Error('the browser gives no 2d canvas; the picture cannot be drawn');
  return g;
}

/** Red, green and blue of opaque CSS colours. */
export function rgbOf(colours: readonly string[]): Rgb[] {
  const g = sheetOf(colours.length, 1);
  colours.forEach((colour, i) => {
    g.fillStyle = colour;
    g.fillRect(i, 0, 1, 1);
  });
  const { data } = g.getImageData(0, 0, colours.length, 1);
  return colours.map((_, i) => [data[4 * i]!, data[4 * i + 1]!, data[4 * i + 2]!]);
}

/** @param font CSS font @param sizeCss its size in CSS pixels @param inks CSS colours: the shape of a glyph depends on them a little */
export function makeGlyphSet(font: string, sizeCss: number, dpr: number, inks: readonly string[]): GlyphSet {
  const ruler = sheetOf(1, 1);
  ruler.font = font;
  const advancePx = Float64Array.from(GLYPHS, (glyph) => ruler.measureText(glyph).width * dpr);
  const originPx = 2;
  const widthPx = Math.ceil(Math.max(...advancePx)) + 2 * originPx + 1;
  const heightPx = 2 * Math.ceil(0.75 * sizeCss * dpr) + 2;
  const shapes = GLYPHS.length * PHASES;
  const g = sheetOf(widthPx * shapes, heightPx * inks.length);
  g.font = font;
  g.textBaseline = 'middle';
  inks.forEach((ink, row) => {
    g.fillStyle = ink;
    for (let shape = 0; shape < shapes; shape++) {
      g.setTransform(dpr, 0, 0, dpr, shape * widthPx + originPx + (shape % PHASES) / PHASES, row * heightPx + heightPx / 2);
      g.fillText(GLYPHS[Math.floor(shape / PHASES)]!, 0, 0);
    }
  });
  const { data, width } = g.getImageData(0, 0, widthPx * shapes, heightPx * inks.length);
  const coverage = inks.map((_, row) => {
    const out = new Uint8Array(shapes * heightPx * widthPx);
    for (let shape = 0, at = 0; shape < shapes; shape++) {
      for (let y = 0; y < heightPx; y++) {
        for (let x = 0; x < widthPx; x++) out[at++] = data[4 * ((row * heightPx + y) * width + shape * widthPx + x) + 3]!;
      }
    }
    return out;
  });
  return { widthPx, heightPx, originPx, advancePx, coverage, bounds: coverage.map((ink) => boundsOf(ink, widthPx, heightPx)), inks: rgbOf(inks) };
}
