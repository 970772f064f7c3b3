/**
 * What the score panel shows, as arithmetic over the history (spec 10, Scores).
 *
 * One-second scores are noise to the eye, so a reading has four parts: the exponential mean that a bar shows, the
 * raw value of the second as its ghost, the running median of the half hour, and the deviation of the mean from
 * that median with a dead zone. Everything is a function of windows up to the one asked for: a seek gives the same
 * reading as a replay.
 */
import type { WindowNo } from '../units/time';
import {
  BANDS, DIRECTIONS, HISTORY_WINDOWS, PHASES, PHASE_OPEN, PRESENT, WINDOW_VALID,
  type Band, type Direction, type HistoryView, type ScoreName,
} from './history';
import { RunningMedian } from './running_median';

/** Time constant of the exponential mean, seconds. */
export const SMOOTHING_SECONDS = 7;
/** Windows the mean looks back: what is older weighs less than 0.1 % together. */
export const SMOOTHING_WINDOWS = 7 * SMOOTHING_SECONDS;
/** A deviation smaller than this is shown as none. */
export const DEAD_ZONE = 0.02;
/** A deviation that fills a bar. Fixed, so that equal bars mean equal deviations all day. */
export const FULL_DEVIATION = 0.25;
/** Deviations from which on words say "a little" and "much" no more, and no less. */
export const VERDICT_STEPS = { plain: 0.06, much: 0.15 } as const;
/** Scores are stale when the last trade is older than this. */
export const STALE_TRADE_SECONDS = 5;
/** Fewer valid seconds than this give no median. */
export const MEDIAN_MIN_WINDOWS = 60;

/** Shares of a band's ease (spec 5.5). */
export const EASE = { vacuum: 0.5, erosion: 0.35, wall: 0.15 } as const;

export interface Reading {
  /** Value of the second, NaN when there is none. */
  readonly raw: number;
  /** Exponential mean over the valid seconds up to it, NaN when there is none. */
  readonly mean: number;
  /** Median of the valid seconds held, up to it; NaN with fewer than a minute of them. */
  readonly median: number;
  /** mean - median, drawn towards 0 by the dead zone; NaN without both. */
  readonly deviation: number;
}

/** Value of a slot. */
export type Column = (slot: number) => number;

/** Ease of a band from its three components (spec 5.5). */
export function easeOf(strength: number, erosion: number, vacuum: number): number {
  return EASE.vacuum * vacuum + EASE.erosion * erosion + EASE.wall * (1 - strength);
}

/** Column of the ease of one band. */
export function easeColumn(history: HistoryView, direction: Direction, band: Band): Column {
  const strength = history.bands[`${direction}_${band}_wall_strength_norm`];
  const erosion = history.bands[`${direction}_${band}_wall_erosion_norm`];
  const vacuum = history.bands[`${direction}_${band}_vacuum_norm`];
  return (slot) => easeOf(strength[slot]!, erosion[slot]!, vacuum[slot]!);
}

/** Column of one stored score. */
export function scoreColumn(history: HistoryView, name: ScoreName): Column {
  const values = history.scores[name];
  return (slot) => values[slot]!;
}

/** above - below: > 0 when up is easier than down. */
export function tugColumn(history: HistoryView): Column {
  const { above_score: above, below_score: below } = history.scores;
  return (slot) => above[slot]! - below[slot]!;
}

/** Towards 0 by the dead zone: continuous, so that a bar does not jump when it leaves the zone. */
export function withDeadZone(deviation: number, zone = DEAD_ZONE): number {
  return Number.isNaN(deviation) ? deviation : Math.sign(deviation) * Math.max(0, Math.abs(deviation) - zone);
}

/** The tug's reading in words, beside the half hour's own middle. It describes the book, not what will happen. */
export function verdict(deviation: number): string {
  if (Number.isNaN(deviation)) return '';
  if (deviation === 0) return 'both ways as usual';
  const size = Math.abs(deviation);
  const how = size < VERDICT_STEPS.plain ? 'a little ' : size < VERDICT_STEPS.much ? '' : 'much ';
  return `${deviation > 0 ? 'up' : 'down'} ${how}easier than usual`;
}

function isValid(history: HistoryView, slot: number): boolean {
  return slot >= 0 && (history.flags[slot]! & (PRESENT | WINDOW_VALID)) === (PRESENT | WINDOW_VALID);
}

/** Exponential mean over the valid windows up to `window`; NaN when none of them is valid. */
export function smoothed(history: HistoryView, column: Column, window: WindowNo): number {
  const decay = Math.exp(-1 / SMOOTHING_SECONDS);
  let sum = 0;
  let weights = 0;
  let weight = 1;
  for (let back = 0; back < SMOOTHING_WINDOWS; back++, weight *= decay) {
    const slot = history.slotOf((window - back) as WindowNo);
    if (!isValid(history, slot)) continue;
    sum += weight * column(slot);
    weights += weight;
  }
  return weights > 0 ? sum / weights : Number.NaN;
}

const scratch = new Float64Array(HISTORY_WINDOWS);

/** Median of the valid windows held up to `window`; NaN with fewer than a minute of them. */
export function runningMedian(history: HistoryView, column: Column, window: WindowNo): number {
  let count = 0;
  for (let back = 0; back < HISTORY_WINDOWS; back++) {
    const slot = history.slotOf((window - back) as WindowNo);
    if (isValid(history, slot)) scratch[count++] = column(slot);
  }
  if (count < MEDIAN_MIN_WINDOWS) return Number.NaN;
  const values = scratch.subarray(0, count).sort();
  const middle = count >> 1;
  return count % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}

/** Reading of one column at `window`; `median` from a cache, or made here. */
export function readingAt(
  history: HistoryView, column: Column, window: WindowNo, median = runningMedian(history, column, window),
): Reading {
  const slot = history.slotOf(window);
  const mean = smoothed(history, column, window);
  return {
    raw: isValid(history, slot) ? column(slot) : Number.NaN,
    mean,
    median,
    deviation: withDeadZone(mean - median),
  };
}

/** Seconds since the last window with a trade, the window itself counting 0; NaN when none is held. */
export function secondsSinceTrade(history: HistoryView, window: WindowNo): number {
  for (let back = 0; back < HISTORY_WINDOWS; back++) {
    const slot = history.slotOf((window - back) as WindowNo);
    if (slot >= 0 && history.buyQty[slot]! + history.sellQty[slot]! > 0) return back;
  }
  return Number.NaN;
}

/** Why the scores of a window do not speak of a trading market; null when they do. */
export function staleReason(history: HistoryView, window: WindowNo): string | null {
  const slot = history.slotOf(window);
  if (slot < 0) return 'no data for this second';
  const phase = history.phase[slot]!;
  if (phase !== PHASE_OPEN) return `the market is ${(PHASES[phase] ?? 'in an unknown phase').replace('_', '-')}`;
  if (!isValid(history, slot)) return 'the second is invalid';
  // a trade in the window k seconds ago is more than k and at most k + 1 seconds old
  const since = secondsSinceTrade(history, window);
  if (Number.isNaN(since)) return 'no trade in the half hour shown';
  if (since >= STALE_TRADE_SECONDS) return `last trade ${since} s ago`;
  return null;
}

/** All readings of the panel, keyed by what they are of. */
export interface ScoreReadings {
  readonly window: WindowNo;
  readonly stale: string | null;
  readonly tug: Reading;
  readonly above: Reading;
  readonly below: Reading;
  readonly aboveTouch: Reading;
  readonly belowTouch: Reading;
  readonly bands: Readonly<Record<Direction, Readonly<Record<Band, Reading>>>>;
}

/** The columns of a reading: scores first, then the ease of each band. */
function columnsOf(history: HistoryView): readonly Column[] {
  return [
    tugColumn(history), scoreColumn(history, 'above_score'), scoreColumn(history, 'below_score'),
    scoreColumn(history, 'above_touch_score'), scoreColumn(history, 'below_touch_score'),
    ...DIRECTIONS.flatMap((direction) => BANDS.map((band) => easeColumn(history, direction, band))),
  ];
}
const FIRST_BAND = 5;
const COLUMNS = FIRST_BAND + DIRECTIONS.length * BANDS.length;

/** Keeps values in order between seconds, so that a second costs a few sums; the same readings as `readingAt`. */
export class ScoreReader {
  private readonly medians = Array.from({ length: COLUMNS }, () => new RunningMedian(HISTORY_WINDOWS));
  private readonly values = new Float64Array(HISTORY_WINDOWS);
  private readonly slots = new Int16Array(SMOOTHING_WINDOWS);
  private readonly weights = new Float64Array(SMOOTHING_WINDOWS);
  private history: HistoryView | null = null;
  private columns: readonly Column[] = [];
  private at = Number.NaN;
  private jumps = -1;
  private fills = -1;

  readingsAt(history: HistoryView, window: WindowNo): ScoreReadings {
    if (history !== this.history) {
      this.history = history;
      this.columns = columnsOf(history);
      this.at = Number.NaN;
    }
    this.follow(history, window);
    let count = 0;
    const decay = Math.exp(-1 / SMOOTHING_SECONDS);
    for (let back = 0, weight = 1; back < SMOOTHING_WINDOWS; back++, weight *= decay) {
      const slot = history.slotOf((window - back) as WindowNo);
      if (!isValid(history, slot)) continue;
      this.slots[count] = slot;
      this.weights[count++] = weight;
    }
    const slot = history.slotOf(window);
    const head = isValid(history, slot) ? slot : -1;
    const readings = this.medians.map((median) => this.read(median, head, count));
    const perBand = (d: number): Record<Band, Reading> => (
      Object.fromEntries(BANDS.map((band, b) => [band, readings[FIRST_BAND + d * BANDS.length + b]!])) as Record<Band, Reading>
    );
    const [tug, above, below, aboveTouch, belowTouch] = readings as [Reading, Reading, Reading, Reading, Reading];
    return {
      window, stale: staleReason(history, window), tug, above, below, aboveTouch, belowTouch,
      bands: Object.fromEntries(DIRECTIONS.map((direction, d) => [direction, perBand(d)])) as Record<Direction, Record<Band, Reading>>,
    };
  }

  /** The median keeps the values of its column by their slots. */
  private read(median: RunningMedian, slot: number, count: number): Reading {
    let sum = 0;
    let weights = 0;
    for (let i = 0; i < count; i++) {
      sum += this.weights[i]! * median.at(this.slots[i]!);
      weights += this.weights[i]!;
    }
    const mean = weights > 0 ? sum / weights : Number.NaN;
    const middle = median.size < MEDIAN_MIN_WINDOWS ? Number.NaN : median.median;
    return { raw: slot < 0 ? Number.NaN : median.at(slot), mean, median: middle, deviation: withDeadZone(mean - middle) };
  }

  /** The windows up to `window` are those the medians are of: later seconds one by one, another half hour as a whole. */
  private follow(history: HistoryView, window: WindowNo): void {
    const steps = window - this.at;
    const isLater = steps >= 0 && steps < SMOOTHING_WINDOWS && history.jumps === this.jumps && history.fills === this.fills;
    if (isLater) {
      for (let w = this.at + 1; w <= window; w++) {
        const slot = history.slotOf(w as WindowNo);
        const place = w % HISTORY_WINDOWS;
        this.columns.forEach((column, k) => this.medians[k]!.set(place, isValid(history, slot) ? column(slot) : Number.NaN));
      }
    } else {
      this.columns.forEach((column, k) => {
        this.values.fill(Number.NaN);
        for (let back = 0; back < HISTORY_WINDOWS; back++) {
          const slot = history.slotOf((window - back) as WindowNo);
          if (isValid(history, slot)) this.values[(window - back) % HISTORY_WINDOWS] = column(slot);
        }
        this.medians[k]!.load(this.values);
      });
    }
    this.at = window;
    this.jumps = history.jumps;
    this.fills = history.fills;
  }
}
