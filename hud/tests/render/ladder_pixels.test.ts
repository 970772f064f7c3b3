import { describe, expect, it } from 'vitest';
import { boundsOf, GLYPHS, PHASES, setNumber, textWidthPx, tintOf, type GlyphSet } from '../../src/render/glyphs';
import { LadderPixels, type LadderLook, type LadderPlace } from '../../src/render/ladder_pixels';
import { shortLotsText, signedText } from '../../src/ui/text';
import { firstDifference, numbers } from '../samples/rows';

/** Shapes that differ for every glyph and phase; nobody can read them. */
function glyphSet(next: () => number): GlyphSet {
  const [widthPx, heightPx] = [9, 11];
  const coverage = [0, 1, 2].map(() => Uint8Array.from({ length: GLYPHS.length * PHASES * widthPx * heightPx }, () => (next() < 0.5 ? 0 : next() * 256)));
  return {
    widthPx, heightPx, originPx: 1, advancePx: Float64Array.from(GLYPHS, () => 5.5 + next()),
    coverage, bounds: coverage.map((ink) => boundsOf(ink, widthPx, heightPx)),
    inks: [[250, 240, 230], [10, 200, 90], [240, 20, 60]],
  };
}

const set = glyphSet(numbers(4));
const LOOK: LadderLook = { glyphs: set, ground: [10, 12, 16], raised: [40, 44, 52], bars: [[0, 180, 160], [200, 90, 60]], barOpacity: 0.28 };

function placeOf(next: () => number): { place: LadderPlace; width: number; height: number } {
  const height = 60 + Math.floor(next() * 80);
  const rung = 11 + Math.floor(next() * 4);
  const width = 120 + Math.floor(next() * 60);
  const count = Math.ceil(height / rung) + 1;
  const shift = Math.floor(next() * rung);
  const tops = Array.from({ length: count }, (_, i) => height + shift - (i + 1) * rung);
  const edges = [0, 0.3, 0.6, 1].map((share) => Math.round(share * width));
  return {
    width, height,
    place: {
      columns: [0, 1, 2].map((k) => ({
        x0: edges[k]!, x1: edges[k + 1]!, rightPx: edges[k + 1]! - 1.3, ink: k, inkBelow: 2,
        text: k === 2 ? (value: number) => signedText(value, shortLotsText) : shortLotsText,
      })),
      top: Int32Array.from(tops, (top) => Math.max(0, top)),
      bottom: Int32Array.from(tops, (top) => Math.min(height, top + rung)),
      middle: Int32Array.from(tops, (top) => top + (rung >> 1)),
    },
  };
}

describe('the ladder in pixels', () => {
  it('painted cell by cell equals one painted afresh, over random seconds, places and sizes', () => {
    const next = numbers(8);
    const kept = new LadderPixels();
    let { place, width, height } = placeOf(next);
    const begin = (to: LadderPixels): void => to.begin(new Uint8ClampedArray(4 * width * height), width, height, LOOK, place);
    begin(kept);
    let values = new Float64Array(place.top.length * 3);
    let bars = new Int32Array(values.length);
    let spot = 2;
    let painted = 0;
    for (let step = 0; step < 400; step++) {
      const kind = next();
      if (kind < 0.05) {
        ({ place, width, height } = placeOf(next));
        begin(kept);
        values = new Float64Array(place.top.length * 3);
        bars = new Int32Array(values.length);
      } else if (kind < 0.2) spot = Math.floor(next() * place.top.length) - 1;
      for (let k = 0; k < 6; k++) {
        const at = Math.floor(next() * values.length);
        const value = next() < 0.2 ? 0 : Math.floor(next() ** 3 * 20_000);
        values[at] = at % 3 === 2 && next() < 0.5 ? -value : value;
        if (at % 3 < 2) bars[at] = value === 0 ? 0 : 1 + Math.floor(next() * 40);
      }
      const rows = kept.show(values, bars, spot);
      painted += Math.max(0, rows.bottom - rows.top);
      const afresh = new LadderPixels();
      begin(afresh);
      afresh.show(values, bars, spot);
      expect(firstDifference(kept.bytes, afresh.bytes), `step ${step}`).toBe(-1);
      const again = kept.show(values, bars, spot);
      expect(again.top, 'the same numbers paint nothing').toBeGreaterThanOrEqual(again.bottom);
    }
    expect(painted).toBeGreaterThan(400);
  });

  it('sets a number on a ground it knows as it sets one on a ground it does not know', () => {
    const [width, height] = [60, 20];
    const ground = [12, 90, 201] as const;
    const paint = (tinted: readonly [number, number, number]): Uint8ClampedArray => {
      const bytes = new Uint8ClampedArray(4 * width * height).map((_, i) => [...ground, 255][i % 4]!);
      const tint = tintOf(tinted, set.inks[2]!);
      setNumber({ width, height, bytes, words: new Uint32Array(bytes.buffer) }, set, '907M', 2, [tintOf([0, 0, 0], set.inks[2]!), tint], 50.6, 9, 0, width);
      return bytes;
    };
    const known = paint(ground);
    expect(firstDifference(known, paint([9, 9, 9]))).toBe(-1);
    expect(known.filter((byte, i) => byte !== [...ground, 255][i % 4]).length).toBeGreaterThan(200);
  });

  it('sets a number with its end where it is told, in its cell only', () => {
    const [width, height] = [60, 20];
    const bytes = new Uint8ClampedArray(4 * width * height);
    const right = 40.25;
    const other = tintOf([1, 2, 3], set.inks[1]!);
    setNumber({ width, height, bytes, words: new Uint32Array(bytes.buffer) }, set, '1.2k', 1, [other, other], right, 10, 24, 38);
    const lit = Array.from({ length: width * height }, (_, i) => i).filter((i) => bytes[4 * i + 1]! > 0);
    expect(lit.length).toBeGreaterThan(20);
    expect(Math.min(...lit.map((i) => i % width))).toBeGreaterThanOrEqual(24);
    expect(Math.max(...lit.map((i) => i % width))).toBeLessThan(38);
    expect(textWidthPx(set, '1.2k')).toBeCloseTo([1, 10, 2, 11].reduce((sum, glyph) => sum + set.advancePx[glyph]!, 0), 9);
    expect(GLYPHS).toContain(signedText(-5, String)[0]);
  });
});
