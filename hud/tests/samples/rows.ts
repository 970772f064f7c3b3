/** Windows for tests: empty planes, spot at a tick, whatever a test wants on top. */
import type { ScoreName, WindowRow } from '../../src/model/history';
import { GEX_NEUTRAL, HUD_ROWS, PLANES, SPOT_ROW, type PlaneName } from '../../src/model/planes';
import { SCORES } from '../../src/model/history';
import type { Ticks } from '../../src/units/price';
import type { WindowNo } from '../../src/units/time';

export interface Cell {
  readonly plane: PlaneName;
  readonly relTicks: number;
  readonly u8: number;
}

export function windowRow(window: number, spot: number, cells: readonly Cell[] = [], changes: Partial<WindowRow> = {}): WindowRow {
  const planes = Object.fromEntries(PLANES.map((name) => [
    name, new Uint8Array(HUD_ROWS).fill(name === 'gex_imbalance_u8' ? GEX_NEUTRAL : 0),
  ])) as Record<PlaneName, Uint8Array>;
  for (const { plane, relTicks, u8 } of cells) planes[plane][SPOT_ROW + relTicks] = u8;
  return {
    window: window as WindowNo,
    bookValid: true,
    windowValid: true,
    phase: 2,
    spot: spot as Ticks,
    bestBid: (spot - 1) as Ticks,
    bestAsk: spot as Ticks,
    mid: (spot - 0.5) as Ticks,
    buyQty: 3,
    sellQty: 2,
    scores: Object.fromEntries(SCORES.map((name) => [name, 0.25])) as Record<ScoreName, number>,
    bands: new Array<number>(24).fill(0.5),
    planes,
    ...changes,
  };
}

/** A stable stream of numbers 0 .. 1: tests that need variety, not chance. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Index of the first byte that differs, -1 when none does: equality without a report of a hundred thousand numbers. */
export function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}
