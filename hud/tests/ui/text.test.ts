import { describe, expect, it } from 'vitest';
import { durationText, gammaText, lotsText, priceText, scoreText, shortLotsText, signedText, windowText } from '../../src/ui/text';
import { tickOf, ticksOf } from '../../src/units/price';
import { windowOf } from '../../src/units/time';

const TICK = tickOf(250_000_000n);
const end = (iso: string) => windowOf(BigInt(Date.parse(iso)) * 1_000_000n);

describe('times', () => {
  it('are New York times, from int64 nanoseconds, on both sides of both changes of the clock', () => {
    expect(windowText(end('2026-01-06T14:30:00Z'))).toBe('09:30:00');
    expect(windowText(end('2026-07-07T13:30:00Z'))).toBe('09:30:00');
    // 8 March 2026, 02:00 becomes 03:00; 1 November 2026, 02:00 becomes 01:00
    expect(windowText(end('2026-03-08T06:59:59Z'))).toBe('01:59:59');
    expect(windowText(end('2026-03-08T07:00:00Z'))).toBe('03:00:00');
    expect(windowText(end('2026-11-01T05:59:59Z'))).toBe('01:59:59');
    expect(windowText(end('2026-11-01T06:00:00Z'))).toBe('01:00:00');
    expect(windowText(end('2026-01-06T05:00:00Z'))).toBe('00:00:00');
  });
});

describe('numbers', () => {
  it('show prices of price_int with the decimals of the tick', () => {
    expect(priceText(ticksOf(6_953_750_000_000n, TICK), TICK)).toBe('6,953.75');
    expect(priceText(ticksOf(6_953_625_000_000n, TICK) + 0, TICK)).toMatch(/^6,953\.6[23]$/);
    expect(priceText(ticksOf(953_750_000_000n, TICK), TICK)).toBe('953.75');
    expect(priceText(ticksOf(0n, TICK), TICK)).toBe('–');
  });
  it('show lots in full and in four characters', () => {
    expect(lotsText(1234567)).toBe('1,234,567');
    expect([0, 7, 999, 1000, 1249, 9949, 9950, 12_345, 999_499, 1_200_000].map(shortLotsText)).toEqual(
      ['0', '7', '999', '1.0k', '1.2k', '9.9k', '10k', '12k', '999k', '1.2M']);
    expect(lotsText(Number.NaN)).toBe('–');
    expect(shortLotsText(Number.NaN)).toBe('–');
  });
  it('show signs, and none for zero', () => {
    expect([3, -3, 0, Number.NaN].map((value) => signedText(value, lotsText))).toEqual(['+3', '−3', '0', '–']);
    expect([0.004, -0.004, -0.006].map((value) => signedText(value, scoreText))).toEqual(['0.00', '0.00', '−0.01']);
  });
  it('show durations, scores and gamma', () => {
    expect([5, 65, 3599, 3600, 7384].map(durationText)).toEqual(['5 s', '1 min 05 s', '59 min 59 s', '1 h 00 min', '2 h 03 min']);
    expect(scoreText(0.456)).toBe('0.46');
    expect(scoreText(Number.NaN)).toBe('–');
    expect([0, 0.123, 12.34, 1234.5].map(gammaText)).toEqual(['0', '0.12', '12.3', '1,235']);
  });
});
