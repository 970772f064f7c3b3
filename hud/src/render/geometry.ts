/**
 * Which cells a device pixel shows. Computed once per frame for every column and every row; both renderers read the
 * same integers, so neither does arithmetic of its own about place.
 *
 * Rule. At one pixel per cell or more, a pixel shows the cell its centre lies in. Below that, a pixel shows every
 * cell whose centre lies in it. So each cell is shown somewhere, belongs to exactly one pixel of the world, and
 * stays in that pixel however the view is moved.
 */
import { BOOK_VALID, History, HISTORY_WINDOWS, PHASE_OPEN, PRESENT, WINDOW_VALID, type HistoryView } from '../model/history';
import type { ViewportView } from '../model/viewport';
import { newYorkSecondOfDay } from '../units/time';
import type { WindowNo } from '../units/time';
import {
  COL_FIVE_MINUTES, COL_FUTURE, COL_INVALID, COL_LANDMARK, COL_MINUTE, COL_NO_DATA, COL_PHASE_SHIFT, ROW_CENTRE,
  ROW_FIVE_POINTS, ROW_PHASE_SHIFT, ROW_POINT,
} from './look';

/** Half-open range of whole cells and, for one cell, the pixel's place in it. */
export interface CellRange {
  readonly first: number;
  readonly count: number;
  /** Pixel's offset in the cell and the cell's size in pixels; 0 and 1 where a pixel holds several cells. */
  readonly offset: number;
  readonly size: number;
}

/**
 * Cells that pixel [px, px + 1) shows, cell i being [i * scale, (i + 1) * scale) - shift.
 * @param scale pixels per cell, > 0
 */
export function cellsOfPixel(px: number, scale: number, shift = 0): CellRange {
  /** First pixel whose centre lies in or behind cell i. */
  const start = (cell: number): number => Math.ceil(cell * scale - shift - 0.5);
  if (scale >= 1) {
    let first = Math.floor((px + 0.5 + shift) / scale);
    // where a centre lies on an edge, division and product may round apart; `start` decides
    if (px < start(first)) first--;
    else if (px >= start(first + 1)) first++;
    return { first, count: 1, offset: px - start(first), size: start(first + 1) - start(first) };
  }
  /** First cell whose centre lies in or behind pixel p; + 0 because -0 is no cell. */
  const cellFrom = (p: number): number => Math.ceil((p + shift) / scale - 0.5) + 0;
  return { first: cellFrom(px), count: cellFrom(px + 1) - cellFrom(px), offset: 0, size: 1 };
}

/** New York seconds of the day that get a line: 08:30, 09:30, 10:00, 14:00, 16:00 (spec 10, Time). */
export const LANDMARKS = [8.5, 9.5, 10, 14, 16].map((hour) => hour * 3600);

/**
 * Four integers per device column: slot of the first window (-1: nothing held), windows, bits, offset | size << 16.
 * A column is invalid when any of its windows is: book or window invalid, or the phase not open.
 */
export function columnsOf(view: ViewportView, history: HistoryView): Int32Array {
  const out = new Int32Array(view.widthPx * 4);
  fillColumns(out, view, history, timeLines(view), 0, view.widthPx);
  return out;
}

/** Columns [from, to) of `columnsOf`, in their places. @param lines from `timeLines` of the view */
export function fillColumns(
  out: Int32Array, view: ViewportView, history: HistoryView, lines: ReadonlyMap<number, number>, from: number, to: number,
): void {
  const { oldest, head } = history;
  for (let x = from; x < to; x++) {
    const px = view.leftPx + x;
    const cells = cellsOfPixel(px, view.pxPerSecond);
    // window w fills [w - 1, w): cell i of the axis is window i + 1
    const first = Math.max(cells.first + 1, history.isEmpty ? Infinity : oldest);
    const last = Math.min(cells.first + cells.count, head);
    let bits = (lines.get(px) ?? 0) | ((px & 15) << COL_PHASE_SHIFT);
    let slot = -1;
    let count = 0;
    if (first <= last) {
      slot = History.slot(first as WindowNo);
      count = last - first + 1;
      bits |= validity(history, slot, count);
    } else {
      bits |= cells.first + 1 > head ? COL_FUTURE : COL_NO_DATA;
    }
    out[4 * x] = slot;
    out[4 * x + 1] = count;
    out[4 * x + 2] = bits;
    out[4 * x + 3] = cells.offset | (cells.size << 16);
  }
}

function validity(history: HistoryView, slot: number, count: number): number {
  const all = PRESENT | BOOK_VALID | WINDOW_VALID;
  let present = 0;
  let invalid = false;
  for (let k = 0; k < count; k++) {
    const s = (slot + k) % HISTORY_WINDOWS;
    const flags = history.flags[s]!;
    if (!(flags & PRESENT)) continue;
    present++;
    if ((flags & all) !== all || history.phase[s] !== PHASE_OPEN) invalid = true;
  }
  return present === 0 ? COL_NO_DATA : invalid ? COL_INVALID : 0;
}

/** Bits of the time lines per pixel: a line stands on the pixel in which its instant lies. */
export function timeLines(view: ViewportView): ReadonlyMap<number, number> {
  const lines = new Map<number, number>();
  const fromMinute = Math.floor(view.leftSecond / 60);
  const toMinute = Math.ceil(view.rightSecond / 60);
  // a line each minute only where minutes are at least 12 px apart
  const every = view.pxPerSecond * 60 >= 12 * view.dpr ? 1 : 5;
  for (let minute = fromMinute; minute <= toMinute; minute++) {
    if (minute % every !== 0) continue;
    const px = Math.floor(minute * 60 * view.pxPerSecond);
    const five = minute % 5 === 0;
    const landmark = five && LANDMARKS.includes(newYorkSecondOfDay(minute * 60));
    lines.set(px, (lines.get(px) ?? 0) | (landmark ? COL_LANDMARK : five ? COL_FIVE_MINUTES : COL_MINUTE));
  }
  return lines;
}

/**
 * Four integers per device row: first tick (the lowest), ticks, bits, offset from the upper edge | size << 16.
 * @param ticksPerPoint ticks in one point of price, for the grid
 */
export function rowsOf(view: ViewportView, ticksPerPoint: number): Int32Array {
  const out = new Int32Array(view.heightPx * 4);
  const every = view.pxPerTick * ticksPerPoint >= 5 * view.dpr ? 1 : 5;
  const shift = view.pxPerTick / 2;
  for (let y = 0; y < view.heightPx; y++) {
    const px = view.topPx + y;
    // cell i of the axis, counted downwards, is tick -i; its centre lies at i * pxPerTick
    const cells = cellsOfPixel(px, view.pxPerTick, shift);
    const lowest = -(cells.first + cells.count - 1);
    let bits = (px & 15) << ROW_PHASE_SHIFT;
    if (cells.count > 1 || cells.offset === cells.size >> 1) {
      bits |= ROW_CENTRE;
      for (let tick = lowest; tick < lowest + cells.count; tick++) {
        if (tick % ticksPerPoint !== 0) continue;
        const five = (tick / ticksPerPoint) % 5 === 0;
        if (five) bits |= ROW_FIVE_POINTS;
        else if (every === 1) bits |= ROW_POINT;
      }
    }
    out[4 * y] = lowest;
    out[4 * y + 1] = cells.count;
    out[4 * y + 2] = bits;
    out[4 * y + 3] = cells.offset | (cells.size << 16);
  }
  return out;
}
