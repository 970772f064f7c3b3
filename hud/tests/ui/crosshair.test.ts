import { describe, expect, it } from 'vitest';
import type { WallSecond } from '../../src/model/ladder';
import { cellRows } from '../../src/ui/crosshair';
import type { SecondNumbers } from '../../src/ui/feeds';
import { at } from '../model/seconds';

const one = (...values: number[]): Float64Array => Float64Array.from(values);
const lots = (...values: number[]): Int32Array => Int32Array.from(values);
const wall: WallSecond = {
  window: at(0), askRows: 1, ticks: one(100, 100), start: lots(50, 7), end: lots(60, 5), rest: lots(40, 5), add: lots(30, 0),
  pull: lots(15, 2), pullRest: lots(9, 0), fill: lots(5, 0),
};
const numbers = {
  window: at(0), wall, vacuumScore: one(0.41, 0.3), vacuumFlow: one(0.62, 0), hasSpot: true, component: () => 0,
  gamma: new Map([[100, { call: 120.4, put: 3.25, imbalance: 0.947 }], [120, { call: 0, put: 0, imbalance: 0 }]]),
} as SecondNumbers;

describe('numbers of a cell', () => {
  it('name every quantity of each side, and the gamma of a strike', () => {
    expect(cellRows(numbers, 100)).toEqual([
      ['', 'offer', 'bid'], ['lots', '60', '5'], ['resting', '40', '5'], ['fleeting', '20', '0'], ['at the start', '50', '7'],
      ['added', '30', '0'], ['pulled', '15 (9 resting)', '2 (0 resting)'], ['filled', '5', '0'], ['vacuum flow', '0.62', '0.00'],
      ['vacuum', '0.41', '0.30'],
      ['gamma calls', '120'], ['gamma puts', '3.25'], ['imbalance', '+0.95'],
    ]);
  });
  it('need no head where one side stands', () => {
    const bid = { ...numbers, wall: { ...wall, askRows: 0, ticks: one(99, 100) } } as SecondNumbers;
    expect(cellRows(bid, 99).slice(0, 2)).toEqual([['bid', '60 lots'], ['resting', '40']]);
  });
  it('say that nothing stands at a price, and nothing of a strike without gamma', () => {
    expect(cellRows(numbers, 120)).toEqual([['depth', 'none at this price']]);
  });
});
