/** Rows of the hud surface, from the bootstrap or from a live message, to windows of the history. */
import { SCORES, type WindowBlock, type WindowRow } from '../model/history';
import type { PlaneName } from '../model/planes';
import { NO_TICKS, ticksOf, type Tick, type Ticks } from '../units/price';
import { windowOf } from '../units/time';
import type { SurfaceTable } from './api';
import type { LiveTable } from './live';
import { BAND_COMPONENTS, HUD_ROWS, PLANES, SURFACE_COLUMNS } from './schema.gen';

/** Planes are read without a copy. */
export interface HudTable extends SurfaceTable {
  /** FixedSizeBinary: the bytes of all rows, one after the other. */
  allBytes(name: string): { readonly bytes: Uint8Array; readonly width: number };
}

/**
 * The windows of a table in columns, oldest first. Planes are views of the message, not copies.
 * @throws RangeError when a column of gold.hud.hud_surface_1s is missing or a plane has another width.
 */
export function windowBlock(table: HudTable, tick: Tick): WindowBlock {
  requireColumns(table);
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

/**
 * The windows of a live message, oldest first: no column of it is copied, planes are views of it.
 * @throws RangeError as `windowBlock`
 */
export function liveRows(table: LiveTable, tick: Tick): WindowRow[] {
  requireColumns(table);
  const ends = table.bigints('window_end_ts_ns');
  const spot = table.bigints('spot_ref_price_int');
  const bestBid = table.bigints('best_bid_price_int');
  const bestAsk = table.bigints('best_ask_price_int');
  const bookValid = table.bools('book_valid');
  const windowValid = table.bools('window_valid');
  return Array.from({ length: table.rows }, (_, i) => ({
    window: windowOf(ends[i]!),
    bookValid: bookValid[i] === 1,
    windowValid: windowValid[i] === 1,
    phase: table.value('phase', i),
    spot: ticksOf(spot[i]!, tick),
    bestBid: ticksOf(bestBid[i]!, tick),
    bestAsk: ticksOf(bestAsk[i]!, tick),
    mid: midTicks(table.value('mid_price', i), tick),
    buyQty: table.value('buy_qty', i),
    sellQty: table.value('sell_qty', i),
    scores: named(SCORES, (name) => table.value(name, i)),
    bands: BAND_COMPONENTS.map((name) => table.value(name, i)),
    planes: named(PLANES, (name) => planeAt(table, name, i)),
  }));
}

function named<Name extends string, To>(names: readonly Name[], read: (name: Name) => To): Record<Name, To> {
  const out = {} as Record<Name, To>;
  for (const name of names) out[name] = read(name);
  return out;
}

/** Names of the tables that have all columns: those of live messages come again every second. */
const complete = new WeakSet<readonly string[]>();

function requireColumns(table: SurfaceTable): void {
  if (complete.has(table.names)) return;
  const missing = Object.keys(SURFACE_COLUMNS.hud).filter((name) => !table.has(name));
  if (missing.length > 0) {
    throw new RangeError(`the service sends a hud surface without ${missing.join(', ')}: page and service are of `
      + 'different versions; reload the page');
  }
  complete.add(table.names);
}

/** Ticks of a price in points; 0 is "none". Rounded to half ticks, which is all a mid can have. */
export function midTicks(points: number, tick: Tick): Ticks {
  return points === 0 ? NO_TICKS : (Math.round((points / tick.points) * 2) / 2) as Ticks;
}

function plane(table: HudTable, name: PlaneName): Uint8Array {
  const { bytes, width } = table.allBytes(name);
  demandWidth(name, width);
  return bytes;
}

function planeAt(table: LiveTable, name: PlaneName, row: number): Uint8Array {
  const bytes = table.bytes(name, row);
  demandWidth(name, bytes.length);
  return bytes;
}

function demandWidth(name: PlaneName, width: number): void {
  if (width !== HUD_ROWS) throw new RangeError(`plane ${name} has ${width} rows, expected ${HUD_ROWS}; reload the page`);
}
