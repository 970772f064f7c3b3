/** Histories for tests, written second by second. */
import { BAND_COMPONENTS, History, SCORES, type BandComponentName, type ScoreName, type WindowRow } from '../../src/model/history';
import { GEX_NEUTRAL, HUD_ROWS, PLANES, type PlaneName } from '../../src/model/planes';
import type { Ticks } from '../../src/units/price';
import type { WindowNo } from '../../src/units/time';

/** 2026-01-06 09:30:00 New York. */
export const T0 = 1_767_709_800 as WindowNo;

export interface Second {
  readonly spot?: number;
  readonly windowValid?: boolean;
  readonly phase?: number;
  readonly buyQty?: number;
  readonly sellQty?: number;
  readonly scores?: Partial<Record<ScoreName, number>>;
  readonly bands?: Partial<Record<BandComponentName, number>>;
  /** Bytes by plane and rel_ticks. */
  readonly planes?: Partial<Record<PlaneName, Readonly<Record<number, number>>>>;
}

export function row(window: WindowNo, second: Second): WindowRow {
  const spot = (second.spot ?? 27_800) as Ticks;
  return {
    window,
    bookValid: true,
    windowValid: second.windowValid ?? true,
    phase: second.phase ?? 2,
    spot,
    bestBid: (spot - 1) as Ticks,
    bestAsk: spot,
    mid: (spot - 0.5) as Ticks,
    buyQty: second.buyQty ?? 1,
    sellQty: second.sellQty ?? 0,
    scores: Object.fromEntries(SCORES.map((name) => [name, second.scores?.[name] ?? 0])) as Record<ScoreName, number>,
    bands: BAND_COMPONENTS.map((name) => second.bands?.[name] ?? 0),
    planes: Object.fromEntries(PLANES.map((name) => {
      const bytes = new Uint8Array(HUD_ROWS).fill(name === 'gex_imbalance_u8' ? GEX_NEUTRAL : 0);
      for (const [rel, value] of Object.entries(second.planes?.[name] ?? {})) bytes[Number(rel) + 600] = value;
      return [name, bytes];
    })) as unknown as Record<PlaneName, Uint8Array>,
  };
}

/** One window per entry from T0 on; null leaves the second out. */
export function historyOf(seconds: readonly (Second | null)[]): History {
  const history = new History();
  seconds.forEach((second, i) => {
    if (second !== null) history.push(row((T0 + i) as WindowNo, second));
  });
  return history;
}

export const at = (i: number): WindowNo => (T0 + i) as WindowNo;
