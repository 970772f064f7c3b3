import { describe, expect, it } from 'vitest';
import { NO_TICKS, pointsText, priceIntOf, tickOf, ticksOf, type Ticks } from '../../src/units/price';
import { atNewYork, newYorkDate, newYorkSecondOfDay, newYorkTime, windowEndNs, windowOf } from '../../src/units/time';

const TICK = tickOf(250_000_000n);

describe('prices', () => {
  it('are ticks, exactly', () => {
    expect(ticksOf(6_950_250_000_000n, TICK)).toBe(27_801);
    expect(ticksOf(6_950_375_000_000n, TICK)).toBe(27_801.5);
    expect(ticksOf(-250_000_000n, TICK)).toBe(-1);
    expect(priceIntOf(27_801 as Ticks, TICK)).toBe(6_950_250_000_000n);
  });

  it('know that 0 is no price', () => {
    expect(ticksOf(0n, TICK)).toBeNaN();
    expect(pointsText(NO_TICKS, TICK)).toBe('–');
  });

  it('show every decimal of the tick', () => {
    expect(pointsText(27_801 as Ticks, TICK)).toBe('6950.25');
    expect(tickOf(15_625_000n).decimals).toBe(6);
    expect(() => tickOf(0n)).toThrow(/tick size is 0/);
  });
});

describe('time', () => {
  it('names windows by whole seconds and refuses parts of one', () => {
    expect(windowOf(1_767_709_800_000_000_000n)).toBe(1_767_709_800);
    expect(windowEndNs(windowOf(1_767_709_800_000_000_000n))).toBe(1_767_709_800_000_000_000n);
    expect(() => windowOf(1_767_709_800_000_000_001n)).toThrow(/not the end of a window/);
  });

  it('is New York time, winter and summer', () => {
    expect(newYorkTime(1_767_709_800)).toBe('09:30:00');
    expect(newYorkDate(1_767_709_800)).toBe('2026-01-06');
    expect(newYorkTime(Date.UTC(2026, 6, 6, 13, 30) / 1000)).toBe('09:30:00');
    expect(newYorkSecondOfDay(Date.UTC(2026, 0, 6, 5, 0) / 1000)).toBe(0);
  });

  it('agrees with the calendar of the zone around every change of its offset and between', () => {
    const clock = new Intl.DateTimeFormat('en-GB', { timeZone: 'America/New_York', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
    const date = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/New_York' });
    const changes = [Date.UTC(2026, 2, 8, 7), Date.UTC(2026, 10, 1, 6), Date.UTC(2025, 2, 9, 7), Date.UTC(2025, 10, 2, 6)].map((ms) => ms / 1000);
    const seconds = changes.flatMap((change) => [-3601, -3600, -1, 0, 1, 1799, 3599, 3600, 5 * 3600 - 1].map((by) => change + by));
    for (let k = 0; k < 400; k++) seconds.push(1_735_700_000 + k * 86_399 + k * k);
    for (const second of seconds) {
      expect(newYorkTime(second)).toBe(clock.format(second * 1000));
      expect(newYorkDate(second)).toBe(date.format(second * 1000));
    }
  });

  it('finds a second of the day beside another', () => {
    expect(atNewYork(34_200, 1_767_712_345)).toBe(1_767_709_800);
  });
});
