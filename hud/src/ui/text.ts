/** Numbers as people read them. Nothing is rounded to something it is not: "–" is the word for unknown. */
import { pointsText, type Tick, type Ticks } from '../units/price';
import { newYorkTime, type WindowNo } from '../units/time';

export const NONE = '–';

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Lots with thousands separators. */
export function lotsText(qty: number): string {
  if (Number.isNaN(qty)) return NONE;
  // most numbers of lots are small, and the locale's formatter is slow
  return Number.isInteger(qty) && qty > -1000 && qty < 1000 && !Object.is(qty, -0) ? String(qty) : grouped.format(qty);
}

/** Lots in at most four characters: 812, 1.2k, 12k. */
export function shortLotsText(qty: number): string {
  if (Number.isNaN(qty)) return NONE;
  const size = Math.abs(qty);
  if (size < 1000) return String(Math.round(qty));
  if (size < 9950) return `${(qty / 1000).toFixed(1)}k`;
  if (size < 999_500) return `${Math.round(qty / 1000)}k`;
  return `${(qty / 1e6).toFixed(1)}M`;
}

/** With a sign, also a true minus; 0 has none, nor has what is shown as 0. */
export function signedText(value: number, text: (size: number) => string): string {
  if (Number.isNaN(value)) return NONE;
  const size = text(Math.abs(value));
  if (/^[0.]+$/.test(size)) return size;
  return value > 0 ? `+${size}` : value < 0 ? `−${size}` : size;
}

/** A score or a share of one, two decimals. */
export function scoreText(value: number): string {
  return Number.isNaN(value) ? NONE : value.toFixed(2);
}

/** 42 s, 3 min 05 s, 1 h 02 min. */
export function durationText(seconds: number): string {
  if (Number.isNaN(seconds)) return NONE;
  const whole = Math.round(Math.abs(seconds));
  if (whole < 60) return `${whole} s`;
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** The second a window covers, by the time it ends at, New York. */
export function windowText(window: WindowNo): string {
  return Number.isNaN(window) ? NONE : newYorkTime(window);
}

/** A price in points with thousands separators. */
export function priceText(ticks: number, tick: Tick): string {
  const text = pointsText(ticks as Ticks, tick);
  return text === NONE ? text : text.replace(/^(\d+)(\d{3})/, '$1,$2');
}

/** Gamma in contracts per point, about three digits. */
export function gammaText(contracts: number): string {
  if (Number.isNaN(contracts)) return NONE;
  const size = Math.abs(contracts);
  if (size >= 100 || size === 0) return grouped.format(contracts);
  return contracts.toFixed(size >= 10 ? 1 : 2);
}
