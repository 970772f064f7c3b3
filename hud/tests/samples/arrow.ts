/** Hud messages as the service sends them, made from windows: for tests without a service. */
import {
  bool, columnFromArray, fixedSizeBinary, float32, float64, int32, int64, tableFromColumns, tableToIPC, uint8, type DataType,
} from '@uwdata/flechette';
import { SCORES, type WindowRow } from '../../src/model/history';
import { HUD_ROWS, type PlaneName } from '../../src/model/planes';
import { BAND_COMPONENTS, SURFACE_COLUMNS } from '../../src/wire/schema.gen';

export const TICK_INT = 250_000_000n;

const TYPES: Readonly<Record<string, () => DataType>> = {
  int64: () => int64(), int32: () => int32(), uint8: () => uint8(), double: () => float64(), float: () => float32(),
  bool: () => bool(), [`fixed_size_binary[${HUD_ROWS}]`]: () => fixedSizeBinary(HUD_ROWS),
};

const price = (ticks: number): bigint => (Number.isNaN(ticks) ? 0n : BigInt(Math.round(ticks * Number(TICK_INT))));

function value(row: WindowRow, name: string, seq: number): unknown {
  const score = SCORES.find((s) => s === name);
  if (score) return row.scores[score];
  const band = BAND_COMPONENTS.findIndex((b) => b === name);
  if (band >= 0) return row.bands[band];
  if (name.endsWith('_u8')) return row.planes[name as PlaneName];
  switch (name) {
    case 'window_end_ts_ns': return BigInt(row.window) * 1_000_000_000n;
    case 'seq': return BigInt(seq);
    case 'spot_ref_price_int': return price(row.spot);
    case 'best_bid_price_int': return price(row.bestBid);
    case 'best_ask_price_int': return price(row.bestAsk);
    case 'mid_price': return Number.isNaN(row.mid) ? 0 : row.mid * 0.25;
    case 'book_valid': return row.bookValid;
    case 'window_valid': return row.windowValid;
    case 'phase': return row.phase;
    case 'buy_qty': return row.buyQty;
    case 'sell_qty': return row.sellQty;
    default: throw new Error(`no value for ${name}`);
  }
}

/** Arrow IPC stream of the hud surface. `without`: columns left out. */
export function hudBytes(rows: readonly WindowRow[], { without = [] as string[], metadata = {} as Record<string, string> } = {}): Uint8Array {
  const columns = Object.entries(SURFACE_COLUMNS.hud)
    .filter(([name]) => !without.includes(name))
    .map(([name, type]): [string, ReturnType<typeof columnFromArray>] => [
      name, columnFromArray(rows.map((row, i) => value(row, name, i)), TYPES[type]!()),
    ]);
  const table = tableFromColumns(columns);
  (table.schema as { metadata: Map<string, string> }).metadata = new Map(Object.entries(metadata));
  return tableToIPC(table, { format: 'stream' })!;
}

/** One live message, as an ArrayBuffer of its own. */
export function hudMessage(row: WindowRow, surface = 'hud'): ArrayBuffer {
  const bytes = hudBytes([row], { metadata: { surface, window_end_ts_ns: `${row.window}000000000` } });
  return bytes.slice().buffer as ArrayBuffer;
}
