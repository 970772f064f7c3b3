import { describe, expect, it } from 'vitest';
import { bandLevels, CHANGE_SECONDS, FLOW_SECONDS, groupTicksFor, rowAt, WallSeconds, type LadderRungs, type LadderSecond } from '../../src/model/ladder';
import type { WindowNo } from '../../src/units/time';
import { at } from './seconds';

type Level = readonly [side: 'ask' | 'bid', ticks: number, end: number, add?: number, pull?: number];

function second(window: WindowNo, levels: readonly Level[]): LadderSecond {
  const rows = [...levels].sort((a, b) => (a[0] === b[0] ? a[1] - b[1] : a[0] === 'ask' ? -1 : 1));
  const lots = (k: 2 | 3 | 4): Int32Array => Int32Array.from(rows, (level) => level[k] ?? 0);
  return {
    window, askRows: rows.filter(([side]) => side === 'ask').length, ticks: Float64Array.from(rows, (level) => level[1]),
    end: lots(2), add: lots(3), pull: lots(4),
  };
}

const QTYS = ['bidQty', 'askQty', 'changeQty', 'addedQty', 'pulledQty'] as const;
const rungOf = (ladder: LadderRungs, i: number): Record<(typeof QTYS)[number], number> => (
  Object.fromEntries(QTYS.map((name) => [name, ladder[name][i]])) as Record<(typeof QTYS)[number], number>
);

/** The same numbers by plain loops over all levels. */
function plain(all: readonly (readonly [number, readonly Level[]])[], now: number, low: number, ticks: number) {
  const within = (level: Level): boolean => level[1] >= low && level[1] < low + ticks;
  const levels = (window: number): readonly Level[] => all.find(([w]) => w === window)?.[1] ?? [];
  const sum = (rows: readonly Level[], k: 2 | 3 | 4): number => rows.filter(within).reduce((s, level) => s + (level[k] ?? 0), 0);
  const side = (which: string): number => sum(levels(now).filter(([s]) => s === which), 2);
  const recent = all.filter(([w]) => w > now - 30 && w <= now).flatMap(([, rows]) => rows);
  return {
    bidQty: side('bid'), askQty: side('ask'), changeQty: sum(levels(now), 2) - sum(levels(now - 5), 2),
    addedQty: sum(recent, 3), pulledQty: sum(recent, 4),
  };
}

describe('ladder', () => {
  it('equals plain sums over generated seconds, for every group of ticks', () => {
    let state = 7;
    const random = (n: number): number => (state = (state * 48271) % 2147483647) % n;
    const all = Array.from({ length: 40 }, (_, i): readonly [number, readonly Level[]] => [
      at(i),
      Array.from({ length: 60 }, (_, k): Level => [k < 30 ? 'bid' : 'ask', 1000 + k - random(2), random(90), random(20), random(20)])
        .filter((level, j, rows) => rows.findIndex((other) => other[0] === level[0] && other[1] === level[1]) === j),
    ]);
    const wall = new WallSeconds();
    for (const [window, levels] of all) wall.add(second(window as WindowNo, levels));
    for (const group of [1, 2, 4]) {
      const ladder = wall.rungs(at(39), 1003, 1050, group)!;
      expect(ladder.flowSeconds).toBe(FLOW_SECONDS);
      expect(ladder.firstTicks).toBeLessThanOrEqual(1003);
      expect(ladder.firstTicks + ladder.count * group).toBeGreaterThan(1050);
      expect(ladder.addedQty.some((qty) => qty > 0)).toBe(true);
      for (let i = 0; i < ladder.count; i++) expect(rungOf(ladder, i)).toEqual(plain(all, at(39), ladder.firstTicks + i * group, group));
    }
  });

  it('says that a change is unknown while the second before is not held', () => {
    const wall = new WallSeconds();
    wall.add(second(at(10), [['bid', 5, 40]]));
    const rung = rungOf(wall.rungs(at(10), 5, 5, 1)!, 0);
    expect(rung.bidQty).toBe(40);
    expect(rung.changeQty).toBeNaN();
    expect(wall.rungs(at(10), 5, 5, 1)!.flowSeconds).toBe(1);
    wall.add(second(at(10 - CHANGE_SECONDS), []));
    expect(wall.rungs(at(10), 5, 5, 1)!.changeQty[0]).toBe(40);
  });

  it('gives nothing for a second it does not hold, and asks for what is missing', () => {
    const wall = new WallSeconds();
    expect(wall.rungs(at(3), 0, 9, 1)).toBeNull();
    expect(wall.missing(at(100))).toEqual({ after: at(70), to: at(100) });
    for (let i = 71; i <= 95; i++) wall.add(second(at(i), []));
    expect(wall.missing(at(100))).toEqual({ after: at(95), to: at(100) });
    wall.keepFor(at(140));
    expect(wall.newest(at(200))).toBeNaN();
  });

  it('counts the levels with depth of each band, spot on both sides', () => {
    let state = 5;
    const random = (n: number): number => (state = (state * 48271) % 2147483647) % n;
    for (let round = 0; round < 50; round++) {
      const levels = (['ask', 'bid'] as const).flatMap((side) => Array.from({ length: 60 }, (_, k): Level => [side, 970 + k, random(3) === 0 ? 0 : random(9)])
        .filter(() => random(4) > 0));
      const found = bandLevels(second(at(0), levels), 1000);
      for (const [side, direction, sign] of [['ask', 'above', 1], ['bid', 'below', -1]] as const) {
        for (const [band, low, high] of [['at', 0, 2], ['near', 3, 5], ['mid', 6, 14], ['far', 15, 20]] as const) {
          const there = levels.filter(([s, ticks, end]) => s === side && end > 0 && sign * (ticks - 1000) >= low && sign * (ticks - 1000) <= high);
          expect(found[direction][band]).toBe(there.length);
        }
      }
    }
    expect(bandLevels(second(at(0), []), 1000).above.at).toBe(0);
  });

  it('finds a level by side and price', () => {
    const wall = second(at(0), [['ask', 8, 1], ['ask', 9, 2], ['bid', 7, 3], ['bid', 8, 4]]);
    expect(wall.end[rowAt(wall, 'ask', 8)]).toBe(1);
    expect(wall.end[rowAt(wall, 'bid', 8)]).toBe(4);
    expect(rowAt(wall, 'ask', 7)).toBe(-1);
    expect(rowAt(wall, 'bid', 9)).toBe(-1);
  });

  it('takes more ticks into a rung as the picture shrinks', () => {
    expect(groupTicksFor(14, 13)).toBe(1);
    expect(groupTicksFor(6.4, 12)).toBe(2);
    expect(groupTicksFor(3, 12)).toBe(4);
    expect(groupTicksFor(0.4, 12)).toBe(40);
  });
});
