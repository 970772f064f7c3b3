import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/model/snapshot';
import { badgeStates, troubles } from '../../src/ui/badges';
import { tickOf } from '../../src/units/price';
import { at, historyOf, type Second } from '../model/seconds';

const SOURCE = {
  symbol: 'ESH6', dt: '2026-01-06', origin: 'recorded', epoch: 'e', firstWindow: at(0), lastWindow: at(9),
  tick: tickOf(250_000_000n), calibrationId: '2026-01-05/0123456789abcdef', lookahead: false, wallBounds: { q05: 1, q95: 2 },
  warnings: [], verified: true, counters: { records: 5, late_records: 0 },
} as const;

function page(second: Second | null, changes: Record<string, unknown> = {}, source: Record<string, unknown> = {}): Snapshot {
  return {
    stage: 'ready', error: null, source: { ...SOURCE, ...source }, history: historyOf(second === null ? [] : [second]),
    connection: { link: 'open', lostSinceMs: null, windowsReceived: 1234, windowsDropped: 0, gapCount: 0, reconnects: 0, notice: null },
    transport: { clock: 'private', ended: false }, renderer: 'webgl2', ...changes,
  } as unknown as Snapshot;
}
const shown = (snapshot: Snapshot, refusal: string | null = null) => badgeStates(snapshot, refusal, 7);

describe('badges', () => {
  it('are calm for a recorded, valid, open second, and show no badge that has nothing to say', () => {
    const states = shown(page({}));
    expect(Object.values(states).filter((state) => state !== null && state.tone !== 'calm')).toEqual([]);
    expect(Object.entries(states).filter(([, state]) => state === null).map(([name]) => name)).toEqual(
      ['lookahead', 'gaps', 'clock', 'renderer', 'numbers']);
    expect(states['connection']!.text).toBe('● 1,234 s');
    expect(states['calibration']!.title).toContain('2026-01-05/0123456789abcdef');
  });
  it('are loud about simulated data, and warn of look-ahead', () => {
    const states = shown(page({}, {}, { origin: 'simulated', lookahead: true }));
    expect(states['origin']).toMatchObject({ text: 'SIMULATED', tone: 'loud' });
    expect(states['lookahead']).toMatchObject({ text: 'looks ahead', tone: 'warn' });
  });
  it('tell an invalid second, an invalid book and a missing second apart', () => {
    expect(shown(page({ windowValid: false }))['validity']).toMatchObject({ text: 'second invalid', tone: 'warn' });
    const crossed = page({ windowValid: false });
    crossed.history.flags[crossed.history.slotOf(at(0))] = 1;
    expect(shown(crossed)['validity']).toMatchObject({ text: 'book invalid', tone: 'bad' });
    expect(shown(page(null))['phase']).toMatchObject({ text: 'no data', tone: 'warn' });
  });
  it('warn of every phase but open', () => {
    expect([0, 1, 2, 3].map((phase) => shown(page({ phase }))['phase']!)).toMatchObject([
      { text: 'closed', tone: 'warn' }, { text: 'pre-open', tone: 'warn' }, { text: 'open', tone: 'calm' }, { text: 'halt', tone: 'warn' },
    ]);
  });
  it('count notes, gaps and the seconds of a lost connection', () => {
    const base = page({}).connection;
    const states = shown(page({}, { connection: { ...base, link: 'lost', gapCount: 2, windowsDropped: 14 } },
      { verified: false, warnings: ['no_options'], counters: { late_records: 3, records: 9 } }));
    expect(states['quality']).toMatchObject({ text: '3 notes', tone: 'warn' });
    expect(states['quality']!.title).toBe('The raw file could not be verified.; no_options; late records: 3');
    expect(states['gaps']!.text).toBe('2 gaps, 14 s');
    expect(states['connection']).toMatchObject({ text: 'connection lost 7 s', tone: 'bad' });
    expect(shown(page({}), 'No numbers for the ladder: gone.')['numbers']!.title).toBe('No numbers for the ladder: gone.');
  });
  it('say why there is no day', () => {
    const states = badgeStates({ ...page(null), source: null, stage: 'failed', error: 'the lake holds no day' }, null, Number.NaN);
    expect(states).toEqual({ connection: { text: 'no data', tone: 'warn', title: 'the lake holds no day' } });
  });
});

describe('quality counters', () => {
  it('count against the data only when they are trouble and above zero', () => {
    expect(troubles({ records: 9, events: 3, hidden_qty_modify: 2, aggressor_fills: 1, unknown_cancels: 4, late_records: 0, crossed_pre_open: 7, crossed_open: 1, snapshot_not_add: 2 }))
      .toEqual([['unknown_cancels', 4], ['crossed_open', 1], ['snapshot_not_add', 2]]);
  });
});
