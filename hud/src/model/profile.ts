/** Volume by price since the trade date's start, and its point of control (spec 9.3, 10). */
import type { Ticks } from '../units/price';

export interface VolumeProfile {
  /** Prices with volume, rising, whole ticks. */
  readonly ticks: Float64Array;
  readonly buyQty: Float64Array;
  readonly sellQty: Float64Array;
  /** Volume of auctions, which have no aggressor. */
  readonly auctionQty: Float64Array;
  readonly totalQty: number;
  /** Price with the largest volume; of equals the lowest. NaN without volume. */
  readonly pointOfControl: Ticks;
  /** Largest volume at one price. */
  readonly peakQty: number;
}

/** Rows in any order; rows of the same price add up. */
export function volumeProfile(
  ticks: ArrayLike<number>, buyQty: ArrayLike<number>, sellQty: ArrayLike<number>, auctionQty?: ArrayLike<number>,
): VolumeProfile {
  const at = new Map<number, [number, number, number]>();
  for (let i = 0; i < ticks.length; i++) {
    const sums = at.get(ticks[i]!) ?? [0, 0, 0];
    sums[0] += buyQty[i]!;
    sums[1] += sellQty[i]!;
    sums[2] += auctionQty?.[i] ?? 0;
    at.set(ticks[i]!, sums);
  }
  const prices = Float64Array.from(at.keys()).sort();
  const pick = (k: 0 | 1 | 2): Float64Array => prices.map((price) => at.get(price)![k]);
  const [buy, sell, auction] = [pick(0), pick(1), pick(2)];
  let totalQty = 0;
  let pointOfControl = Number.NaN;
  let peakQty = 0;
  for (let i = 0; i < prices.length; i++) {
    const qty = buy[i]! + sell[i]! + auction[i]!;
    totalQty += qty;
    if (qty > peakQty) {
      peakQty = qty;
      pointOfControl = prices[i]!;
    }
  }
  return {
    ticks: prices, buyQty: buy, sellQty: sell, auctionQty: auction, totalQty,
    pointOfControl: pointOfControl as Ticks, peakQty,
  };
}

/** Volume of `count` rungs of `groupTicks` prices each, from `firstTicks` up; zeros without a profile. */
export function volumeOfRungs(profile: VolumeProfile | null, firstTicks: number, count: number, groupTicks: number): Float64Array {
  const qty = new Float64Array(count);
  if (profile === null) return qty;
  const { ticks, buyQty, sellQty, auctionQty } = profile;
  for (let i = 0; i < ticks.length; i++) {
    const rung = Math.floor((ticks[i]! - firstTicks) / groupTicks);
    if (rung >= 0 && rung < count) qty[rung]! += buyQty[i]! + sellQty[i]! + auctionQty[i]!;
  }
  return qty;
}
