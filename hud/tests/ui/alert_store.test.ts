import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_RULES } from '../../src/model/alerts';
import {
  KEPT_ALERTS, loadFired, loadRules, loadSound, saveFired, saveRules, saveSound, withFired, type FiredAlert,
} from '../../src/ui/alert_store';
import { at } from '../model/seconds';

const alert = (i: number, changes: Partial<FiredAlert> = {}): FiredAlert =>
  ({ symbol: 'ESH6', dt: '2026-01-06', window: at(i), ruleId: 'r', text: 'seen', priceTicks: null, ...changes });

function storage(broken = false): Storage {
  const held = new Map<string, string>();
  const refuse = (): never => { throw new Error('storage is off'); };
  return {
    getItem: (key: string) => (broken ? refuse() : held.get(key) ?? null),
    setItem: (key: string, value: string) => { if (broken) refuse(); held.set(key, value); },
  } as Storage;
}

describe('what the browser keeps', () => {
  beforeEach(() => { vi.stubGlobal('localStorage', storage()); });

  it('comes back', () => {
    saveRules(DEFAULT_RULES.slice(0, 2));
    saveFired([alert(3), alert(1, { priceTicks: 27_800 })]);
    saveSound(false);
    expect(loadRules()).toEqual(DEFAULT_RULES.slice(0, 2));
    expect(loadFired()).toEqual([alert(3), alert(1, { priceTicks: 27_800 })]);
    expect(loadSound()).toBe(false);
  });
  it('is the default where nothing, or nonsense, is kept', () => {
    expect(loadRules()).toEqual(DEFAULT_RULES);
    expect(loadFired()).toEqual([]);
    expect(loadSound()).toBe(true);
    localStorage.setItem('spymaster.alerts.rules', '{"rules":3}');
    localStorage.setItem('spymaster.alerts.fired', '[{"window":"soon"}, null, 4]');
    expect(loadRules()).toEqual(DEFAULT_RULES);
    expect(loadFired()).toEqual([]);
    localStorage.setItem('spymaster.alerts.fired', '{');
    expect(loadFired()).toEqual([]);
  });
  it('may be nothing at all: a browser without storage', () => {
    vi.stubGlobal('localStorage', storage(true));
    saveRules([]);
    expect(loadRules()).toEqual(DEFAULT_RULES);
    expect(loadFired()).toEqual([]);
  });
});

describe('the list of alerts', () => {
  it('holds the newest first, a replayed second once, and no more than it keeps', () => {
    let list: readonly FiredAlert[] = [];
    for (const i of [1, 2, 1]) list = withFired(list, alert(i));
    expect(list.map((one) => one.window)).toEqual([at(1), at(2)]);
    list = withFired(list, alert(1, { dt: '2026-01-07' }));
    list = withFired(list, alert(1, { ruleId: 'other' }));
    expect(list).toHaveLength(4);
    for (let i = 0; i < KEPT_ALERTS + 5; i++) list = withFired(list, alert(10 + i));
    expect(list).toHaveLength(KEPT_ALERTS);
    expect(list[0]!.window).toBe(at(10 + KEPT_ALERTS + 4));
  });
});
