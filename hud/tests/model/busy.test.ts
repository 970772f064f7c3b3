import { describe, expect, it } from 'vitest';
import { busyQty } from '../../src/model/busy';
import { History, PRESENT } from '../../src/model/history';
import { numbers, windowRow } from '../samples/rows';
import { at } from './seconds';

/** The same by sorting. */
function plain(history: History, first: number, last: number): number {
  const sizes: number[] = [];
  for (let w = first; w <= last; w++) {
    const slot = w % 1800;
    if (history.flags[slot]! & PRESENT) sizes.push(history.buyQty[slot]!, history.sellQty[slot]!);
  }
  const rising = sizes.filter((qty) => qty > 0).sort((a, b) => a - b);
  return rising[Math.floor((rising.length - 1) * 0.99)] ?? 0;
}

describe('the size of busy seconds', () => {
  for (const most of [3, 300, 200_000]) {
    it(`is the 99th hundredth of sides that traded, of up to ${most} lots`, () => {
      const next = numbers(most);
      const history = new History();
      expect(busyQty(history, 0, 10)).toBe(0);
      for (let i = 0; i < 2500; i += next() < 0.05 ? 3 : 1) {
        const lots = (): number => (next() < 0.4 ? 0 : Math.floor(next() ** 4 * most));
        history.push(windowRow(at(i), 27_800, [], { buyQty: lots(), sellQty: lots() }));
        if (i % 50 > 2) continue;
        const first = at(Math.max(0, i - Math.floor(next() * 1799)));
        const from = Math.max(first, history.oldest);
        expect(busyQty(history, from, history.head)).toBe(plain(history, from, history.head));
      }
    });
  }
});
