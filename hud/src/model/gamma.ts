/**
 * Gamma of the option chain as the right edge shows it (spec 7.2, 7.4, 10). Stored values are USD per point per
 * point; people read contracts per point, value / 50. It is one weekly chain on open interest of the day before,
 * not anyone's position.
 */
import type { WindowNo } from '../units/time';
import { atNewYork } from '../units/time';

/** USD a point of the future is worth. */
export const USD_PER_POINT = 50;
/** The countdown shows in the last half hour. */
export const COUNTDOWN_SECONDS = 1800;
/** The chain ends at 16:00 New York unless its definitions say otherwise. */
export const EXPIRY_SECOND_OF_DAY = 16 * 3600;

export function contractsPerPoint(usdPerPointSquared: number): number {
  return usdPerPointSquared / USD_PER_POINT;
}

export interface StrikeGamma {
  /** Strike in ticks of the future. */
  readonly ticks: number;
  /** Contracts per point, both >= 0. */
  readonly call: number;
  readonly put: number;
}

/** Strikes with gamma, rising; `largest` is the longest bar of the ladder. */
export interface GammaLadder {
  readonly strikes: readonly StrikeGamma[];
  readonly largest: number;
}

export function gammaLadder(
  ticks: ArrayLike<number>, callAbs: ArrayLike<number>, putAbs: ArrayLike<number>,
): GammaLadder {
  const strikes: StrikeGamma[] = [];
  let largest = 0;
  for (let i = 0; i < ticks.length; i++) {
    const call = contractsPerPoint(callAbs[i]!);
    const put = contractsPerPoint(putAbs[i]!);
    if (!(call > 0 || put > 0)) continue;
    strikes.push({ ticks: ticks[i]!, call, put });
    largest = Math.max(largest, call, put);
  }
  strikes.sort((a, b) => a.ticks - b.ticks);
  return { strikes, largest };
}

/** One row of gex_profile_1s, in contracts per point and ticks. */
export interface GammaProfile {
  readonly window: WindowNo;
  readonly net: number;
  /** All spots within 150 points where net gamma is zero, ticks, rising. */
  readonly flips: readonly number[];
  readonly centre: number;
  readonly topCall: number;
  readonly topPut: number;
  /** Net gamma under the three conventions, and their band. */
  readonly conventions: { readonly callMinusPut: number; readonly shortAll: number; readonly flow: number };
  readonly bandLow: number;
  readonly bandHigh: number;
}

/** Distance from spot to the nearest flip in ticks, NaN without one. */
export function flipDistance(flips: readonly number[], spotTicks: number): number {
  let best = Number.NaN;
  for (const flip of flips) {
    const distance = Math.abs(flip - spotTicks);
    if (!(distance >= best)) best = distance;
  }
  return best;
}

/** The conventions agree about the sign of net gamma. */
export function conventionsAgree(profile: GammaProfile): boolean {
  return profile.bandLow > 0 || profile.bandHigh < 0;
}

/** Whether there is a chain to speak of, and for how long. */
export type ChainState =
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'live'; readonly secondsLeft: number; readonly countdown: boolean }
  | { readonly kind: 'expired' };

/** 16:00 New York of the day `window` lies in. */
export function defaultExpiry(window: WindowNo): number {
  return atNewYork(EXPIRY_SECOND_OF_DAY, window);
}

const NO_CHAIN: Readonly<Record<string, string>> = {
  no_oi: 'no open interest in the data',
  no_options: 'no option data for this day',
  no_definitions: 'no definitions, so no option chain',
};

let asked: { readonly warnings: readonly string[]; readonly reason: string | null } = { warnings: [], reason: null };

/** What the warnings say about it; asked several times a second about the same ones. */
function whyNoChain(warnings: readonly string[]): string | null {
  if (warnings !== asked.warnings) {
    const found = Object.entries(NO_CHAIN).find(([word]) => (
      warnings.some((warning) => warning === word || warning.startsWith(`${word}:`) || warning.startsWith(`${word} `))
    ));
    asked = { warnings, reason: found?.[1] ?? null };
  }
  return asked.reason;
}

/**
 * State of the 0DTE chain at a window. `warnings` are those of the manifests; `expirySecond` comes from the
 * options' definitions, else `defaultExpiry`.
 */
export function chainState(window: WindowNo, expirySecond: number, warnings: readonly string[]): ChainState {
  const reason = whyNoChain(warnings);
  if (reason !== null) return { kind: 'none', reason };
  const secondsLeft = expirySecond - window;
  if (secondsLeft <= 0) return { kind: 'expired' };
  return { kind: 'live', secondsLeft, countdown: secondsLeft <= COUNTDOWN_SECONDS };
}
