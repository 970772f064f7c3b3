/**
 * The ladder's numbers, rolled up from rows of wall_surface_1s: never from the planes.
 *
 * A second is kept as columns sorted by side and price, as the wall stores them. A level without a row holds
 * nothing. A second that is not held is unknown: a change over it is NaN, and sums say over how many seconds they run.
 */
import type { Ticks } from '../units/price';
import type { WindowNo } from '../units/time';
import { FlowSums } from './flow_sums';
import { BANDS, type Band, type Direction } from './history';

export const CHANGE_SECONDS = 5;
export const FLOW_SECONDS = 30;

/** What the ladder needs of the wall rows of one window, in the order of the table: asks by price, then bids by price. */
export interface LadderSecond {
  readonly window: WindowNo;
  /** Rows [0, askRows) are asks, the rest bids; ticks rise inside each. */
  readonly askRows: number;
  readonly ticks: Float64Array;
  /** Lots at the second's end; added and pulled within it. */
  readonly end: Int32Array;
  readonly add: Int32Array;
  readonly pull: Int32Array;
}

/** All that the wall says of one window. */
export interface WallSecond extends LadderSecond {
  readonly start: Int32Array;
  readonly rest: Int32Array;
  readonly pullRest: Int32Array;
  readonly fill: Int32Array;
}

export type Side = 'bid' | 'ask';

/** First row of [lo, hi) whose ticks are >= `ticks`. */
function lowerBound(values: Float64Array, lo: number, hi: number, ticks: number): number {
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (values[middle]! < ticks) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}

function rowsOf(second: LadderSecond, side: Side): readonly [number, number] {
  return side === 'ask' ? [0, second.askRows] : [second.askRows, second.ticks.length];
}

/** Row of a level, -1 when the second has none. */
export function rowAt(second: LadderSecond, side: Side, ticks: number): number {
  const [lo, hi] = rowsOf(second, side);
  const row = lowerBound(second.ticks, lo, hi, ticks);
  return row < hi && second.ticks[row] === ticks ? row : -1;
}

/** Largest distance from spot of each band in ticks (spec 5.5). */
const BAND_ENDS: Readonly<Record<Band, number>> = { at: 2, near: 5, mid: 14, far: 20 };

/** Levels with depth per band: asks at spot or above, bids at spot or below (spec 5.5, 5.6). */
export function bandLevels(second: LadderSecond, spotTicks: number): Record<Direction, Record<Band, number>> {
  const counted = (direction: Direction): Record<Band, number> => {
    const counts = { at: 0, near: 0, mid: 0, far: 0 };
    const sign = direction === 'above' ? 1 : -1;
    const [lo, hi] = rowsOf(second, direction === 'above' ? 'ask' : 'bid');
    const lowest = direction === 'above' ? spotTicks : spotTicks - BAND_ENDS.far;
    for (let row = lowerBound(second.ticks, lo, hi, lowest); row < hi; row++) {
      const distance = sign * (second.ticks[row]! - spotTicks);
      if (distance < 0 || distance > BAND_ENDS.far) break;
      if (second.end[row]! > 0) counts[BANDS.find((band) => distance <= BAND_ENDS[band])!]++;
    }
    return counts;
  };
  return { above: counted('above'), below: counted('below') };
}

/** Rungs in columns, from the lowest price up, without a gap: rung i holds `groupTicks` prices from `firstTicks + i * groupTicks` up. */
export interface LadderRungs {
  readonly window: WindowNo;
  readonly groupTicks: number;
  readonly firstTicks: Ticks;
  readonly count: number;
  readonly bidQty: Float64Array;
  readonly askQty: Float64Array;
  /** Change of bid and ask lots together against 5 s before; NaN when that second is not held. */
  readonly changeQty: Float64Array;
  readonly pulledQty: Float64Array;
  readonly addedQty: Float64Array;
  /** Seconds the sums run over: 30, or fewer right after the page was opened or data were missing. */
  readonly flowSeconds: number;
}

/** The rung that a price lies in, -1 when it is none of them. */
export function rungAt({ firstTicks, count, groupTicks }: LadderRungs, ticks: number): number {
  const rung = Math.floor((ticks - firstTicks) / groupTicks);
  return rung >= 0 && rung < count ? rung : -1;
}

/** Prices per rung, so that a rung is at least `minPx` high: 1, 2, 4 ticks, then whole points. */
export function groupTicksFor(pxPerTick: number, minPx: number, ticksPerPoint = 4): number {
  for (const ticks of [1, 2, ticksPerPoint, 2 * ticksPerPoint, 5 * ticksPerPoint, 10 * ticksPerPoint, 20 * ticksPerPoint]) {
    if (ticks * pxPerTick >= minPx) return ticks;
  }
  return 50 * ticksPerPoint;
}

/** The last seconds of the wall, newest wins; whatever is older than the flow needs is dropped. */
export class WallSeconds {
  private readonly held = new Map<WindowNo, LadderSecond>();
  private readonly flows = new FlowSums();
  /** Goes up with every change. */
  version = 0;

  clear(): void {
    this.held.clear();
    this.version++;
  }

  get(window: WindowNo): LadderSecond | undefined {
    return this.held.get(window);
  }

  add(second: LadderSecond): void {
    this.held.set(second.window, second);
    this.version++;
  }

  /** Drop what no ladder at `window` needs. */
  keepFor(window: WindowNo): void {
    for (const held of this.held.keys()) {
      if (held > window || held <= window - FLOW_SECONDS - 1) this.held.delete(held);
      this.version++;
    }
  }

  /** Windows of (window - 30, window] that are not held, as the range to ask for; null when all are there. */
  missing(window: WindowNo): { readonly after: WindowNo; readonly to: WindowNo } | null {
    for (let w = window - FLOW_SECONDS + 1; w <= window; w++) {
      if (!this.held.has(w as WindowNo)) return { after: (w - 1) as WindowNo, to: window };
    }
    return null;
  }

  /** Newest window held at or before `window`; NaN when none is. */
  newest(window: WindowNo): WindowNo {
    if (this.held.has(window)) return window;
    let best = Number.NaN;
    for (const held of this.held.keys()) if (held <= window && !(held <= best)) best = held;
    return best as WindowNo;
  }

  /** Rungs that cover [lowTicks, highTicks] as of `window`; null when that second is not held. */
  rungs(window: WindowNo, lowTicks: number, highTicks: number, groupTicks: number): LadderRungs | null {
    const now = this.held.get(window);
    if (now === undefined) return null;
    const first = Math.floor(lowTicks / groupTicks) * groupTicks;
    const count = Math.floor((highTicks - first) / groupTicks) + 1;
    const lots = (second: LadderSecond, side: Side, to: Float64Array): Float64Array => {
      const { ticks, end } = second;
      const [lo, hi] = rowsOf(second, side);
      for (let row = lowerBound(ticks, lo, hi, first); row < hi; row++) {
        const rung = Math.floor((ticks[row]! - first) / groupTicks);
        if (rung >= count) break;
        to[rung]! += end[row]!;
      }
      return to;
    };
    const bidQty = lots(now, 'bid', new Float64Array(count));
    const askQty = lots(now, 'ask', new Float64Array(count));
    const before = this.held.get((window - CHANGE_SECONDS) as WindowNo);
    const changeQty = before === undefined ? new Float64Array(count).fill(Number.NaN)
      : lots(before, 'ask', lots(before, 'bid', new Float64Array(count)));
    for (let rung = 0; rung < count; rung++) changeQty[rung] = bidQty[rung]! + askQty[rung]! - changeQty[rung]!;

    const { flows } = this;
    flows.cover((window - FLOW_SECONDS + 1) as WindowNo, window, this.held);
    const pulledQty = new Float64Array(count);
    const addedQty = new Float64Array(count);
    for (let rung = 0; rung < count; rung++) {
      pulledQty[rung] = flows.pulledQty(first + rung * groupTicks, groupTicks);
      addedQty[rung] = flows.addedQty(first + rung * groupTicks, groupTicks);
    }
    return {
      window, groupTicks, firstTicks: first as Ticks, count, bidQty, askQty, changeQty, pulledQty, addedQty, flowSeconds: flows.seconds,
    };
  }
}
