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

/** HH:MM:SS in New York of an epoch second. */
export function newYorkTime(epochSecond: number): string {
  return clock.format(epochSecond * 1000);
}

/** HH:MM in New York. */
export function newYorkMinute(epochSecond: number): string {
  return newYorkTime(epochSecond).slice(0, 5);
}

/** YYYY-MM-DD in New York. */
export function newYorkDate(epochSecond: number): string {
  return date.format(epochSecond * 1000);
}

/** Seconds since midnight in New York, 0 .. 86399. */
export function newYorkSecondOfDay(epochSecond: number): number {
  const [h = 0, m = 0, s = 0] = newYorkTime(epochSecond).split(':').map(Number);
  return h * 3600 + m * 60 + s;
}

/** Epoch second of a wall-clock second of the New York day that holds `near`. */
export function atNewYork(secondOfDay: number, near: number): number {
  return near + secondOfDay - newYorkSecondOfDay(near);
}
