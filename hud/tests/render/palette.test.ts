import { describe, expect, it } from 'vitest';
import { PALETTES } from '../../src/model/settings';
import { LUMA, LUT_ASK, LUT_BID, LUT_CALL, LUT_PUT, type Rgb } from '../../src/render/look';
import { buildLut, COLOURS, rampAt, wallBrightness } from '../../src/render/palette';

const REAL = { q05: 3.367, q95: 4.5 };
const BUSY = { q05: 1.386, q95: 5.889 };
const u8 = (lots: number): number => Math.floor((255 * Math.log1p(lots)) / Math.log1p(2000) + 0.5);
const light = ([r, g, b]: Rgb): number => r * LUMA[0] + g * LUMA[1] + b * LUMA[2];
const entry = (lut: Uint8Array, row: number, value: number): Rgb => (
  Array.from(lut.slice((row * 256 + value) * 4, (row * 256 + value) * 4 + 3)) as unknown as Rgb
);

/** What somebody without red, or without green, cones sees, in linear light (Viénot, Brettel and Mollon 1999). */
function seenBy(kind: 'protan' | 'deutan', rgb: Rgb): Rgb {
  const linear = rgb.map((c) => (c / 255) ** 2.2) as unknown as Rgb;
  const m = kind === 'protan'
    ? [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
    : [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]];
  return m.map((row) => 255 * Math.max(0, row[0]! * linear[0] + row[1]! * linear[1] + row[2]! * linear[2]) ** (1 / 2.2)) as unknown as Rgb;
}

const distance = (a: Rgb, b: Rgb): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

describe('brightness of walls', () => {
  for (const bounds of [REAL, BUSY]) {
    it(`rises with every byte that matters, for bounds ${bounds.q05} to ${bounds.q95}`, () => {
      let last = -1;
      for (let lots = 1; lots <= 2000; lots++) {
        const now = wallBrightness(u8(lots), bounds, 0.5);
        expect(now).toBeGreaterThanOrEqual(last);
        last = now;
      }
      expect(last).toBeCloseTo(1, 6);
    });

    it(`keeps a usual level calm and lets a wall shine, for bounds ${bounds.q05} to ${bounds.q95}`, () => {
      const median = Math.expm1(bounds.q05 + 0.55 * (bounds.q95 - bounds.q05));
      const wall = 3 * Math.expm1(bounds.q95);
      expect(wallBrightness(u8(median), bounds, 0.5)).toBeLessThan(0.25);
      expect(wallBrightness(u8(wall), bounds, 0.5)).toBeGreaterThan(0.72);
    });
  }

  it('follows the contrast slider: harder darkens what is usual', () => {
    const usual = u8(50);
    const values = [0, 0.25, 0.5, 0.75, 1].map((contrast) => wallBrightness(usual, REAL, contrast));
    expect(new Set(values).size).toBe(5);
    expect(wallBrightness(u8(35), REAL, 1)).toBeLessThan(wallBrightness(u8(35), REAL, 0));
  });

  it('is nothing where nothing rests', () => {
    expect(wallBrightness(0, REAL, 0.5)).toBe(0);
  });
});

describe('palettes', () => {
  for (const palette of PALETTES) {
    it(`${palette}: light never falls along a ramp`, () => {
      for (const side of ['bid', 'ask'] as const) {
        let last = -1;
        for (let k = 0; k <= 100; k++) {
          const now = light(rampAt(COLOURS[palette][side], k / 100));
          expect(now).toBeGreaterThanOrEqual(last - 0.8);
          last = now;
        }
      }
    });

    it(`${palette}: bids, asks, calls and puts are told apart`, () => {
      const lut = buildLut(palette, BUSY, 0.5);
      for (const lots of [150, 300, 500]) expect(distance(entry(lut, LUT_BID, u8(lots)), entry(lut, LUT_ASK, u8(lots)))).toBeGreaterThan(60);
      expect(distance(entry(lut, LUT_CALL, 200), entry(lut, LUT_PUT, 200))).toBeGreaterThan(90);
    });
  }

  it('colour-blind: bids and asks stay apart for eyes without red or green cones', () => {
    const { bid, ask, call, put } = COLOURS['colour-blind'];
    for (const kind of ['protan', 'deutan'] as const) {
      for (const at of [0.4, 0.6, 0.8]) {
        expect(distance(seenBy(kind, rampAt(bid, at)), seenBy(kind, rampAt(ask, at))), `${kind} at ${at}`).toBeGreaterThan(70);
      }
      expect(distance(seenBy(kind, call), seenBy(kind, put))).toBeGreaterThan(70);
    }
  });

  it('depend on the calibration and on nothing else that changes', () => {
    expect(buildLut('standard', BUSY, 0.5)).toEqual(buildLut('standard', { ...BUSY }, 0.5));
    expect(buildLut('standard', BUSY, 0.5)).not.toEqual(buildLut('standard', REAL, 0.5));
  });
});
