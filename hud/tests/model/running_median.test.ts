import { describe, expect, it } from 'vitest';
import { RunningMedian } from '../../src/model/running_median';
import { numbers } from '../samples/rows';

/** The same by sorting whatever there is. */
function plain(values: readonly number[]): number {
  const rising = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = rising.length >> 1;
  return rising.length === 0 ? Number.NaN : rising.length % 2 === 1 ? rising[middle]! : (rising[middle - 1]! + rising[middle]!) / 2;
}

describe('running median', () => {
  it('equals the sorted middle whatever comes and goes, equal values too', () => {
    const next = numbers(21);
    const places = 31;
    const values = new Array<number>(places).fill(Number.NaN);
    const median = new RunningMedian(places);
    for (let step = 0; step < 2000; step++) {
      const place = Math.floor(next() * places);
      values[place] = next() < 0.2 ? Number.NaN : Math.floor(next() * 12) / 8;
      median.set(place, values[place]!);
      expect(median.median).toEqual(plain(values));
      expect(median.size).toBe(values.filter((value) => !Number.isNaN(value)).length);
    }
    const again = new RunningMedian(places);
    again.load(values);
    expect(again.median).toEqual(plain(values));
    again.clear();
    expect(again.median).toBeNaN();
  });
});
