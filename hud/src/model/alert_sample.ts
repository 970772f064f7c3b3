/**
 * A second of the history as alert rules see it.
 *
 * Walls and holes are judged from the planes, so that every second is judged at every speed. A wall byte stands for
 * lots on a log scale: one step is 3 %, so a wall within 1.5 % of its threshold may count or not. Sentences name the
 * threshold, never lots read from a byte.
 */
import type { WindowNo } from '../units/time';
import type { AlertSample, WatchedScore, WatchedSide } from './alerts';
import { PHASES, WINDOW_VALID, type HistoryView } from './history';
import { HUD_ROWS, lotsOfWallByte, SIDE_ASK, SIDE_BID, SPOT_ROW } from './planes';
import { scoreColumn, smoothed, tugColumn } from './scores';

/** What the history does not hold. */
export interface GammaAt {
  readonly chainGone: boolean;
  readonly flipDistanceTicks: number;
}

/** Rows that can hold a price `side` stands at, within `ticks` of spot. */
function rowsWithin(side: WatchedSide, ticks: number): readonly [number, number] {
  // a book's best prices can lie one tick on the other side of the last trade, so both look a little across spot
  const across = Math.min(ticks, 2);
  return [
    SPOT_ROW - (side === 'ask' ? across : ticks),
    SPOT_ROW + (side === 'bid' ? across : ticks),
  ];
}

/** null when the window is not held: nothing is known, not even that it is invalid. */
export function alertSample(history: HistoryView, window: WindowNo, gamma: GammaAt): AlertSample | null {
  const slot = history.slotOf(window);
  if (slot < 0) return null;
  const base = slot * HUD_ROWS;
  const spot = history.spot[slot]!;
  const { wall_core_u8: core, side_u8: sides, hole_u8: holes } = history.planes;
  return {
    window,
    windowValid: (history.flags[slot]! & WINDOW_VALID) !== 0,
    phase: PHASES[history.phase[slot]!] ?? 'closed',
    chainGone: gamma.chainGone,
    score(name: WatchedScore) {
      return smoothed(history, name === 'tug' ? tugColumn(history) : scoreColumn(history, name), window);
    },
    wall(side, ticks) {
      if (Number.isNaN(spot)) return { lots: Number.NaN, priceTicks: Number.NaN };
      const [from, to] = rowsWithin(side, ticks);
      const wanted = side === 'bid' ? SIDE_BID : side === 'ask' ? SIDE_ASK : null;
      let best = 0;
      let bestRow = Number.NaN;
      for (let row = from; row <= to; row++) {
        const byte = core[base + row]!;
        if (byte > best && (wanted === null || sides[base + row] === wanted)) {
          best = byte;
          bestRow = row;
        }
      }
      return { lots: lotsOfWallByte(best), priceTicks: spot + bestRow - SPOT_ROW };
    },
    hole(side, ticks) {
      // the plane marks asks at or above spot and bids at or below it; at spot it does not say which
      const from = side === 'ask' ? 0 : -ticks;
      const to = side === 'bid' ? 0 : ticks;
      let nearest = Number.NaN;
      for (let rel = from; rel <= to; rel++) {
        if (holes[base + SPOT_ROW + rel] === 255 && !(Math.abs(rel) >= Math.abs(nearest))) nearest = rel;
      }
      return spot + nearest;
    },
    flipDistance() {
      return gamma.flipDistanceTicks;
    },
  };
}
