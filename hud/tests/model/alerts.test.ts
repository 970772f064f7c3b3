import { describe, expect, it } from 'vitest';
import {
  AlertEngine, DEFAULT_RULES, exportRules, importRules, RulesError, ruleText,
  type AlertRule, type AlertSample, type FlipRule, type PhaseRule, type ScoreRule, type WallRule,
} from '../../src/model/alerts';
import { alertSample } from '../../src/model/alert_sample';
import { historyOf, at } from './seconds';

const base = { id: 'r', enabled: true, holdSeconds: 3, coolDownSeconds: 0, sound: false } as const;
const SCORE: ScoreRule = { ...base, kind: 'score', score: 'above_score', direction: 'above', threshold: 0.5, hysteresis: 0.1 };
const WALL: WallRule = { ...base, kind: 'wall', side: 'ask', withinTicks: 8, lots: 400, hysteresis: 100 };
const PHASE: PhaseRule = { ...base, kind: 'phase', phase: 'halt', holdSeconds: 1 };
const FLIP: FlipRule = { ...base, kind: 'flip', withinTicks: 4, hysteresis: 2, holdSeconds: 1 };

type Seen = { value?: number; valid?: boolean; phase?: AlertSample['phase']; gone?: boolean; flip?: number };

function sample(i: number, { value = 0, valid = true, phase = 'open', gone = false, flip = Number.NaN }: Seen): AlertSample {
  return {
    window: at(i), windowValid: valid, phase, chainGone: gone,
    score: () => value, wall: () => ({ lots: value, priceTicks: 77 }), hole: () => (value > 0 ? 78 : Number.NaN), flipDistance: () => flip,
  };
}

/** Indices at which the rule fires. */
function firings(rule: AlertRule, seconds: readonly (Seen | number | null)[]): number[] {
  const engine = new AlertEngine();
  engine.setRules([rule]);
  return seconds.flatMap((seen, i) =>
    seen === null ? [] : engine.step(sample(i, typeof seen === 'number' ? { value: seen } : seen)).map(() => i));
}

describe('holding', () => {
  it('fires in the second in which the condition has held for N seconds, once', () => {
    expect(firings(SCORE, [0.6, 0.6, 0.6, 0.6, 0.6, 0.6])).toEqual([2]);
  });
  it('starts to count again after a break', () => {
    expect(firings(SCORE, [0.6, 0.6, 0.5, 0.6, 0.6, 0.6])).toEqual([5]);
  });
  it('watches the other direction alike', () => {
    expect(firings({ ...SCORE, direction: 'below', threshold: 0.2 }, [0.1, 0.1, 0.1])).toEqual([2]);
  });
  it('breaks at a skipped second', () => {
    expect(firings(SCORE, [0.6, 0.6, null, 0.6, 0.6, 0.6])).toEqual([5]);
  });
});

describe('hysteresis', () => {
  it('does not fire again until the value came back by the hysteresis', () => {
    expect(firings(SCORE, [0.6, 0.6, 0.6, 0.45, 0.6, 0.6, 0.6])).toEqual([2]);
    expect(firings(SCORE, [0.6, 0.6, 0.6, 0.4, 0.6, 0.6, 0.6])).toEqual([2, 6]);
  });
  it('counts lots for walls', () => {
    expect(firings(WALL, [500, 500, 500, 350, 500, 500, 500])).toEqual([2]);
    expect(firings(WALL, [500, 500, 500, 300, 500, 500, 500])).toEqual([2, 6]);
  });
});

describe('cool-down', () => {
  it('keeps silence and fires at its end when the condition still holds since', () => {
    const rule = { ...SCORE, holdSeconds: 1, hysteresis: 0, coolDownSeconds: 4 };
    expect(firings(rule, [0.6, 0.3, 0.6, 0.6, 0.6, 0.6])).toEqual([0, 4]);
  });
});

describe('freezing', () => {
  const bad: Seen = { value: 0, valid: false };
  it('neither grows nor breaks the count in invalid seconds', () => {
    expect(firings(SCORE, [0.6, 0.6, bad, bad, 0.6])).toEqual([4]);
    expect(firings(SCORE, [0.6, 0.6, { value: 0.6, valid: false }, { value: 0.6, valid: false }])).toEqual([]);
  });
  it('does not arm a rule in invalid seconds', () => {
    expect(firings({ ...SCORE, holdSeconds: 1 }, [0.6, bad, 0.6])).toEqual([0]);
  });
  it('lets rules on the phase watch: a halt is never a valid window', () => {
    expect(firings(PHASE, [0, { phase: 'halt', valid: false }, { phase: 'halt', valid: false }])).toEqual([1]);
  });
  it('freezes gamma rules, and only those, when the chain has expired', () => {
    expect(firings(FLIP, [{ flip: 2 }])).toEqual([0]);
    expect(firings(FLIP, [{ flip: 2, gone: true }])).toEqual([]);
    expect(firings(FLIP, [{ flip: 2 }, { flip: 9, gone: true }, { flip: 2 }])).toEqual([0]);
    expect(firings({ ...SCORE, holdSeconds: 1 }, [{ value: 0.6, gone: true }])).toEqual([0]);
  });
  it('freezes a gamma rule that knows no flip distance, and arms it when there is no flip', () => {
    expect(firings(FLIP, [{ flip: 2 }, {}, { flip: 2 }])).toEqual([0]);
    expect(firings(FLIP, [{ flip: 2 }, { flip: Infinity }, { flip: 2 }])).toEqual([0, 2]);
  });
});

describe('the engine', () => {
  it('starts afresh after a step back', () => {
    const engine = new AlertEngine();
    engine.setRules([{ ...SCORE, holdSeconds: 1, coolDownSeconds: 100 }]);
    expect(engine.step(sample(5, { value: 0.6 }))).toHaveLength(1);
    expect(engine.step(sample(6, { value: 0.6 }))).toHaveLength(0);
    expect(engine.step(sample(5, { value: 0.6 }))).toHaveLength(1);
  });
  it('skips disabled rules and starts a changed rule afresh', () => {
    const engine = new AlertEngine();
    const rule = { ...SCORE, holdSeconds: 2 };
    engine.setRules([{ ...rule, enabled: false }]);
    expect(engine.step(sample(0, { value: 0.9 }))).toEqual([]);
    engine.setRules([rule]);
    expect(engine.step(sample(1, { value: 0.9 }))).toEqual([]);
    engine.setRules([rule, { ...WALL, id: 'w' }]);
    expect(engine.step(sample(2, { value: 0.9 })).map((event) => event.ruleId)).toEqual(['r']);
  });
  it('says what it saw and where', () => {
    const engine = new AlertEngine();
    engine.setRules([{ ...WALL, holdSeconds: 1 }]);
    const [event] = engine.step(sample(0, { value: 500 }));
    expect(event).toMatchObject({ window: at(0), priceTicks: 77, text: 'Resting ask wall of at least 400 lots' });
  });
});

describe('a sample of the history', () => {
  const gamma = { chainGone: false, flipDistanceTicks: Number.NaN };
  const byte = (lots: number): number => Math.floor((255 * Math.log1p(lots)) / Math.log(2001) + 0.5);

  it('finds the largest resting wall of a side within reach', () => {
    const history = historyOf([{
      spot: 1000,
      planes: {
        wall_core_u8: { 3: byte(200), 8: byte(800), [-2]: byte(900), 9: byte(1500) },
        side_u8: { 3: 2, 8: 2, [-2]: 1, 9: 2 },
      },
    }]);
    const seen = alertSample(history, at(0), gamma)!;
    expect(seen.wall('ask', 8).priceTicks).toBe(1008);
    expect(seen.wall('ask', 8).lots / 800).toBeCloseTo(1, 1);
    expect(seen.wall('ask', 4).priceTicks).toBe(1003);
    expect(seen.wall('bid', 8).priceTicks).toBe(998);
    expect(seen.wall('either', 8).priceTicks).toBe(998);
  });
  it('finds the nearest hole of a side', () => {
    const history = historyOf([{ spot: 1000, planes: { hole_u8: { 2: 255, 5: 255, [-1]: 255 } } }]);
    const seen = alertSample(history, at(0), gamma)!;
    expect(seen.hole('ask', 4)).toBe(1002);
    expect(seen.hole('bid', 4)).toBe(999);
    expect(seen.hole('either', 4)).toBe(999);
    expect(seen.hole('ask', 1)).toBeNaN();
  });
  it('is none for a second that is not held', () => {
    expect(alertSample(historyOf([{}]), at(3), gamma)).toBeNull();
  });
});

describe('rules as text', () => {
  it('come back equal', () => {
    expect(importRules(exportRules(DEFAULT_RULES))).toEqual(DEFAULT_RULES);
    for (const rule of DEFAULT_RULES) expect(ruleText(rule)).toMatch(/^[A-Z].* for \d+ s$/);
  });
  it('drop words that the page does not know', () => {
    const text = exportRules([{ ...SCORE, note: 'x' } as AlertRule]);
    expect(importRules(text)).toEqual([SCORE]);
  });
  it.each([
    ['', 'not JSON'],
    ['[]', 'no alert rules'],
    ['{"format":"spymaster-alerts","version":9,"rules":[]}', 'version 9'],
    [exportRules([{ ...SCORE, threshold: 'high' } as unknown as AlertRule]), 'Rule 1: "threshold" is "high", expected a number from -1 to 1'],
    [exportRules([{ ...SCORE, holdSeconds: 0 }]), 'Rule 1: "holdSeconds" is 0'],
    [exportRules([SCORE, { ...WALL, id: 's', side: 'up' as 'ask' }]), 'Rule 2: "side" is "up", expected one of bid, ask, either'],
    [exportRules([SCORE, WALL]), 'same "id"'],
    ['{"format":"spymaster-alerts","version":1,"rules":[null]}', 'Rule 1 is no object'],
  ])('are refused with a sentence: %s', (text, words) => {
    expect(() => importRules(text)).toThrow(RulesError);
    expect(() => importRules(text)).toThrow(words);
  });
});
