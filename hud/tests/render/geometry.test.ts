import { describe, expect, it } from 'vitest';
import { History } from '../../src/model/history';
import { Viewport } from '../../src/model/viewport';
import { cellsOfPixel, columnsOf, rowsOf } from '../../src/render/geometry';
import { COL_FUTURE, COL_INVALID, COL_LANDMARK, COL_NO_DATA, ROW_CENTRE, ROW_FIVE_POINTS, ROW_POINT } from '../../src/render/look';
import { windowRow } from '../samples/rows';

const view = (changes: Partial<ConstructorParameters<typeof Viewport>[0]>): Viewport => new Viewport({
  widthPx: 100, heightPx: 80, dpr: 1, pxPerTick: 6, pxPerSecond: 1.4, leftPx: 0, topPx: 0, followTime: true, followPrice: true,
  ...changes,
});

describe('cells of a pixel', () => {
  for (const scale of [0.13, 0.25, 0.37, 0.5, 0.99, 1, 1.01, 1.4, 2, 5.7, 6, 31]) {
    for (const shift of [0, scale / 2]) {
      it(`shows every cell and shares none at ${scale} px per cell, shift ${shift}`, () => {
        let next: number | null = null;
        for (let px = -400; px < 400; px++) {
          const cells = cellsOfPixel(px, scale, shift);
          if (scale >= 1) {
            expect(cells.count).toBe(1);
            expect(cells.offset).toBeGreaterThanOrEqual(0);
            expect(cells.offset).toBeLessThan(cells.size);
            if (next !== null) expect([next - 1, next]).toContain(cells.first);
          } else if (next !== null) {
            expect(cells.first).toBe(next);
          }
          next = cells.first + cells.count;
        }
      });
    }
  }
});

describe('rows', () => {
  it('put each tick in its cell, as the panels beside the picture do', () => {
    for (const pxPerTick of [0.3, 0.8, 1, 1.7, 6, 7, 13]) {
      const v = view({ pxPerTick, topPx: -27_000 * pxPerTick });
      const rows = rowsOf(v, 4);
      for (let y = 0; y < v.heightPx; y++) {
        const lowest = rows[4 * y]!;
        const count = rows[4 * y + 1]!;
        const under = v.ticksAt(y + 0.5);
        expect(under).toBeGreaterThanOrEqual(lowest - (pxPerTick < 1 ? 1 : 0));
        expect(under).toBeLessThanOrEqual(lowest + count - 1 + (pxPerTick < 1 ? 1 : 0));
        if (pxPerTick >= 1) expect(count).toBe(1);
      }
    }
  });

  it('draw one centre line per tick and mark points and five points', () => {
    const rows = rowsOf(view({ pxPerTick: 6, topPx: -27_000 * 6, heightPx: 480 }), 4);
    const centres: number[] = [];
    for (let y = 0; y < 480; y++) {
      if (!(rows[4 * y + 2]! & ROW_CENTRE)) continue;
      const tick = rows[4 * y]!;
      centres.push(tick);
      expect((rows[4 * y + 2]! & ROW_FIVE_POINTS) !== 0).toBe(tick % 20 === 0);
      expect((rows[4 * y + 2]! & ROW_POINT) !== 0).toBe(tick % 4 === 0 && tick % 20 !== 0);
    }
    expect(new Set(centres).size).toBe(centres.length);
    expect(centres.length).toBeGreaterThanOrEqual(79);
  });

  it('stand still while panning: a world pixel keeps its ticks', () => {
    for (const pxPerTick of [0.37, 1.3, 6]) {
      const a = rowsOf(view({ pxPerTick, topPx: -9000 }), 4);
      const b = rowsOf(view({ pxPerTick, topPx: -8987 }), 4);
      for (let y = 0; y < 60; y++) expect(Array.from(b.slice(4 * y, 4 * y + 4))).toEqual(Array.from(a.slice(4 * (y + 13), 4 * (y + 13) + 4)));
    }
  });
});

describe('columns', () => {
  const held = (): History => {
    const history = new History();
    // 2026-01-06 14:29:30 UTC = 09:29:30 in New York
    for (let w = 1_767_709_770; w < 1_767_709_770 + 60; w++) {
      history.push(windowRow(w, 100, [], { windowValid: w !== 1_767_709_780, phase: w === 1_767_709_781 ? 1 : 2 }));
    }
    return history;
  };

  it('say future, missing and invalid, and never mix them up', () => {
    const history = held();
    const v = view({ pxPerSecond: 1, leftPx: 1_767_709_770 - 10, widthPx: 100 });
    const columns = columnsOf(v, history);
    const bits = (window: number): number => columns[4 * (window - 1 - v.leftPx) + 2]!;
    expect(bits(1_767_709_765) & COL_NO_DATA).not.toBe(0);
    expect(bits(1_767_709_840) & COL_FUTURE).not.toBe(0);
    expect(bits(1_767_709_840) & COL_NO_DATA).toBe(0);
    expect(bits(1_767_709_775) & (COL_NO_DATA | COL_FUTURE | COL_INVALID)).toBe(0);
    expect(bits(1_767_709_780) & COL_INVALID).not.toBe(0);
    expect(bits(1_767_709_781) & COL_INVALID).not.toBe(0);
  });

  it('mark the cash open where 09:30 begins', () => {
    const v = view({ pxPerSecond: 1, leftPx: 1_767_709_770 - 10, widthPx: 100 });
    const columns = columnsOf(v, held());
    const marked = Array.from({ length: 100 }, (_, x) => x).filter((x) => columns[4 * x + 2]! & COL_LANDMARK);
    expect(marked).toEqual([1_767_709_800 - v.leftPx]);
  });

  it('hold every window once when several share a pixel', () => {
    const history = held();
    const v = view({ pxPerSecond: 0.4, leftPx: Math.floor(1_767_709_760 * 0.4), widthPx: 60 });
    const columns = columnsOf(v, history);
    const seen: number[] = [];
    for (let x = 0; x < 60; x++) for (let k = 0; k < columns[4 * x + 1]!; k++) seen.push((columns[4 * x]! + k) % 1800);
    expect(seen).toEqual(Array.from({ length: 60 }, (_, k) => (1_767_709_770 + k) % 1800));
  });
});
