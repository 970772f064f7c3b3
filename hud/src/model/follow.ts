/** Where the view should be: opening size, zoom steps, following of time and price (spec 10, View). */
import type { WindowNo } from '../units/time';
import { Viewport } from './viewport';

/** Opening view: +-40 ticks x 10 min on a small screen, +-70 ticks x 18 min on a large one, 6 px a tick at least. */
const SMALL = { height: 514, width: 896, halfTicks: 40, minutes: 10 };
const LARGE = { height: 1116, width: 1946, halfTicks: 70, minutes: 18 };
export const MIN_PX_PER_TICK = 6;
/** Limits of the zoom in CSS pixels: an order book is not a microscope, and 64 cells a pixel are enough. */
const LIMITS = { pxPerTick: [0.25, 48], pxPerSecond: [0.25, 48] } as const;
/** The mid may wander in the middle third before the picture moves. */
const FREE_SHARE = 1 / 6;
/** The picture eases to the mid: two thirds of the way in this time. */
export const EASE_MS = 140;

export interface Span {
  readonly minutes: number;
  readonly halfTicks: number;
}

/** Opening span of a heatmap of that many CSS pixels. */
export function openingSpan(widthCss: number, heightCss: number): Span {
  const along = (value: number, from: number, to: number): number =>
    Math.min(1.3, Math.max(-0.6, (value - from) / (to - from)));
  const down = along(heightCss, SMALL.height, LARGE.height);
  const across = along(widthCss, SMALL.width, LARGE.width);
  const halfTicks = SMALL.halfTicks + down * (LARGE.halfTicks - SMALL.halfTicks);
  return {
    halfTicks: Math.max(8, Math.min(halfTicks, heightCss / 2 / MIN_PX_PER_TICK)),
    minutes: SMALL.minutes + across * (LARGE.minutes - SMALL.minutes),
  };
}

/** Device pixels per tick for +-halfTicks: whole from 3 on, so that every tick is equally high. */
export function scaleOfHalfTicks(halfTicks: number, heightPx: number, dpr: number): number {
  return tidyScale(clampScale(heightPx / (2 * halfTicks), LIMITS.pxPerTick, dpr));
}

export function scaleOfMinutes(minutes: number, widthPx: number, roomSeconds: number, dpr: number): number {
  return clampScale(widthPx / (minutes * 60 + roomSeconds), LIMITS.pxPerSecond, dpr);
}

export function clampPriceScale(pxPerTick: number, dpr: number): number {
  return clampScale(pxPerTick, LIMITS.pxPerTick, dpr);
}
export function clampTimeScale(pxPerSecond: number, dpr: number): number {
  return clampScale(pxPerSecond, LIMITS.pxPerSecond, dpr);
}

function clampScale(scale: number, [low, high]: readonly [number, number], dpr: number): number {
  return Math.min(high * dpr, Math.max(low * dpr, scale));
}

/** Whole pixels per cell where a cell has three or more. */
export function tidyScale(scale: number): number {
  return scale >= 3 ? Math.floor(scale) : scale;
}

/** World x of the left edge when the head stands `roomSeconds` before the right edge. */
export function leftOfHead(view: Viewport, head: WindowNo, roomSeconds: number): number {
  return Math.round((head + roomSeconds) * view.pxPerSecond) - view.widthPx;
}

/** World y of the upper edge with that price in the middle. */
export function topOfCentre(view: Viewport, ticks: number): number {
  return Math.round(-ticks * view.pxPerTick - view.heightPx / 2);
}

/** Upper edge to go to: the one that centres `mid` when it left the middle third of the view, else the present one. */
export function wantedTop(view: Viewport, mid: number): number {
  if (!view.followPrice || Number.isNaN(mid)) return view.topPx;
  const centre = topOfCentre(view, mid);
  return Math.abs(centre - view.topPx) > view.heightPx * FREE_SHARE ? centre : view.topPx;
}

/** One frame of easing from `now` to `target`, whole pixels, at least one. */
export function easeStep(now: number, target: number, elapsedMs: number): number {
  const step = (target - now) * (1 - Math.exp(-Math.max(1, elapsedMs) / EASE_MS));
  return now + Math.sign(step) * Math.max(1, Math.round(Math.abs(step)));
}
