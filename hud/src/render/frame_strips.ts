/**
 * The columns of a view, kept from frame to frame: `columnsOf` for a view that moved on with the head writes the
 * columns that came into view and those whose seconds changed. Everything else is as before, moved along.
 */
import { HISTORY_WINDOWS, type HistoryView } from '../model/history';
import { Made } from '../model/made';
import type { ViewportView } from '../model/viewport';
import { fillColumns, rowsOf, timeLines } from './geometry';

export class FrameStrips {
  private columns: Int32Array = new Int32Array(0);
  private pxPerSecond = Number.NaN;
  private dpr = Number.NaN;
  private leftPx = Number.NaN;
  private head = Number.NaN;
  private oldest = Number.NaN;
  private jumps = -1;
  private fills = -1;
  private rows: Int32Array = new Int32Array(0);
  private readonly rowsMade = new Made();
  private lines: ReadonlyMap<number, number> = new Map();
  private readonly linesMade = new Made();

  /**
   * Columns of the last view that may differ from what stood at the same pixels of the world before, as half-open
   * ranges; null: all of them. Beside a second that came its left neighbour, whose outline of holes looks there.
   */
  fresh: readonly (readonly [from: number, to: number])[] | null = null;

  /** As `columnsOf`; the array is written again by the next call. */
  columnsFor(view: ViewportView, history: HistoryView): Int32Array {
    const { widthPx } = view;
    const moved = view.leftPx - this.leftPx;
    const isNext = this.columns.length === 4 * widthPx && view.pxPerSecond === this.pxPerSecond && view.dpr === this.dpr
      && history.jumps === this.jumps && history.fills === this.fills && !history.isEmpty && history.head - this.head < HISTORY_WINDOWS
      && moved >= 0 && moved < widthPx;
    if (this.columns.length !== 4 * widthPx) this.columns = new Int32Array(4 * widthPx);
    const { columns } = this;
    const lines = this.linesFor(view);
    if (isNext) {
      if (moved > 0) columns.copyWithin(0, 4 * moved);
      const fresh = widthPx - moved;
      const ranges: [number, number][] = [];
      const fill = (from: number, to: number): void => {
        if (from >= to) return;
        fillColumns(columns, view, history, lines, from, to);
        ranges.push([from, to]);
      };
      // seconds after the old head arrived, those before the new oldest are gone; a pixel to spare for cells on an edge
      const xOf = (second: number): number => Math.min(fresh, Math.max(0, Math.floor(second * view.pxPerSecond) - view.leftPx));
      if (history.oldest !== this.oldest) fill(Math.max(0, xOf(this.oldest - 1) - 2), Math.min(fresh, xOf(history.oldest + 1) + 2));
      if (history.head !== this.head) fill(Math.max(0, xOf(this.head - 1) - 2), Math.min(fresh, xOf(history.head) + 2));
      fill(fresh, widthPx);
      this.fresh = ranges;
    } else {
      this.fresh = null;
      fillColumns(columns, view, history, lines, 0, widthPx);
    }
    this.pxPerSecond = view.pxPerSecond;
    this.dpr = view.dpr;
    this.leftPx = view.leftPx;
    this.head = history.head;
    this.oldest = history.oldest;
    this.jumps = history.jumps;
    this.fills = history.fills;
    return columns;
  }

  /** As `timeLines`; the same map while the view lies between the same minutes. */
  private linesFor(view: ViewportView): ReadonlyMap<number, number> {
    const [from, to] = [Math.floor(view.leftSecond / 60), Math.ceil(view.rightSecond / 60)];
    if (!this.linesMade.isFrom(from, to, view.pxPerSecond, view.dpr)) this.lines = timeLines(view);
    return this.lines;
  }

  /** As `rowsOf`; the same array while the view does not move in price. */
  rowsFor(view: ViewportView, ticksPerPoint: number): Int32Array {
    if (!this.rowsMade.isFrom(view.topPx, view.heightPx, view.pxPerTick, view.dpr, ticksPerPoint)) this.rows = rowsOf(view, ticksPerPoint);
    return this.rows;
  }
}
