import { describe, expect, it } from 'vitest';
import { FlowSums } from '../../src/model/flow_sums';
import type { LadderSecond } from '../../src/model/ladder';
import type { WindowNo } from '../../src/units/time';
import { numbers } from '../samples/rows';
import { at } from './seconds';

function second(window: WindowNo, centre: number, next: () => number): LadderSecond {
  const side = (from: number): number[] => Array.from({ length: Math.floor(next() * 30) }, (_, k) => from + k);
  const asks = side(centre);
  const ticks = Float64Array.from([...asks, ...side(centre - 25)]);
  const lots = (): Int32Array => Int32Array.from(ticks, () => Math.floor(next() * 200));
  return { window, askRows: asks.length, ticks, end: new Int32Array(ticks.length), add: lots(), pull: lots() };
}

/** The same by looking at every row. */
function plain(held: ReadonlyMap<WindowNo, LadderSecond>, first: number, last: number, low: number, ticks: number, what: 'pull' | 'add'): number {
  let sum = 0;
  for (const [window, wall] of held) {
    if (window < first || window > last) continue;
    wall.ticks.forEach((price, row) => { if (price >= low && price < low + ticks) sum += wall[what][row]!; });
  }
  return sum;
}

describe('sums of the flow', () => {
  it('equal sums over all rows while seconds come, go, change, and the price runs away', () => {
    const next = numbers(3);
    const held = new Map<WindowNo, LadderSecond>();
    const sums = new FlowSums();
    let head = 40;
    let centre = 27_800;
    let largest = 0;
    for (let step = 0; step < 300; step++) {
      const kind = next();
      if (kind < 0.7) head++;
      else if (kind < 0.8) head = Math.max(0, head - Math.floor(next() * 60));
      else if (kind < 0.85) centre += Math.floor((next() - 0.5) * 30_000);
      else if (kind < 0.9) held.delete(at(head - Math.floor(next() * 20)));
      held.set(at(head), second(at(head), centre, next));
      const first = at(head - 29);
      sums.cover(first, at(head), held);
      expect(sums.seconds).toBe([...held.keys()].filter((w) => w >= first && w <= at(head)).length);
      for (let look = 0; look < 12; look++) {
        const low = centre - 40 + Math.floor(next() * 80);
        const ticks = 1 + Math.floor(next() * 9);
        const pulled = plain(held, first, at(head), low, ticks, 'pull');
        if (pulled !== sums.pulledQty(low, ticks)) largest = NaN;
        largest = Math.max(largest, pulled);
        expect(sums.addedQty(low, ticks)).toBe(plain(held, first, at(head), low, ticks, 'add'));
      }
    }
    expect(largest).toBeGreaterThan(1000);
  });
});
