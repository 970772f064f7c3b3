import { describe, expect, it } from 'vitest';
import { chainState, conventionsAgree, defaultExpiry, flipDistance, gammaLadder, type GammaProfile } from '../../src/model/gamma';
import type { WindowNo } from '../../src/units/time';
import { T0 } from './seconds';

// 2026-01-06 16:00 New York is 21:00 UTC
const CLOSE = Date.UTC(2026, 0, 6, 21) / 1000;
const win = (second: number): WindowNo => second as WindowNo;

describe('gamma', () => {
  it('is read in contracts per point, strikes without gamma left out', () => {
    const ladder = gammaLadder([40, 20, 60], [100, 0, 0], [50, 0, 250]);
    expect(ladder.strikes).toEqual([{ ticks: 40, call: 2, put: 1 }, { ticks: 60, call: 0, put: 5 }]);
    expect(ladder.largest).toBe(5);
  });

  it('knows the nearest of several flips, and none', () => {
    expect(flipDistance([90, 104.5, 130], 100)).toBe(4.5);
    expect(flipDistance([], 100)).toBeNaN();
  });

  it('sees whether the conventions agree about the sign', () => {
    const profile = (bandLow: number, bandHigh: number): GammaProfile => ({
      window: T0, net: 0, flips: [], centre: 0, topCall: 0, topPut: 0,
      conventions: { callMinusPut: 0, shortAll: 0, flow: 0 }, bandLow, bandHigh,
    });
    expect(conventionsAgree(profile(-3, -1))).toBe(true);
    expect(conventionsAgree(profile(-3, 1))).toBe(false);
    expect(conventionsAgree(profile(0, 1))).toBe(false);
  });
});

describe('0DTE chain', () => {
  it('ends at 16:00 New York, winter and summer', () => {
    expect(defaultExpiry(T0)).toBe(CLOSE);
    const summer = win(Date.UTC(2026, 6, 7, 14) / 1000);
    expect(defaultExpiry(summer)).toBe(Date.UTC(2026, 6, 7, 20) / 1000);
  });

  it('counts down in its last half hour and is expired at its end', () => {
    expect(chainState(win(CLOSE - 1801), CLOSE, [])).toEqual({ kind: 'live', secondsLeft: 1801, countdown: false });
    expect(chainState(win(CLOSE - 1800), CLOSE, [])).toEqual({ kind: 'live', secondsLeft: 1800, countdown: true });
    expect(chainState(win(CLOSE - 1), CLOSE, [])).toMatchObject({ kind: 'live', secondsLeft: 1 });
    expect(chainState(win(CLOSE), CLOSE, [])).toEqual({ kind: 'expired' });
  });

  it('is none when the manifests say that there is none', () => {
    expect(chainState(T0, CLOSE, ['no_oi'])).toMatchObject({ kind: 'none' });
    expect(chainState(T0, CLOSE, ['no_options: no option files'])).toMatchObject({ kind: 'none' });
    expect(chainState(T0, CLOSE, ['a word about no_oi'])).toMatchObject({ kind: 'live' });
  });
});
