/** Rows of the hud surface, from the bootstrap or from a live message, to windows of the history. */
import { SCORES, type ScoreName, type WindowBlock, type WindowRow } from '../model/history';
import type { PlaneName } from '../model/planes';
import { NO_TICKS, ticksOf, type Tick, type Ticks } from '../units/price';
import { windowOf, type WindowNo } from '../units/time';
import type { ArrowTable } from './arrow';
import { BAND_COMPONENTS, HUD_ROWS, PLANES, SURFACE_COLUMNS } from './schema.gen';

/**
 * The windows of a table in columns, oldest first. Planes are views of the message, not copies.
 * @throws RangeError when a column of gold.hud.hud_surface_1s is missing or a plane has another width.
 */
export function windowBlock(table: ArrowTable, tick: Tick): WindowBlock {
  const missing = Object.keys(SURFACE_COLUMNS.hud).filter((name) => !table.has(name));
  if (missing.length > 0) {
    throw new RangeError(`the service sends a hud surface without ${missing.join(', ')}: page and service are of `
      + 'different versions; reload the page');
  }
  const perName = <Name extends string, T>(names: readonly Name[], read: (name: Name) => T): Record<Name, T> => (
    Object.fromEntries(names.map((name) => [name, read(name)])) as Record<Name, T>
  );
  const ticks = (name: string): Float64Array => Float64Array.from(table.bigints(name), (price) => ticksOf(price, tick));
  return {
    windows: Float64Array.from(table.bigints('window_end_ts_ns'), windowOf),
    bookValid: table.bools('book_valid'),
    windowValid: table.bools('window_valid'),
    phase: table.numbers('phase'),
    spot: ticks('spot_ref_price_int'),
    bestBid: ticks('best_bid_price_int'),
    bestAsk: ticks('best_ask_price_int'),
    mid: table.numbers('mid_price').map((points) => midTicks(points, tick)),
    buyQty: table.numbers('buy_qty'),
    sellQty: table.numbers('sell_qty'),
    scores: perName(SCORES, (name) => table.numbers(name)),
    bands: perName(BAND_COMPONENTS, (name) => table.numbers(name)),
    planes: perName(PLANES, (name) => plane(table, name)),
  };
}

/** The windows of a table one by one, oldest first; throws as `windowBlock`. */
export function windowRows(table: ArrowTable, tick: Tick): WindowRow[] {
  const block = windowBlock(table, tick);
  return Array.from(block.windows, (window, i) => ({
    window: window as WindowNo,
    bookValid: block.bookValid[i] === 1,
    windowValid: block.windowValid[i] === 1,
    phase: block.phase[i]!,
    spot: block.spot[i] as Ticks,
    bestBid: block.bestBid[i] as Ticks,
    bestAsk: block.bestAsk[i] as Ticks,
    mid: block.mid[i] as Ticks,
    buyQty: block.buyQty[i]!,
    sellQty: block.sellQty[i]!,
    scores: Object.fromEntries(SCORES.map((name) => [name, block.scores[name][i]!])) as Record<ScoreName, number>,
    bands: BAND_COMPONENTS.map((name) => block.bands[name][i]!),
    planes: Object.fromEntries(PLANES.map((name) => [
      name, block.planes[name].subarray(i * HUD_ROWS, (i + 1) * HUD_ROWS),
    ])) as Record<PlaneName, Uint8Array>,
  }));
}

/** Ticks of a price in points; 0 is "none". Rounded to half ticks, which is all a mid can have. */
export function midTicks(points: number, tick: Tick): Ticks {
  return points === 0 ? NO_TICKS : (Math.round((points / tick.points) * 2) / 2) as Ticks;
}

function plane(table: ArrowTable, name: PlaneName): Uint8Array {
  const { bytes, width } = table.allBytes(name);
  if (width !== HUD_ROWS) throw new RangeError(`plane ${name} has ${width} rows, expected ${HUD_ROWS}; reload the page`);
  return bytes;
}
