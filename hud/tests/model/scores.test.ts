import { describe, expect, it } from 'vitest';
import {
  DEAD_ZONE, easeColumn, easeOf, MEDIAN_MIN_WINDOWS, readingAt, runningMedian, scoreColumn, ScoreReader, secondsSinceTrade, smoothed, SMOOTHING_SECONDS, staleReason, tugColumn, verdict, withDeadZone, type Column, type Reading,
} from '../../src/model/scores';
import { History } from '../../src/model/history';
import { numbers, windowRow } from '../samples/rows';
import { at, historyOf, type Second } from './seconds';

const scored = (value: number, more: Second = {}): Second => ({ scores: { above_score: value }, ...more });

describe('smoothing', () => {
  it('gives a constant score back', () => {
    const history = historyOf(Array.from({ length: 100 }, () => scored(0.3)));
    expect(smoothed(history, scoreColumn(history, 'above_score'), at(99))).toBeCloseTo(0.3, 12);
  });

  it('falls to 1/e of a step after its time constant', () => {
    const seconds = Array.from({ length: 200 }, (_, i) => scored(i < 100 ? 1 : 0));
    const history = historyOf(seconds);
    const value = smoothed(history, scoreColumn(history, 'above_score'), at(99 + SMOOTHING_SECONDS));
    expect(value).toBeCloseTo(Math.exp(-1), 2);
  });

  it('passes over invalid and absent seconds', () => {
    const history = historyOf([scored(0.2), null, scored(0.9, { windowValid: false }), scored(0.2)]);
    expect(smoothed(history, scoreColumn(history, 'above_score'), at(3))).toBeCloseTo(0.2, 12);
  });

  it('knows nothing of the seconds after the one asked for', () => {
    const seconds = Array.from({ length: 120 }, (_, i) => scored((i % 7) / 10));
    const short = historyOf(seconds.slice(0, 80));
    const long = historyOf(seconds);
    const value = (history: typeof long): unknown => readingAt(history, scoreColumn(history, 'above_score'), at(79));
    expect(value(long)).toEqual(value(short));
  });

  it('is NaN where no second is valid', () => {
    const history = historyOf([scored(0.2, { windowValid: false })]);
    expect(smoothed(history, scoreColumn(history, 'above_score'), at(0))).toBeNaN();
  });
});

describe('median', () => {
  it('equals the middle of the sorted values, also for an even count', () => {
    const values = Array.from({ length: 90 }, (_, i) => ((i * 37) % 90) / 100);
    const history = historyOf(values.map((value) => scored(value)));
    const sorted = [...values].sort((a, b) => a - b);
    expect(runningMedian(history, scoreColumn(history, 'above_score'), at(89))).toBe((sorted[44]! + sorted[45]!) / 2);
    expect(runningMedian(history, scoreColumn(history, 'above_score'), at(88))).toBe(
      values.slice(0, 89).sort((a, b) => a - b)[44],
    );
  });

  it('needs a minute of valid seconds', () => {
    const history = historyOf(Array.from({ length: MEDIAN_MIN_WINDOWS }, () => scored(0.3)));
    const column = scoreColumn(history, 'above_score');
    expect(runningMedian(history, column, at(MEDIAN_MIN_WINDOWS - 2))).toBeNaN();
    expect(runningMedian(history, column, at(MEDIAN_MIN_WINDOWS - 1))).toBe(0.3);
  });
});

describe('dead zone', () => {
  it('swallows small deviations and is continuous at its edge', () => {
    expect(withDeadZone(DEAD_ZONE)).toBe(0);
    expect(withDeadZone(-DEAD_ZONE / 2)).toBeCloseTo(0, 15);
    expect(withDeadZone(DEAD_ZONE + 1e-9)).toBeCloseTo(1e-9, 12);
    expect(withDeadZone(-0.12)).toBeCloseTo(-0.12 + DEAD_ZONE, 12);
    expect(withDeadZone(Number.NaN)).toBeNaN();
  });
});

describe('what is read', () => {
  it('has an ease of 0.15 for an empty band, which is why EMPTY is said in words', () => {
    expect(easeOf(0, 0, 0)).toBe(0.15);
    expect(easeOf(1, 0, 0)).toBe(0);
    expect(easeOf(0, 1, 1)).toBeCloseTo(1, 12);
  });

  it('takes the ease of each band from its own components', () => {
    const history = historyOf([{ bands: { above_at_vacuum_norm: 1, below_far_wall_strength_norm: 1 } }]);
    expect(easeColumn(history, 'above', 'at')(history.slotOf(at(0)))).toBeCloseTo(0.65, 6);
    expect(easeColumn(history, 'below', 'far')(history.slotOf(at(0)))).toBe(0);
    expect(easeColumn(history, 'below', 'near')(history.slotOf(at(0)))).toBeCloseTo(0.15, 12);
  });

  it('reads the tug as above less below, and the raw value as its ghost', () => {
    const history = historyOf(Array.from({ length: 70 }, (_, i) => (
      { scores: { above_score: i === 69 ? 0.9 : 0.4, below_score: 0.3 } })));
    const reading = readingAt(history, tugColumn(history), at(69));
    expect(reading.raw).toBeCloseTo(0.6, 12);
    expect(reading.median).toBeCloseTo(0.1, 12);
    expect(reading.mean).toBeGreaterThan(0.1);
    expect(reading.mean).toBeLessThan(0.2);
  });

  it('gives the same readings from a reader that goes along, over gaps, invalid seconds, jumps and a full ring', () => {
    const next = numbers(17);
    const history = new History();
    const reader = new ScoreReader();
    let now = 0;
    const push = (): void => {
      history.push(windowRow(at(now), 27_800, [], {
        windowValid: next() > 0.1, bands: Array.from({ length: 24 }, () => next()),
        scores: { above_score: next(), below_score: next(), vacuum_total_score: next(), above_touch_score: next(), below_touch_score: next() },
      }));
    };
    const expectEqual = (): void => {
      const found = reader.readingsAt(history, history.head);
      const truth = (column: Column): Reading => readingAt(history, column, history.head);
      expect(found.tug).toEqual(truth(tugColumn(history)));
      expect(found.above).toEqual(truth(scoreColumn(history, 'above_score')));
      expect(found.belowTouch).toEqual(truth(scoreColumn(history, 'below_touch_score')));
      expect(found.bands.below.mid).toEqual(truth(easeColumn(history, 'below', 'mid')));
      expect(found.bands.above.at).toEqual(truth(easeColumn(history, 'above', 'at')));
    };
    let medians = 0;
    for (let step = 0; step < 2600; step++) {
      now += next() < 0.02 ? Math.ceil(next() * 5) : 1;
      if (next() < 0.002) now = Math.max(1, now - Math.floor(next() * 400));
      push();
      // not every second is drawn
      if (step % 7 !== 0 && step > 100) continue;
      expectEqual();
      if (!Number.isNaN(reader.readingsAt(history, history.head).above.median)) medians++;
    }
    expect(medians).toBeGreaterThan(300);
  });
});

describe('stale scores', () => {
  const quiet: Second = { buyQty: 0, sellQty: 0 };

  it('are those of a last trade older than five seconds', () => {
    const history = historyOf([{ sellQty: 2 }, quiet, quiet, quiet, quiet, quiet]);
    // the trade lies in a second that ended 4 s ago: at most 5 s old
    expect(staleReason(history, at(4))).toBeNull();
    expect(staleReason(history, at(5))).toBe('last trade 5 s ago');
    expect(secondsSinceTrade(history, at(5))).toBe(5);
  });

  it('are those of an invalid second, another phase, and no second at all', () => {
    const history = historyOf([{}, { windowValid: false }, { phase: 3, windowValid: false }, { phase: 1, windowValid: false }]);
    expect(staleReason(history, at(0))).toBeNull();
    expect(staleReason(history, at(1))).toBe('the second is invalid');
    expect(staleReason(history, at(2))).toBe('the market is halt');
    expect(staleReason(history, at(3))).toBe('the market is pre-open');
    expect(staleReason(history, at(4))).toBe('no data for this second');
  });

  it('are those of half an hour without a trade', () => {
    expect(staleReason(historyOf([quiet, quiet]), at(1))).toBe('no trade in the half hour shown');
  });
});

describe('the verdict', () => {
  it('says direction and size in words, and nothing without a median', () => {
    expect([Number.NaN, 0, 0.01, -0.05, 0.06, -0.2, 0.15].map((deviation) => verdict(deviation))).toEqual([
      '', 'both ways as usual', 'up a little easier than usual', 'down a little easier than usual', 'up easier than usual',
      'down much easier than usual', 'up much easier than usual',
    ]);
  });
});
