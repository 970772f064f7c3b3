import { columnFromArray, dictionary, float64, int64, list, tableFromColumns, tableToIPC, utf8 } from '@uwdata/flechette';
import { describe, expect, it } from 'vitest';
import { SCORES } from '../../src/model/history';
import { PLANES, SPOT_ROW } from '../../src/model/planes';
import { tickOf } from '../../src/units/price';
import { ArrowTable } from '../../src/wire/arrow';
import { liveRows, midTicks } from '../../src/wire/hud_rows';
import { LiveReader, type LiveTable } from '../../src/wire/live';
import { hudBytes, TICK_INT } from '../samples/arrow';
import { windowRow } from '../samples/rows';

const TICK = tickOf(TICK_INT);

describe('arrow tables', () => {
  const table = new ArrowTable(tableToIPC(tableFromColumns([
    ['at', columnFromArray([1_767_709_800_000_000_123n, 5n], int64())],
    ['x', columnFromArray([1.5, null], float64())],
    ['side', columnFromArray(['A', 'B'], dictionary(utf8()))],
    ['flips', columnFromArray([[1, 2], []], list(float64()))],
  ]), { format: 'stream' })!);

  it('keep every digit of an int64', () => {
    expect(table.bigints('at')[0]).toBe(1_767_709_800_000_000_123n);
  });

  it('refuse to make a number of an int64', () => {
    expect(() => table.numbers('at')).toThrow(/column at .* bigint, expected numbers/);
  });

  it('give null as NaN, words as words, lists as arrays', () => {
    expect(Array.from(table.numbers('x'))).toEqual([1.5, Number.NaN]);
    expect([...table.matches('side', 'A')]).toEqual([1, 0]);
    expect(table.lists('flips').map((l) => Array.from(l))).toEqual([[1, 2], []]);
  });

  it('name what is missing and what there is', () => {
    expect(() => table.numbers('y')).toThrow(/no column y; it has at, x, side, flips/);
  });
});

const live = (bytes: Uint8Array): LiveTable => new LiveReader().read(bytes.slice().buffer);

describe('hud rows', () => {
  const rows = [
    windowRow(1_767_709_800, 27_800, [{ plane: 'wall_core_u8', relTicks: 5, u8: 77 }]),
    windowRow(1_767_709_801, Number.NaN, [], { bookValid: false, phase: 3, mid: Number.NaN as never, buyQty: 12 }),
  ];

  it('come back as they were sent', () => {
    const found = liveRows(live(hudBytes(rows)), TICK);
    expect(found).toHaveLength(2);
    expect(found[0]!.window).toBe(1_767_709_800);
    expect(found[0]!.spot).toBe(27_800);
    expect(found[0]!.mid).toBe(27_799.5);
    expect(found[0]!.planes.wall_core_u8[SPOT_ROW + 5]).toBe(77);
    expect(found[0]!.scores.above_score).toBe(0.25);
    expect(found[1]!.spot).toBeNaN();
    expect(found[1]!.mid).toBeNaN();
    expect([found[1]!.bookValid, found[1]!.windowValid, found[1]!.phase, found[1]!.buyQty]).toEqual([false, true, 3, 12]);
    for (const plane of PLANES) expect(found[1]!.planes[plane]).toEqual(rows[1]!.planes[plane]);
  });

  it('are none in an empty answer', () => {
    expect(liveRows(live(hudBytes([])), TICK)).toEqual([]);
  });

  it('refuse another version of the surface with a cure', () => {
    const bytes = hudBytes(rows, { without: ['hole_u8', 'seq'] });
    expect(() => liveRows(live(bytes), TICK)).toThrow(/without seq, hole_u8.*reload the page/);
  });

  it('know all scores', () => {
    expect(SCORES).toHaveLength(5);
  });

  it('round a mid to half ticks', () => {
    expect(midTicks(6950.125, TICK)).toBe(27_800.5);
    expect(midTicks(0, TICK)).toBeNaN();
  });
});
