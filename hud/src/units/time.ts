/**
 * Time. The wire speaks int64 nanoseconds, which no JavaScript number holds. Windows are whole seconds on the
 * epoch grid, so inside the HUD a window is the whole second it ends at: `WindowNo` = window_end_ts_ns / 1e9.
 * Local time is New York time, through the IANA zone only (spec 1).
 */
import type { Nominal } from './nominal';

/** A window, named by the epoch second it ends at. Neighbours differ by 1. */
export type WindowNo = Nominal<number, 'WindowNo'>;
/** int64 nanoseconds since the epoch, UTC. */
export type TsNs = Nominal<bigint, 'TsNs'>;

export const WINDOW_NS = 1_000_000_000n;
/** Zone of every time label. */
export const LABEL_ZONE = 'America/New_York';

/** @throws RangeError when the time is not a window end. */
export function windowOf(windowEndNs: bigint): WindowNo {
  if (windowEndNs % WINDOW_NS !== 0n) throw new RangeError(`${windowEndNs} ns is not the end of a window`);
  return Number(windowEndNs / WINDOW_NS) as WindowNo;
}

export function windowEndNs(window: WindowNo): TsNs {
  return (BigInt(window) * WINDOW_NS) as TsNs;
}

const clock = new Intl.DateTimeFormat('en-GB', {
  timeZone: LABEL_ZONE, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});
const date = new Intl.DateTimeFormat('en-CA', { timeZone: LABEL_ZONE });

/** Zone's offset by whole UTC hours: it changes at whole hours only, and the calendar is slow to ask. */
const offsets = new Map<number, number>();
const KEPT_OFFSETS = 1000;

/** Seconds that New York is ahead of UTC at an epoch second; negative. */
function newYorkOffset(epochSecond: number): number {
  const hour = Math.floor(epochSecond / 3600);
  let offset = offsets.get(hour);
  if (offset === undefined) {
    const [h = 0, m = 0, s = 0] = clock.format(hour * 3_600_000).split(':').map(Number);
    const utc = mod(hour * 3600, 86_400);
    // the nearer of the two days: no zone is further away than that
    offset = mod(h * 3600 + m * 60 + s - utc + 43_200, 86_400) - 43_200;
    if (offsets.size >= KEPT_OFFSETS) offsets.clear();
    offsets.set(hour, offset);
  }
  return offset;
}

const mod = (a: number, n: number): number => ((a % n) + n) % n;
const TWO = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

/** HH:MM:SS in New York of an epoch second. */
export function newYorkTime(epochSecond: number): string {
  const ofDay = newYorkSecondOfDay(epochSecond);
  return `${TWO[Math.floor(ofDay / 3600)]}:${TWO[Math.floor(ofDay / 60) % 60]}:${TWO[ofDay % 60]}`;
}

/** HH:MM in New York. */
export function newYorkMinute(epochSecond: number): string {
  const ofDay = newYorkSecondOfDay(epochSecond);
  return `${TWO[Math.floor(ofDay / 3600)]}:${TWO[Math.floor(ofDay / 60) % 60]}`;
}

/** YYYY-MM-DD in New York. */
export function newYorkDate(epochSecond: number): string {
  const day = Math.floor((epochSecond + newYorkOffset(epochSecond)) / 86_400);
  if (day !== lastDate.day) lastDate = { day, text: date.format(epochSecond * 1000) };
  return lastDate.text;
}
let lastDate = { day: Number.NaN, text: '' };

/** Seconds since midnight in New York, 0 .. 86399. */
export function newYorkSecondOfDay(epochSecond: number): number {
  const whole = Math.floor(epochSecond);
  return mod(whole + newYorkOffset(whole), 86_400);
}

/** Epoch second of a wall-clock second of the New York day that holds `near`. */
export function atNewYork(secondOfDay: number, near: number): number {
  return near + secondOfDay - newYorkSecondOfDay(near);
}
