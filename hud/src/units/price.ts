/**
 * Prices. On the wire they are int64 in 1e-9 points and arrive as BigInt; inside the HUD they are ticks of the
 * contract, whole for every price an order can have and halves for a mid. Points exist only as text.
 */
import type { Nominal } from './nominal';

/** A price counted in ticks from zero. 0 on the wire means "none" and becomes NaN here. */
export type Ticks = Nominal<number, 'Ticks'>;

/** A distance from spot in ticks; the row of a plane is `relTicks + 600`. */
export type RelTicks = Nominal<number, 'RelTicks'>;

/** int64 in 1e-9 points, as DBN and Arrow hold it. */
export type PriceInt = Nominal<bigint, 'PriceInt'>;

/** "No price", the HUD's word for the 0 of the wire. It is NaN: comparisons with it are false. */
export const NO_TICKS = Number.NaN as Ticks;

/** What one tick is worth: its size as it comes from the hello message. */
export interface Tick {
  /** Size in 1e-9 points, for example 250000000n. */
  readonly int: PriceInt;
  /** Size in points, for display only. */
  readonly points: number;
  /** Decimals that show every multiple of the tick. */
  readonly decimals: number;
}

/** @throws RangeError when the size is not positive. */
export function tickOf(int: bigint): Tick {
  if (int <= 0n) throw new RangeError(`tick size is ${int}, expected a positive number of 1e-9 points`);
  const text = (int % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return { int: int as PriceInt, points: Number(int) / 1e9, decimals: Math.max(2, text.length) };
}

/** Ticks of a price; NaN for 0 ("none"). Exact: both numbers lie far below 2^53 ticks. */
export function ticksOf(price: bigint, tick: Tick): Ticks {
  if (price === 0n) return NO_TICKS;
  const whole = price / tick.int;
  const rest = price - whole * tick.int;
  return (Number(whole) + Number(rest) / Number(tick.int)) as Ticks;
}

/** Price in 1e-9 points of whole ticks, for a request to the service. */
export function priceIntOf(ticks: Ticks, tick: Tick): PriceInt {
  return (BigInt(Math.round(ticks)) * tick.int) as PriceInt;
}

/** Points as text with the decimals of the tick; "–" for none. */
export function pointsText(ticks: Ticks, tick: Tick, decimals = tick.decimals): string {
  return Number.isNaN(ticks) ? '–' : (ticks * tick.points).toFixed(decimals);
}
