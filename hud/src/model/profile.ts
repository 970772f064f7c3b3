/** Volume by price since the trade date's start, and its point of control (spec 9.3, 10). */
import type { Ticks } from '../units/price';

export interface VolumeProfile {
  /** Prices with volume, rising, whole ticks. */
  readonly ticks: Float64Array;
  readonly buyQty: Float64Array;
  readonly sellQty: Float64Array;
  /** Volume without an aggressor: auctions. */
  readonly otherQty: Float64Array;
  readonly totalQty: number;
  /** Price with the largest volume; of several the one nearest to the volume's mean price. NaN without volume. */
  readonly pointOfControl: Ticks;
  /** Largest volume at one price. */
  readonly peakQty: number;
}

/** Rows in any order; rows of the same price add up. */
export function volumeProfile(
  ticks: ArrayLike<number>, buyQty: ArrayLike<number>, sellQty: ArrayLike<number>, otherQty?: ArrayLike<number>,
): VolumeProfile {
  const at = new Map<number, [number, number, number]>();
  for (let i = 0; i < ticks.length; i++) {
    const sums = at.get(ticks[i]!) ?? [0, 0, 0];
    sums[0] += buyQty[i]!;
    sums[1] += sellQty[i]!;
    sums[2] += otherQty?.[i] ?? 0;
    at.set(ticks[i]!, sums);
  }
  const prices = Float64Array.from(at.keys()).sort();
  const pick = (k: 0 | 1 | 2): Float64Array => prices.map((price) => at.get(price)![k]);
  const [buy, sell, other] = [pick(0), pick(1), pick(2)];
  let totalQty = 0;
  let moment = 0;
  let peakQty = 0;
  for (let i = 0; i < prices.length; i++) {
    const qty = buy[i]! + sell[i]! + other[i]!;
    totalQty += qty;
    moment += qty * prices[i]!;
    peakQty = Math.max(peakQty, qty);
  }
  const mean = moment / totalQty;
  let pointOfControl = Number.NaN;
  for (let i = 0; i < prices.length; i++) {
    if (peakQty === 0 || buy[i]! + sell[i]! + other[i]! !== peakQty) continue;
    if (!(Math.abs(pointOfControl - mean) <= Math.abs(prices[i]! - mean))) pointOfControl = prices[i]!;
  }
  return {
    ticks: prices, buyQty: buy, sellQty: sell, otherQty: other, totalQty,
    pointOfControl: pointOfControl as Ticks, peakQty,
  };
}

/** Volume at prices [lowTicks, highTicks). */
export function volumeBetween(profile: VolumeProfile, lowTicks: number, highTicks: number): number {
  let sum = 0;
  for (let i = 0; i < profile.ticks.length; i++) {
    const price = profile.ticks[i]!;
    if (price >= lowTicks && price < highTicks) sum += profile.buyQty[i]! + profile.sellQty[i]! + profile.otherQty[i]!;
  }
  return sum;
}
