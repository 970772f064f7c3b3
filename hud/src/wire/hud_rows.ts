/** Rows of the hud surface, from the bootstrap or from a live message, to windows of the history. */
import { SCORES, type ScoreName, type WindowRow } from '../model/history';
import type { PlaneName } from '../model/planes';
import { NO_TICKS, ticksOf, type Tick, type Ticks } from '../units/price';
import { windowOf } from '../units/time';
import type { ArrowTable } from './arrow';
import { BAND_COMPONENTS, HUD_ROWS, PLANES, SURFACE_COLUMNS } from './schema.gen';

/**
 * The windows of a table, oldest first. Planes are views of the message, not copies.
 * @throws RangeError when a column of gold.hud.hud_surface_1s is missing or a plane has another width.
 */
export function windowRows(table: ArrowTable, tick: Tick): WindowRow[] {
  const missing = Object.keys(SURFACE_COLUMNS.hud).filter((name) => !table.has(name));
  if (missing.length > 0) {
    throw new RangeError(`the service sends a hud surface without ${missing.join(', ')}: page and service are of `
      + 'different versions; reload the page');
  }
  const ends = table.bigints('window_end_ts_ns');
  const spot = table.bigints('spot_ref_price_int');
  const bid = table.bigints('best_bid_price_int');
  const ask = table.bigints('best_ask_price_int');
  const mid = table.numbers('mid_price');
  const bookValid = table.bools('book_valid');
  const windowValid = table.bools('window_valid');
  const phase = table.numbers('phase');
  const buy = table.numbers('buy_qty');
  const sell = table.numbers('sell_qty');
  const scores = SCORES.map((name) => table.numbers(name));
  const bands = BAND_COMPONENTS.map((name) => table.numbers(name));
  const rows: WindowRow[] = [];
  for (let i = 0; i < table.rows; i++) {
    rows.push({
      window: windowOf(ends[i]!),
      bookValid: bookValid[i] === 1,
      windowValid: windowValid[i] === 1,
      phase: phase[i]!,
      spot: ticksOf(spot[i]!, tick),
      bestBid: ticksOf(bid[i]!, tick),
      bestAsk: ticksOf(ask[i]!, tick),
      mid: midTicks(mid[i]!, tick),
      buyQty: buy[i]!,
      sellQty: sell[i]!,
      scores: Object.fromEntries(SCORES.map((name, k) => [name, scores[k]![i]!])) as Record<ScoreName, number>,
      bands: bands.map((column) => column[i]!),
      planes: Object.fromEntries(PLANES.map((name) => [name, plane(table, name, i)])) as Record<PlaneName, Uint8Array>,
    });
  }
  return rows;
}

/** Ticks of a price in points; 0 is "none". Rounded to half ticks, which is all a mid can have. */
export function midTicks(points: number, tick: Tick): Ticks {
  return points === 0 ? NO_TICKS : (Math.round((points / tick.points) * 2) / 2) as Ticks;
}

function plane(table: ArrowTable, name: PlaneName, row: number): Uint8Array {
  const bytes = table.bytes(name, row);
  if (bytes.length !== HUD_ROWS) {
    throw new RangeError(`plane ${name} has ${bytes.length} rows, expected ${HUD_ROWS}; reload the page`);
  }
  return bytes;
}
