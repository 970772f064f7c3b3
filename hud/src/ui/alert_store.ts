/** Rules and fired alerts in the browser's storage. A browser that keeps nothing still runs them. */
import { DEFAULT_RULES, exportRules, importRules, type AlertRule } from '../model/alerts';
import type { WindowNo } from '../units/time';

const RULES_KEY = 'spymaster.alerts.rules';
const FIRED_KEY = 'spymaster.alerts.fired';
const SOUND_KEY = 'spymaster.alerts.sound';
/** Alerts the list keeps. */
export const KEPT_ALERTS = 200;

/** An alert that fired: enough to find its second again on another day. */
export interface FiredAlert {
  readonly symbol: string;
  readonly dt: string;
  readonly window: WindowNo;
  readonly ruleId: string;
  readonly text: string;
  /** null: nowhere in particular. */
  readonly priceTicks: number | null;
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    // storage is switched off
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage is full or switched off: the page goes on without
  }
}

export function loadRules(): readonly AlertRule[] {
  const text = read(RULES_KEY);
  if (text === null) return DEFAULT_RULES;
  try {
    return importRules(text);
  } catch {
    return DEFAULT_RULES;
  }
}

export function saveRules(rules: readonly AlertRule[]): void {
  write(RULES_KEY, exportRules(rules));
}

function isFired(value: unknown): value is FiredAlert {
  const alert = value as Partial<FiredAlert> | null;
  return typeof alert === 'object' && alert !== null && typeof alert.symbol === 'string' && typeof alert.dt === 'string'
    && typeof alert.window === 'number' && typeof alert.ruleId === 'string' && typeof alert.text === 'string'
    && (alert.priceTicks === null || typeof alert.priceTicks === 'number');
}

export function loadFired(): readonly FiredAlert[] {
  try {
    const list: unknown = JSON.parse(read(FIRED_KEY) ?? '[]');
    return Array.isArray(list) ? list.filter(isFired).slice(0, KEPT_ALERTS) : [];
  } catch {
    return [];
  }
}

export function saveFired(fired: readonly FiredAlert[]): void {
  write(FIRED_KEY, JSON.stringify(fired));
}

/** Newest first; the same second of the same rule once, also when it is replayed. */
export function withFired(fired: readonly FiredAlert[], alert: FiredAlert): readonly FiredAlert[] {
  const same = (other: FiredAlert): boolean =>
    other.window === alert.window && other.ruleId === alert.ruleId && other.symbol === alert.symbol && other.dt === alert.dt;
  return [alert, ...fired.filter((other) => !same(other))].slice(0, KEPT_ALERTS);
}

export function loadSound(): boolean {
  return read(SOUND_KEY) !== 'off';
}

export function saveSound(on: boolean): void {
  write(SOUND_KEY, on ? 'on' : 'off');
}
