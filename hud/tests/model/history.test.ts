import { describe, expect, it } from 'vitest';
import {
  BAND_COMPONENTS, BOOK_VALID, History, HISTORY_WINDOWS, PRESENT, SCORES, WINDOW_VALID, type WindowBlock, type WindowRow,
} from '../../src/model/history';
import { HUD_ROWS, PLANES, SPOT_ROW } from '../../src/model/planes';
import type { WindowNo } from '../../src/units/time';
import { firstDifference, numbers, windowRow } from '../samples/rows';

const at = (window: number): WindowNo => window as WindowNo;

describe('history', () => {
  it('keeps a window at the same slot for ever', () => {
    const history = new History();
    for (let w = 1_000_000; w < 1_000_000 + 2 * HISTORY_WINDOWS; w++) {
      history.push(windowRow(w, 27_000 + (w % 7)));
      expect(history.slotOf(at(w))).toBe(w % HISTORY_WINDOWS);
    }
  });

  it('never holds more than 1800 windows and drops the oldest', () => {
    const history = new History();
    for (let w = 0; w < 1805; w++) history.push(windowRow(5000 + w, 100));
    expect(history.oldest).toBe(5005);
    expect(history.head).toBe(6804);
    expect(history.slotOf(at(5004))).toBe(-1);
    expect(history.slotOf(at(5005))).toBeGreaterThanOrEqual(0);
  });

  it('turns skipped seconds into absent slots and reports them as changed', () => {
    const history = new History();
    history.push(windowRow(100, 10, [{ plane: 'wall_core_u8', relTicks: 0, u8: 9 }]));
    expect(history.push(windowRow(104, 11))).toEqual([101, 102, 103, 104]);
    for (const w of [101, 102, 103]) expect(history.slotOf(at(w))).toBe(-1);
    expect(history.slotOf(at(104))).toBe(104);
    expect(history.oldest).toBe(100);
  });

  it('forgets what a skip overwrites', () => {
    const history = new History();
    history.push(windowRow(100, 10, [{ plane: 'wall_core_u8', relTicks: 0, u8: 200 }]));
    history.push(windowRow(100 + HISTORY_WINDOWS, 10));
    expect(history.oldest).toBe(101);
    expect(history.planes.wall_core_u8.some((u8) => u8 !== 0)).toBe(false);
  });

  it('starts afresh after a jump of more than it holds', () => {
    const history = new History();
    history.push(windowRow(100, 10));
    history.push(windowRow(100 + 5 * HISTORY_WINDOWS, 12));
    expect(history.oldest).toBe(100 + 5 * HISTORY_WINDOWS);
    expect(Array.from(history.flags).filter((flag) => flag !== 0)).toHaveLength(1);
  });

  it('goes back by forgetting what lies ahead', () => {
    const history = new History();
    for (let w = 100; w < 110; w++) history.push(windowRow(w, w));
    history.rewind(at(104));
    expect(history.head).toBe(104);
    for (let w = 105; w < 110; w++) expect(history.slotOf(at(w))).toBe(-1);
    expect(history.spot[104]).toBe(104);
    history.push(windowRow(105, 77));
    expect(history.spot[105]).toBe(77);
  });

  it('is empty after going back before everything it holds', () => {
    const history = new History();
    history.push(windowRow(100, 10));
    history.rewind(at(50));
    expect(history.isEmpty).toBe(true);
    history.push(windowRow(51, 10));
    expect([history.oldest, history.head]).toEqual([51, 51]);
  });

  it('takes the same window twice as one', () => {
    const history = new History();
    history.push(windowRow(100, 10));
    history.push(windowRow(101, 10));
    history.push(windowRow(101, 12));
    expect([history.oldest, history.head]).toEqual([100, 101]);
    expect(history.spot[101]).toBe(12);
  });

  it('equals a plain map under any order of pushes and rewinds', () => {
    const next = numbers(11);
    const history = new History();
    const plain = new Map<number, number>();
    let head = 20_000;
    for (let k = 0; k < 3000; k++) {
      const roll = next();
      if (roll < 0.02) {
        head = Math.max(20_000, head - Math.floor(next() * 300));
        history.rewind(at(head));
      } else {
        head += roll < 0.06 ? 1 + Math.floor(next() * 400) : 1;
        const spot = 1000 + Math.floor(next() * 50);
        history.push(windowRow(head, spot));
        plain.set(head, spot);
      }
      for (const w of [...plain.keys()]) if (w > head || w <= head - HISTORY_WINDOWS) plain.delete(w);
    }
    let found = 0;
    for (let w = head - 2 * HISTORY_WINDOWS; w <= head + 10; w++) {
      const slot = history.slotOf(at(w));
      expect(slot >= 0 ? history.spot[slot] : undefined).toBe(plain.get(w));
      if (slot >= 0) found++;
    }
    expect(found).toBeGreaterThan(100);
  });

  it('says when it changed otherwise than by later seconds', () => {
    const history = new History();
    for (let w = 100; w < 110; w++) history.push(windowRow(w, w));
    const { jumps } = history;
    history.push(windowRow(113, 1));
    expect(history.jumps).toBe(jumps);
    history.push(windowRow(113, 2));
    expect(history.jumps).toBeGreaterThan(jumps);
    const again = history.jumps;
    history.rewind(at(104));
    expect(history.jumps).toBeGreaterThan(again);
  });

  it('keeps flags, numbers and planes of a window', () => {
    const history = new History();
    history.push(windowRow(100, 10, [{ plane: 'buy_fill_u8', relTicks: -3, u8: 41 }], { bookValid: false, phase: 1 }));
    const slot = history.slotOf(at(100));
    expect(history.flags[slot]).toBe(PRESENT | WINDOW_VALID);
    expect(history.flags[slot]! & BOOK_VALID).toBe(0);
    expect(history.phase[slot]).toBe(1);
    expect(history.planes.buy_fill_u8[slot * HUD_ROWS + SPOT_ROW - 3]).toBe(41);
    expect(history.bands.below_far_vacuum_norm[slot]).toBe(0.5);
    expect(history.scores.above_score[slot]).toBe(0.25);
  });

  it('takes a block as it takes its seconds one by one, gaps and the end of the ring included', () => {
    const rows = [...Array.from({ length: 40 }, (_, k) => 1785 + k), 1830, 1831].map((w) => (
      windowRow(w, w % 50, [{ plane: 'wall_core_u8', relTicks: w % 7, u8: w % 250 }], { bookValid: w % 3 !== 0, buyQty: w })));
    const [byBlock, byRow] = [new History(), new History()];
    for (let w = 900; w < 2500; w++) byBlock.push(windowRow(w, 5, [{ plane: 'hole_u8', relTicks: 1, u8: 255 }]));
    byBlock.load(block(rows));
    for (const row of rows) byRow.push(row);
    expect([byBlock.oldest, byBlock.head]).toEqual([1785, 1831]);
    expectEqual(byBlock, byRow);
  });

  it('keeps the newest 1800 windows of a longer block', () => {
    const history = new History();
    history.load(block(Array.from({ length: 1805 }, (_, k) => windowRow(5000 + k, 100))));
    expect([history.oldest, history.head]).toEqual([5005, 6804]);
    history.load(block([]));
    expect(history.isEmpty).toBe(true);
  });

  it('is filled from behind, also when seconds arrived meanwhile, and counts it', () => {
    const all = Array.from({ length: 1800 }, (_, k) => windowRow(3000 + k, k % 30, [{ plane: 'wall_core_u8', relTicks: 2, u8: k % 256 }]));
    const [parts, whole] = [new History(), new History()];
    parts.load(block(all.slice(1200)));
    const { jumps } = parts;
    for (const w of [4800, 4801, 4802]) parts.push(windowRow(w, 9));
    parts.fill(block(all.slice(0, 1200)));
    for (const row of all) whole.push(row);
    for (const w of [4800, 4801, 4802]) whole.push(windowRow(w, 9));
    expect([parts.oldest, parts.head, parts.fills, parts.jumps]).toEqual([3003, 4802, 1, jumps]);
    expectEqual(parts, whole);
    parts.fill(block(all.slice(0, 1200)));
    expect(parts.fills, 'nothing older came').toBe(1);
  });
});

function block(rows: readonly WindowRow[]): WindowBlock {
  const numbers = (read: (row: WindowRow) => number): Float64Array => Float64Array.from(rows, read);
  const bytes = (read: (row: WindowRow) => boolean): Uint8Array => Uint8Array.from(rows, (row) => Number(read(row)));
  const named = <N extends string, T>(names: readonly N[], make: (name: N, i: number) => T): Record<N, T> => (
    Object.fromEntries(names.map((name, i) => [name, make(name, i)])) as Record<N, T>);
  return {
    windows: numbers((row) => row.window), bookValid: bytes((row) => row.bookValid), windowValid: bytes((row) => row.windowValid),
    phase: numbers((row) => row.phase), spot: numbers((row) => row.spot), bestBid: numbers((row) => row.bestBid),
    bestAsk: numbers((row) => row.bestAsk), mid: numbers((row) => row.mid), buyQty: numbers((row) => row.buyQty),
    sellQty: numbers((row) => row.sellQty), scores: named(SCORES, (name) => numbers((row) => row.scores[name])),
    bands: named(BAND_COMPONENTS, (_, i) => numbers((row) => row.bands[i]!)),
    planes: named(PLANES, (name) => {
      const all = new Uint8Array(rows.length * HUD_ROWS);
      rows.forEach((row, i) => all.set(row.planes[name], i * HUD_ROWS));
      return all;
    }),
  };
}

/** Every column and plane. */
function expectEqual(a: History, b: History): void {
  for (const name of ['flags', 'phase', 'spot', 'bestBid', 'bestAsk', 'mid', 'buyQty', 'sellQty'] as const) {
    expect(Array.from(a[name]), name).toEqual(Array.from(b[name]));
  }
  for (const name of SCORES) expect(Array.from(a.scores[name]), name).toEqual(Array.from(b.scores[name]));
  for (const name of BAND_COMPONENTS) expect(Array.from(a.bands[name]), name).toEqual(Array.from(b.bands[name]));
  for (const name of PLANES) expect(firstDifference(a.planes[name], b.planes[name]), name).toBe(-1);
}
