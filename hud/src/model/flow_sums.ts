/**
 * Lots pulled and added at each price over the last seconds, kept as seconds come and go: a second more adds its own
 * rows and takes back those of the second that leaves. Sums of whole lots, so they are exact in any order.
 */
import type { WindowNo } from '../units/time';
import type { LadderSecond } from './ladder';

/** Prices that have sums beyond those of the seconds at the start: room to move before the sums are made anew. */
const ROOM_TICKS = 2048;

export class FlowSums {
  private pulled = new Float64Array(0);
  private added = new Float64Array(0);
  private firstTicks = 0;
  private readonly inside = new Map<WindowNo, LadderSecond>();

  /** Seconds that the sums run over. */
  get seconds(): number {
    return this.inside.size;
  }

  /** Make them the sums of these seconds, whatever they were before; a window that `held` does not know counts nothing. */
  cover(first: WindowNo, last: WindowNo, held: ReadonlyMap<WindowNo, LadderSecond>): void {
    for (const second of this.inside.values()) {
      const { window } = second;
      if (window >= first && window <= last && held.get(window) === second) continue;
      this.inside.delete(window);
      this.count(second, -1);
    }
    for (let window = first; window <= last; window++) {
      const second = held.get(window);
      if (second === undefined || this.inside.has(window)) continue;
      if (!this.reaches(second)) {
        this.restart(first, last, held);
        return this.cover(first, last, held);
      }
      this.inside.set(window, second);
      this.count(second, 1);
    }
  }

  /** Sums over the prices [lowTicks, lowTicks + ticks). */
  pulledQty(lowTicks: number, ticks: number): number {
    return this.sum(this.pulled, lowTicks, ticks);
  }
  addedQty(lowTicks: number, ticks: number): number {
    return this.sum(this.added, lowTicks, ticks);
  }

  private sum(values: Float64Array, lowTicks: number, ticks: number): number {
    let sum = 0;
    const from = Math.max(0, lowTicks - this.firstTicks);
    const to = Math.min(values.length, lowTicks + ticks - this.firstTicks);
    for (let i = from; i < to; i++) sum += values[i]!;
    return sum;
  }

  private count({ ticks, pull, add }: LadderSecond, sign: 1 | -1): void {
    const { pulled, added, firstTicks } = this;
    for (let row = 0; row < ticks.length; row++) {
      const i = ticks[row]! - firstTicks;
      pulled[i]! += sign * pull[row]!;
      added[i]! += sign * add[row]!;
    }
  }

  /** Whether all prices of a second have sums. */
  private reaches(second: LadderSecond): boolean {
    const [low, high] = priceRange(second);
    return low > high || (low >= this.firstTicks && high < this.firstTicks + this.pulled.length);
  }

  /** Forget everything; from now on the prices of these seconds have sums. */
  private restart(first: WindowNo, last: WindowNo, held: ReadonlyMap<WindowNo, LadderSecond>): void {
    this.inside.clear();
    let [low, high] = [Infinity, -Infinity];
    for (let window = first; window <= last; window++) {
      const second = held.get(window);
      if (second === undefined) continue;
      const [from, to] = priceRange(second);
      low = Math.min(low, from);
      high = Math.max(high, to);
    }
    this.firstTicks = low - ROOM_TICKS;
    this.pulled = new Float64Array(high - low + 1 + 2 * ROOM_TICKS);
    this.added = new Float64Array(this.pulled.length);
  }
}

/** Lowest and highest price of a second, whose rows rise within each side; low > high without rows. */
function priceRange({ ticks, askRows }: LadderSecond): readonly [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const row of [0, askRows - 1, askRows, ticks.length - 1]) {
    if (row < 0 || row >= ticks.length) continue;
    if (ticks[row]! < low) low = ticks[row]!;
    if (ticks[row]! > high) high = ticks[row]!;
  }
  return [low, high];
}
