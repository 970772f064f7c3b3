/**
 * Half an hour of seconds, as arrays.
 *
 * Laws. 1 Slot of a window = window mod 1800, for ever: a window never moves, a new one overwrites the one half
 *         an hour before it. So a texture row is uploaded once.
 *       2 `head` is the newest window, `oldest` the oldest one still held; between them every second has a slot.
 *       3 A skipped second is an absent slot (flag 0): black is never the word for "unknown".
 *       4 Going back moves `head`; what was ahead of it is gone.
 */
import { NO_TICKS, type Ticks } from '../units/price';
import type { WindowNo } from '../units/time';
import { BAND_COMPONENTS, BANDS, DIRECTIONS, HISTORY_WINDOWS, PHASES } from '../wire/schema.gen';
import { GEX_NEUTRAL, HUD_ROWS, PLANES, type PlaneName } from './planes';

export { BAND_COMPONENTS, BANDS, DIRECTIONS, HISTORY_WINDOWS, PHASES };

/** Flag bits of a slot. */
export const PRESENT = 1;
export const BOOK_VALID = 2;
export const WINDOW_VALID = 4;

export type Phase = (typeof PHASES)[number];
export const PHASE_OPEN = 2;

/** Scores of a window (spec 5.5, 5.6), in [0, 1]. */
export const SCORES = [
  'above_score', 'below_score', 'vacuum_total_score', 'above_touch_score', 'below_touch_score',
] as const;
export type ScoreName = (typeof SCORES)[number];

export const COMPONENTS = ['wall_strength_norm', 'wall_erosion_norm', 'vacuum_norm'] as const;
export type Direction = (typeof DIRECTIONS)[number];
export type Band = (typeof BANDS)[number];
export type Component = (typeof COMPONENTS)[number];
export type BandComponentName = (typeof BAND_COMPONENTS)[number];

/** What a panel may read of the history. Every column has 1800 slots; `slotOf` finds the slot of a window. */
export interface HistoryView {
  /** Newest window; NaN while empty. */
  readonly head: WindowNo;
  /** Oldest window held; NaN while empty. */
  readonly oldest: WindowNo;
  readonly isEmpty: boolean;
  /** Goes up whenever any slot changed: a cheap key for caches. */
  readonly version: number;
  /** Goes up when it changed otherwise than by later seconds: whatever was made from slots before is void. */
  readonly jumps: number;
  /** Goes up when older seconds came in before those held: what was summed up over the half hour is void. */
  readonly fills: number;
  /** Slot of a window held and present, else -1. */
  slotOf(window: WindowNo): number;
  /** Flag bits PRESENT, BOOK_VALID, WINDOW_VALID. */
  readonly flags: Uint8Array;
  /** Code of the phase, an index of PHASES. */
  readonly phase: Uint8Array;
  /** Ticks; NaN where there is none. Mid may be a half. */
  readonly spot: Float64Array;
  readonly bestBid: Float64Array;
  readonly bestAsk: Float64Array;
  readonly mid: Float64Array;
  /** Contracts traded by aggressor side. */
  readonly buyQty: Int32Array;
  readonly sellQty: Int32Array;
  readonly scores: Readonly<Record<ScoreName, Float64Array>>;
  readonly bands: Readonly<Record<BandComponentName, Float32Array>>;
  /** 1800 rows of 1201 bytes each: row = slot, byte = rel_ticks + 600. */
  readonly planes: Readonly<Record<PlaneName, Uint8Array>>;
}

/** One window, on its way into the history. Ticks are NaN where there is no price. */
export interface WindowRow {
  readonly window: WindowNo;
  readonly bookValid: boolean;
  readonly windowValid: boolean;
  readonly phase: number;
  readonly spot: Ticks;
  readonly bestBid: Ticks;
  readonly bestAsk: Ticks;
  readonly mid: Ticks;
  readonly buyQty: number;
  readonly sellQty: number;
  readonly scores: Readonly<Record<ScoreName, number>>;
  readonly bands: ArrayLike<number>;
  /** 1201 bytes each. */
  readonly planes: Readonly<Record<PlaneName, Uint8Array>>;
}

/** Windows in a row of a table, oldest first and rising: the columns of `WindowRow`, planes one after the other. */
export interface WindowBlock {
  readonly windows: Float64Array;
  readonly bookValid: Uint8Array;
  readonly windowValid: Uint8Array;
  readonly phase: ArrayLike<number>;
  readonly spot: Float64Array;
  readonly bestBid: Float64Array;
  readonly bestAsk: Float64Array;
  readonly mid: Float64Array;
  readonly buyQty: ArrayLike<number>;
  readonly sellQty: ArrayLike<number>;
  readonly scores: Readonly<Record<ScoreName, ArrayLike<number>>>;
  readonly bands: Readonly<Record<BandComponentName, ArrayLike<number>>>;
  /** 1201 bytes for each window. */
  readonly planes: Readonly<Record<PlaneName, Uint8Array>>;
}

const column = (): Float64Array => new Float64Array(HISTORY_WINDOWS).fill(NO_TICKS);

function perName<Name extends string, T>(names: readonly Name[], make: () => T): Record<Name, T> {
  return Object.fromEntries(names.map((name) => [name, make()])) as Record<Name, T>;
}

export class History implements HistoryView {
  head = Number.NaN as WindowNo;
  oldest = Number.NaN as WindowNo;
  version = 0;
  jumps = 0;
  fills = 0;
  readonly flags = new Uint8Array(HISTORY_WINDOWS);
  readonly phase = new Uint8Array(HISTORY_WINDOWS);
  readonly spot = column();
  readonly bestBid = column();
  readonly bestAsk = column();
  readonly mid = column();
  readonly buyQty = new Int32Array(HISTORY_WINDOWS);
  readonly sellQty = new Int32Array(HISTORY_WINDOWS);
  readonly scores = perName(SCORES, () => new Float64Array(HISTORY_WINDOWS));
  readonly bands = perName(BAND_COMPONENTS, () => new Float32Array(HISTORY_WINDOWS));
  readonly planes = perName(PLANES, () => new Uint8Array(HISTORY_WINDOWS * HUD_ROWS));

  constructor() {
    this.planes.gex_imbalance_u8.fill(GEX_NEUTRAL);
  }

  get isEmpty(): boolean {
    return Number.isNaN(this.head);
  }

  static slot(window: WindowNo): number {
    return window % HISTORY_WINDOWS;
  }

  slotOf(window: WindowNo): number {
    if (!(window >= this.oldest && window <= this.head)) return -1;
    const slot = History.slot(window);
    return this.flags[slot]! & PRESENT ? slot : -1;
  }

  /**
   * Append a window. k skipped seconds become k absent slots; a window at or before the head moves the head
   * back to it. Returns the slots that changed, in order.
   */
  push(row: WindowRow): number[] {
    const changed: number[] = [];
    if (this.isEmpty || row.window - this.head > HISTORY_WINDOWS) {
      this.clear();
      this.oldest = row.window;
    } else if (row.window <= this.head) {
      this.rewind(row.window);
      this.jumps++; // the window itself is written again
      if (this.isEmpty) this.oldest = row.window;
    } else {
      for (let w = this.head + 1; w < row.window; w++) changed.push(this.erase(w as WindowNo));
    }
    const slot = History.slot(row.window);
    this.write(slot, row);
    changed.push(slot);
    this.head = row.window;
    this.oldest = Math.max(this.oldest, row.window - HISTORY_WINDOWS + 1) as WindowNo;
    this.version++;
    return changed;
  }

  /** Forget what lies after `window`. Before the oldest window held nothing is left. */
  rewind(window: WindowNo): void {
    if (this.isEmpty || window >= this.head) return;
    if (window < this.oldest) return this.clear();
    for (let w = window + 1; w <= this.head; w++) this.erase(w as WindowNo);
    this.head = window;
    this.version++;
    this.jumps++;
  }

  clear(): void {
    this.head = Number.NaN as WindowNo;
    this.oldest = Number.NaN as WindowNo;
    for (let slot = 0; slot < HISTORY_WINDOWS; slot++) this.eraseSlot(slot);
    this.version++;
    this.jumps++;
  }

  /** These windows, at most the newest 1800 of them, in place of whatever was held. */
  load(block: WindowBlock): void {
    const head = block.windows.at(-1);
    if (head === undefined) return this.clear();
    const from = firstFrom(block.windows, head - HISTORY_WINDOWS + 1);
    const taken = new Set<number>();
    for (let i = from; i < block.windows.length; i++) taken.add(History.slot(block.windows[i] as WindowNo));
    for (let slot = 0; slot < HISTORY_WINDOWS; slot++) if (!taken.has(slot)) this.eraseSlot(slot);
    this.writeBlock(block, from, block.windows.length);
    this.head = head as WindowNo;
    this.oldest = block.windows[from] as WindowNo;
    this.version++;
    this.jumps++;
  }

  /** Older windows, in front of those held; what is too old by now, or not older, is passed over. */
  fill(block: WindowBlock): void {
    if (this.isEmpty) return;
    const from = firstFrom(block.windows, this.head - HISTORY_WINDOWS + 1);
    const to = firstFrom(block.windows, this.oldest);
    if (from >= to) return;
    this.writeBlock(block, from, to);
    this.oldest = block.windows[from] as WindowNo;
    this.version++;
    this.fills++;
  }

  private erase(window: WindowNo): number {
    const slot = History.slot(window);
    this.eraseSlot(slot);
    return slot;
  }

  private eraseSlot(slot: number): void {
    if (this.flags[slot] === 0) return; // is bare already
    this.flags[slot] = 0;
    this.phase[slot] = 0;
    this.spot[slot] = this.bestBid[slot] = this.bestAsk[slot] = this.mid[slot] = NO_TICKS;
    this.buyQty[slot] = this.sellQty[slot] = 0;
    for (const name of SCORES) this.scores[name][slot] = 0;
    for (const name of BAND_COMPONENTS) this.bands[name][slot] = 0;
    for (const name of PLANES) {
      const nothing = name === 'gex_imbalance_u8' ? GEX_NEUTRAL : 0;
      this.planes[name].fill(nothing, slot * HUD_ROWS, (slot + 1) * HUD_ROWS);
    }
  }

  private write(slot: number, row: WindowRow): void {
    this.flags[slot] = PRESENT | (row.bookValid ? BOOK_VALID : 0) | (row.windowValid ? WINDOW_VALID : 0);
    this.phase[slot] = row.phase;
    this.spot[slot] = row.spot;
    this.bestBid[slot] = row.bestBid;
    this.bestAsk[slot] = row.bestAsk;
    this.mid[slot] = row.mid;
    this.buyQty[slot] = row.buyQty;
    this.sellQty[slot] = row.sellQty;
    for (const name of SCORES) this.scores[name][slot] = row.scores[name];
    BAND_COMPONENTS.forEach((name, i) => { this.bands[name][slot] = row.bands[i] ?? 0; });
    for (const name of PLANES) this.planes[name].set(row.planes[name], slot * HUD_ROWS);
  }

  /** Rows [from, to) of a block, each to its slot; neighbours are copied together. */
  private writeBlock(block: WindowBlock, from: number, to: number): void {
    for (let i = from; i < to;) {
      const first = block.windows[i]!;
      const slot = History.slot(first as WindowNo);
      let count = 1;
      while (i + count < to && slot + count < HISTORY_WINDOWS && block.windows[i + count] === first + count) count++;
      this.writeRun(block, i, slot, count);
      i += count;
    }
  }

  private writeRun(block: WindowBlock, from: number, slot: number, count: number): void {
    for (let k = 0; k < count; k++) {
      this.flags[slot + k] = PRESENT | (block.bookValid[from + k] ? BOOK_VALID : 0) | (block.windowValid[from + k] ? WINDOW_VALID : 0);
    }
    const copy = (to: { [i: number]: number }, source: ArrayLike<number>): void => {
      for (let k = 0; k < count; k++) to[slot + k] = source[from + k]!;
    };
    copy(this.phase, block.phase);
    for (const name of ['spot', 'bestBid', 'bestAsk', 'mid', 'buyQty', 'sellQty'] as const) copy(this[name], block[name]);
    for (const name of SCORES) copy(this.scores[name], block.scores[name]);
    for (const name of BAND_COMPONENTS) copy(this.bands[name], block.bands[name]);
    for (const name of PLANES) {
      this.planes[name].set(block.planes[name].subarray(from * HUD_ROWS, (from + count) * HUD_ROWS), slot * HUD_ROWS);
    }
  }
}

/** Index of the first of rising numbers that is not below `least`. */
function firstFrom(rising: Float64Array, least: number): number {
  let i = 0;
  while (i < rising.length && rising[i]! < least) i++;
  return i;
}
