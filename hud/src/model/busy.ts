/** How large a busy second is, for a scale that one burst does not flatten. */
import { HISTORY_WINDOWS, PRESENT, type HistoryView } from './history';

/** How many sides of seconds have each number of lots, the last place for all above. */
const counts = new Int32Array(4096);

/** 99th hundredth of the lots of a side in seconds `first` to `last`: of those that traded, quiet ones say nothing about busy ones. */
export function busyQty(history: HistoryView, first: number, last: number): number {
  const { flags, buyQty, sellQty } = history;
  const most = counts.length - 1;
  counts.fill(0);
  let count = 0;
  for (let w = first, slot = first % HISTORY_WINDOWS; w <= last; w++) {
    if ((flags[slot]! & PRESENT) !== 0) {
      if (buyQty[slot]! > 0) { counts[Math.min(most, buyQty[slot]!)]!++; count++; }
      if (sellQty[slot]! > 0) { counts[Math.min(most, sellQty[slot]!)]!++; count++; }
    }
    if (++slot === HISTORY_WINDOWS) slot = 0;
  }
  if (count === 0) return 0;
  let rank = Math.floor((count - 1) * 0.99);
  for (let qty = 0; qty < most; qty++) {
    rank -= counts[qty]!;
    if (rank < 0) return qty;
  }
  // a burst beyond the table: in order, once in a while
  const rising: number[] = [];
  for (let w = first; w <= last; w++) {
    const slot = w % HISTORY_WINDOWS;
    if ((flags[slot]! & PRESENT) !== 0) for (const qty of [buyQty[slot]!, sellQty[slot]!]) if (qty >= most) rising.push(qty);
  }
  return rising.sort((x, y) => x - y)[rank]!;
}
