/** Median of the values in a ring of places, kept in order as values come and go: a change moves numbers, sorts none. */
export class RunningMedian {
  private readonly ring: Float64Array;
  private readonly rising: Float64Array;
  private count = 0;

  /** @param places size of the ring */
  constructor(places: number) {
    this.ring = new Float64Array(places).fill(Number.NaN);
    this.rising = new Float64Array(places);
  }

  /** Values now in the ring. */
  get size(): number {
    return this.count;
  }

  clear(): void {
    this.ring.fill(Number.NaN);
    this.count = 0;
  }

  /** Replace all values: one per place, NaN for none. */
  load(values: ArrayLike<number>): void {
    this.clear();
    for (let place = 0; place < this.ring.length; place++) {
      const value = values[place]!;
      if (Number.isNaN(value)) continue;
      this.ring[place] = value;
      this.rising[this.count++] = value;
    }
    this.rising.subarray(0, this.count).sort();
  }

  /** Put a value at a place, NaN for none; what stood there is gone. */
  set(place: number, value: number): void {
    const before = this.ring[place]!;
    this.ring[place] = value;
    if (Object.is(before, value)) return;
    const { rising } = this;
    if (!Number.isNaN(before)) {
      const at = this.lowerBound(before);
      rising.copyWithin(at, at + 1, this.count);
      this.count--;
    }
    if (!Number.isNaN(value)) {
      const at = this.lowerBound(value);
      rising.copyWithin(at + 1, at, this.count);
      rising[at] = value;
      this.count++;
    }
  }

  /** The value at a place, NaN for none. */
  at(place: number): number {
    return this.ring[place]!;
  }

  /** The middle value, the mean of the two middle ones of an even number; NaN without values. */
  get median(): number {
    const { rising, count } = this;
    if (count === 0) return Number.NaN;
    const middle = count >> 1;
    return count % 2 === 1 ? rising[middle]! : (rising[middle - 1]! + rising[middle]!) / 2;
  }

  /** First place in order whose value is not below. */
  private lowerBound(value: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rising[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
