import { describe, expect, it } from 'vitest';
import { measured } from '../../src/model/measuring';
import type { DayOverview } from '../../src/model/snapshot';
import { tickOf, type Ticks } from '../../src/units/price';
import { at } from './seconds';

const TICK = tickOf(250_000_000n);
const DAY = {
  firstWindow: at(0), windows: 10, buyQty: Int32Array.from({ length: 10 }, (_, i) => i), sellQty: new Int32Array(10).fill(2),
} as unknown as DayOverview;
const corners = (a: number, b: number, up = 6) => ({
  from: { window: at(a), ticks: 100 as Ticks }, to: { window: at(b), ticks: (100 + up) as Ticks },
});

describe('measuring tool', () => {
  it('tells ticks, points, seconds and the volume after the first corner', () => {
    expect(measured(corners(2, 5), TICK, DAY, at(9))).toEqual({ ticks: 6, points: 1.5, seconds: 3, buyQty: 3 + 4 + 5, sellQty: 6 });
  });

  it('gives the same volume drawn backwards, with signs', () => {
    expect(measured(corners(5, 2, -6), TICK, DAY, at(9))).toEqual({ ticks: -6, points: -1.5, seconds: -3, buyQty: 12, sellQty: 6 });
  });

  it('counts nothing after the head, though the overview knows it', () => {
    expect(measured(corners(2, 9), TICK, DAY, at(4)).buyQty).toBe(3 + 4);
  });

  it('says that volume is unknown without the overview', () => {
    expect(measured(corners(2, 5), TICK, null, at(9)).buyQty).toBeNaN();
  });
});
