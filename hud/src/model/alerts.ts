/**
 * Alert rules: pure state machines over one sample per second.
 *
 * Laws. 1 A rule fires when its condition held for N seconds without a break, once, and is armed again only after
 *         the value left the condition by its hysteresis; between two firings lies at least the cool-down.
 *       2 A sample the rule cannot judge freezes it: the count neither grows nor falls. That is an invalid window
 *         (all rules but those on the phase, which watch validity's own cause) and, for gamma rules, an expired chain.
 *       3 Time is the market's: windows, not the browser's clock. A skipped second breaks a running count, a step
 *         back starts all rules afresh.
 *       4 A rule describes; it is no advice. Its sentence says what was seen.
 */
import type { WindowNo } from '../units/time';
import { PHASES, type Phase, type ScoreName } from './history';

/** Scores a rule can watch, smoothed as the panel shows them. `tug` = above - below. */
export const WATCHED_SCORES = [
  'above_score', 'below_score', 'vacuum_total_score', 'above_touch_score', 'below_touch_score', 'tug',
] as const satisfies readonly (ScoreName | 'tug')[];
export type WatchedScore = (typeof WATCHED_SCORES)[number];

export const WATCHED_SIDES = ['bid', 'ask', 'either'] as const;
export type WatchedSide = (typeof WATCHED_SIDES)[number];

interface RuleBase {
  readonly id: string;
  readonly enabled: boolean;
  /** The condition must hold for so many seconds, >= 1. */
  readonly holdSeconds: number;
  /** Seconds after a firing in which the rule is silent, >= 0. */
  readonly coolDownSeconds: number;
  readonly sound: boolean;
}
export interface ScoreRule extends RuleBase {
  readonly kind: 'score';
  readonly score: WatchedScore;
  readonly direction: 'above' | 'below';
  readonly threshold: number;
  /** How far the score must come back before the rule is armed again, >= 0. */
  readonly hysteresis: number;
}
export interface PhaseRule extends RuleBase {
  readonly kind: 'phase';
  readonly phase: Phase;
}
export interface WallRule extends RuleBase {
  readonly kind: 'wall';
  readonly side: WatchedSide;
  readonly withinTicks: number;
  /** Resting lots at one price. */
  readonly lots: number;
  /** Lots below `lots` at which the rule is armed again, >= 0. */
  readonly hysteresis: number;
}
export interface HoleRule extends RuleBase {
  readonly kind: 'hole';
  readonly side: WatchedSide;
  readonly withinTicks: number;
}
export interface FlipRule extends RuleBase {
  readonly kind: 'flip';
  /** Spot within so many ticks of any flip. */
  readonly withinTicks: number;
  /** Ticks beyond `withinTicks` at which the rule is armed again, >= 0. */
  readonly hysteresis: number;
}
export type AlertRule = ScoreRule | PhaseRule | WallRule | HoleRule | FlipRule;

/** One second, as rules see it. */
export interface AlertSample {
  readonly window: WindowNo;
  readonly windowValid: boolean;
  readonly phase: Phase;
  /** The 0DTE chain has expired, or there is none. */
  readonly chainGone: boolean;
  /** Smoothed; NaN when unknown. */
  score(name: WatchedScore): number;
  /** Largest resting wall within `ticks` of spot: lots and where. */
  wall(side: WatchedSide, ticks: number): { readonly lots: number; readonly priceTicks: number };
  /** Nearest hole within `ticks` of spot: its price, NaN without one. */
  hole(side: WatchedSide, ticks: number): number;
  /** Distance of spot to the nearest gamma flip in ticks; Infinity when there is none, NaN when unknown. */
  flipDistance(): number;
}

/** What a rule sees in a sample: does the condition hold, and is the value far enough out to arm again. */
interface Judgement {
  readonly holds: boolean;
  readonly clears: boolean;
  /** What was seen, the head of the sentence. */
  readonly seen: string;
  /** Price the alert points at, ticks; NaN for none. */
  readonly priceTicks: number;
}

export interface AlertEvent {
  readonly ruleId: string;
  readonly window: WindowNo;
  /** What was seen, a sentence without the price. */
  readonly text: string;
  /** Where, ticks; NaN for nowhere in particular. */
  readonly priceTicks: number;
  readonly sound: boolean;
}

const SIDE_WORDS: Readonly<Record<WatchedSide, string>> = { bid: 'bid', ask: 'ask', either: 'bid or ask' };
const SCORE_WORDS: Readonly<Record<WatchedScore, string>> = {
  above_score: 'Ease above',
  below_score: 'Ease below',
  vacuum_total_score: 'Ease on both sides',
  above_touch_score: 'Ease above the touch',
  below_touch_score: 'Ease below the touch',
  tug: 'Tug, ease above less below,',
};
export const phaseWord = (phase: Phase): string => phase.replace('_', '-');

/** A rule as a sentence without its full stop. */
export function ruleText(rule: AlertRule): string {
  const held = `for ${rule.holdSeconds} s`;
  switch (rule.kind) {
    case 'score': return `${SCORE_WORDS[rule.score]} ${rule.direction === 'above' ? 'over' : 'under'} ${rule.threshold} ${held}`;
    case 'phase': return `Phase is ${phaseWord(rule.phase)} ${held}`;
    case 'wall': return `Resting ${SIDE_WORDS[rule.side]} wall of ${rule.lots} lots within ${rule.withinTicks} ticks ${held}`;
    case 'hole': return `Hole on the ${SIDE_WORDS[rule.side]} side within ${rule.withinTicks} ticks ${held}`;
    case 'flip': return `Spot within ${rule.withinTicks} ticks of a gamma flip ${held}`;
  }
}

/** null: the sample says nothing about this rule, which is frozen. */
function judge(rule: AlertRule, sample: AlertSample): Judgement | null {
  const nowhere = Number.NaN;
  if (rule.kind === 'phase') {
    const holds = sample.phase === rule.phase;
    return { holds, clears: !holds, seen: `Phase is ${phaseWord(rule.phase)}`, priceTicks: nowhere };
  }
  if (!sample.windowValid) return null;
  switch (rule.kind) {
    case 'score': {
      const value = sample.score(rule.score);
      if (Number.isNaN(value)) return null;
      const over = rule.direction === 'above' ? value - rule.threshold : rule.threshold - value;
      const seen = `${SCORE_WORDS[rule.score]} ${value.toFixed(2)}, ${rule.direction === 'above' ? 'over' : 'under'} ${rule.threshold}`;
      // 0.5 - 0.1 is not 0.4 in binary: a person's decimals are taken to 1e-9
      return { holds: over > 0, clears: over <= 0 && over <= 1e-9 - rule.hysteresis, seen, priceTicks: nowhere };
    }
    case 'wall': {
      const { lots, priceTicks } = sample.wall(rule.side, rule.withinTicks);
      if (Number.isNaN(lots)) return null;
      return {
        holds: lots >= rule.lots,
        clears: lots < rule.lots && lots <= rule.lots - rule.hysteresis,
        seen: `Resting ${SIDE_WORDS[rule.side]} wall of at least ${rule.lots} lots`,
        priceTicks,
      };
    }
    case 'hole': {
      const priceTicks = sample.hole(rule.side, rule.withinTicks);
      const holds = !Number.isNaN(priceTicks);
      return { holds, clears: !holds, seen: `Hole on the ${SIDE_WORDS[rule.side]} side`, priceTicks };
    }
    case 'flip': {
      const distance = sample.flipDistance();
      if (sample.chainGone || Number.isNaN(distance)) return null;
      return {
        holds: distance <= rule.withinTicks,
        clears: distance > rule.withinTicks && distance >= rule.withinTicks + rule.hysteresis,
        seen: `Spot within ${rule.withinTicks} ticks of a gamma flip`,
        priceTicks: nowhere,
      };
    }
  }
}

interface RuleState {
  heldSeconds: number;
  /** Fired and not yet cleared by the hysteresis. */
  fired: boolean;
  lastFiring: number;
}

/** Runs rules over samples in order. */
export class AlertEngine {
  private rules: readonly AlertRule[] = [];
  private states = new Map<string, RuleState>();
  private last = Number.NaN;

  /** A changed rule starts afresh, an unchanged one goes on. */
  setRules(rules: readonly AlertRule[]): void {
    const before = new Map(this.rules.map((rule) => [rule.id, JSON.stringify(rule)]));
    for (const rule of rules) {
      if (before.get(rule.id) !== JSON.stringify(rule)) this.states.delete(rule.id);
    }
    const ids = new Set(rules.map((rule) => rule.id));
    for (const id of this.states.keys()) if (!ids.has(id)) this.states.delete(id);
    this.rules = rules;
  }

  /** Forget counts, cool-downs and the position: after a seek. */
  reset(): void {
    this.states.clear();
    this.last = Number.NaN;
  }

  /** Newest window stepped over, NaN before the first. */
  get position(): number {
    return this.last;
  }

  step(sample: AlertSample): AlertEvent[] {
    if (sample.window <= this.last) this.reset();
    const skipped = sample.window - this.last > 1;
    this.last = sample.window;
    const events: AlertEvent[] = [];
    for (const rule of this.rules) {
      if (!rule.enabled) continue;
      let state = this.states.get(rule.id);
      if (state === undefined) {
        state = { heldSeconds: 0, fired: false, lastFiring: Number.NEGATIVE_INFINITY };
        this.states.set(rule.id, state);
      }
      if (skipped) state.heldSeconds = 0;
      const judged = judge(rule, sample);
      if (judged === null) continue;
      if (judged.clears) state.fired = false;
      state.heldSeconds = judged.holds ? state.heldSeconds + 1 : 0;
      const cooled = sample.window - state.lastFiring >= rule.coolDownSeconds;
      if (state.heldSeconds >= rule.holdSeconds && !state.fired && cooled) {
        state.fired = true;
        state.lastFiring = sample.window;
        const held = rule.holdSeconds > 1 ? ` for ${rule.holdSeconds} s` : '';
        events.push({
          ruleId: rule.id, window: sample.window, text: `${judged.seen}${held}`,
          priceTicks: judged.priceTicks, sound: rule.sound,
        });
      }
    }
    return events;
  }
}

// ---- rules as text

export const RULES_FORMAT = 'spymaster-alerts';
export const RULES_VERSION = 1;

export function exportRules(rules: readonly AlertRule[]): string {
  return JSON.stringify({ format: RULES_FORMAT, version: RULES_VERSION, rules }, null, 2) + '\n';
}

/** A file of rules that cannot be taken, and why, as a sentence. */
export class RulesError extends Error {}

type Raw = Readonly<Record<string, unknown>>;

/** @throws RulesError naming the rule, the field, what was found and what was wanted. */
export function importRules(text: string): AlertRule[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new RulesError('These rules are not JSON; pick a file that this page exported.');
  }
  const file = data as Raw | null;
  if (typeof file !== 'object' || file === null || file['format'] !== RULES_FORMAT || !Array.isArray(file['rules'])) {
    throw new RulesError(`This file holds no alert rules: "format" is not "${RULES_FORMAT}"; pick a file that this page exported.`);
  }
  if (file['version'] !== RULES_VERSION) {
    throw new RulesError(`These rules have version ${String(file['version'])}, this page reads version ${RULES_VERSION}.`);
  }
  const rules = (file['rules'] as unknown[]).map((rule, i) => readRule(rule, i + 1));
  const ids = new Set(rules.map((rule) => rule.id));
  if (ids.size !== rules.length) throw new RulesError('Two rules have the same "id"; give each its own.');
  return rules;
}

function readRule(data: unknown, number: number): AlertRule {
  if (typeof data !== 'object' || data === null) throw new RulesError(`Rule ${number} is no object.`);
  const raw = data as Raw;
  const bad = (name: string, wanted: string): never => {
    throw new RulesError(`Rule ${number}: "${name}" is ${JSON.stringify(raw[name]) ?? 'missing'}, expected ${wanted}.`);
  };
  const num = (name: string, low: number, high: number): number => {
    const value = raw[name];
    return typeof value === 'number' && value >= low && value <= high ? value : bad(name, `a number from ${low} to ${high}`);
  };
  const flag = (name: string): boolean => {
    const value = raw[name];
    return typeof value === 'boolean' ? value : bad(name, 'true or false');
  };
  const word = <W extends string>(name: string, words: readonly W[]): W => {
    const value = raw[name];
    return words.includes(value as W) ? (value as W) : bad(name, `one of ${words.join(', ')}`);
  };
  const id = raw['id'];
  const base: RuleBase = {
    id: typeof id === 'string' && id !== '' && id.length <= 64 ? id : bad('id', 'a short text'),
    enabled: flag('enabled'),
    holdSeconds: num('holdSeconds', 1, 3600),
    coolDownSeconds: num('coolDownSeconds', 0, 86_400),
    sound: flag('sound'),
  };
  const kind = word('kind', ['score', 'phase', 'wall', 'hole', 'flip'] as const);
  switch (kind) {
    case 'score': return {
      ...base, kind, score: word('score', WATCHED_SCORES), direction: word('direction', ['above', 'below'] as const),
      threshold: num('threshold', -1, 1), hysteresis: num('hysteresis', 0, 1),
    };
    case 'phase': return { ...base, kind, phase: word('phase', PHASES) };
    case 'wall': return {
      ...base, kind, side: word('side', WATCHED_SIDES), withinTicks: num('withinTicks', 0, 600),
      lots: num('lots', 1, 2000), hysteresis: num('hysteresis', 0, 2000),
    };
    case 'hole': return { ...base, kind, side: word('side', WATCHED_SIDES), withinTicks: num('withinTicks', 0, 20) };
    case 'flip': return { ...base, kind, withinTicks: num('withinTicks', 0, 600), hysteresis: num('hysteresis', 0, 600) };
  }
}

/** What the page starts with: quiet rules, of which a trader makes his own. */
export const DEFAULT_RULES: readonly AlertRule[] = [
  {
    id: 'wall-ask', kind: 'wall', side: 'ask', withinTicks: 8, lots: 400, hysteresis: 80,
    holdSeconds: 5, coolDownSeconds: 60, enabled: true, sound: false,
  },
  {
    id: 'wall-bid', kind: 'wall', side: 'bid', withinTicks: 8, lots: 400, hysteresis: 80,
    holdSeconds: 5, coolDownSeconds: 60, enabled: true, sound: false,
  },
  { id: 'hole', kind: 'hole', side: 'either', withinTicks: 4, holdSeconds: 2, coolDownSeconds: 30, enabled: true, sound: false },
  { id: 'halt', kind: 'phase', phase: 'halt', holdSeconds: 1, coolDownSeconds: 60, enabled: true, sound: true },
  {
    id: 'tug-up', kind: 'score', score: 'tug', direction: 'above', threshold: 0.2, hysteresis: 0.05,
    holdSeconds: 5, coolDownSeconds: 60, enabled: false, sound: false,
  },
  {
    id: 'tug-down', kind: 'score', score: 'tug', direction: 'below', threshold: -0.2, hysteresis: 0.05,
    holdSeconds: 5, coolDownSeconds: 60, enabled: false, sound: false,
  },
  { id: 'flip', kind: 'flip', withinTicks: 4, hysteresis: 4, holdSeconds: 5, coolDownSeconds: 300, enabled: true, sound: false },
];
