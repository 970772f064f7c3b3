/** HTTP side of the service (spec 9.3): catalogue, bootstrap, surfaces, day, profile, levels, explanation. */
import type { DayOverview, ReferenceLevel } from '../model/snapshot';
import { NO_TICKS, ticksOf, type Tick } from '../units/price';
import { windowOf, type TsNs, type WindowNo } from '../units/time';
import { ServiceError, type HudApi, type Surface, type SurfaceTable } from './api';
import { ArrowTable } from './arrow';
import { midTicks } from './hud_rows';
import { int64 } from './messages';

/** A day of the catalogue, as far as the page needs it. */
export interface CatalogDay {
  readonly symbol: string;
  readonly dt: string;
  readonly servable: boolean;
  readonly reason: string | null;
  readonly firstWindow: WindowNo;
  readonly lastWindow: WindowNo;
  readonly warnings: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  /** Surfaces that the lake has for this day. */
  readonly surfaces: readonly string[];
}

export interface Catalog {
  readonly chosen: { readonly symbol: string; readonly dt: string } | null;
  readonly days: readonly CatalogDay[];
}

type Json = Record<string, unknown>;

export class HttpApi implements HudApi {
  private day: { symbol: string; dt: string } | null = null;

  /** @param base address of the service without a slash at its end; '' for the page's own */
  constructor(private readonly base: string) {}

  /** Requests name this day from now on. */
  useDay(symbol: string, dt: string): void {
    this.day = { symbol, dt };
  }

  async catalog(): Promise<Catalog> {
    const answer = (await (await this.get('/v1/catalog', {})).json()) as Json;
    const days = (answer.days as Json[]).map(catalogDay);
    return { chosen: (answer.default as { symbol: string; dt: string } | null) ?? null, days };
  }

  /** The hud rows of the half hour that ends at `endNs`. */
  async bootstrap(endNs: TsNs, signal?: AbortSignal): Promise<ArrowTable> {
    return this.arrow('/v1/hud/bootstrap', { end_ts_ns: endNs }, 'the half hour of history', signal);
  }

  /** The hud rows with start < window_end <= end, at most 1800 of them. */
  async pictures(startNs: TsNs, endNs: TsNs, signal?: AbortSignal): Promise<ArrowTable> {
    return this.arrow('/v1/surfaces/hud', { start_ts_ns: startNs, end_ts_ns: endNs }, 'the older part of the half hour', signal);
  }

  async surface(surface: Surface, startNs: TsNs, endNs: TsNs, signal?: AbortSignal): Promise<SurfaceTable> {
    return this.arrow(`/v1/surfaces/${surface}`, { start_ts_ns: startNs, end_ts_ns: endNs }, `surface ${surface}`, signal);
  }

  async profile(endNs: TsNs, signal?: AbortSignal): Promise<SurfaceTable> {
    return this.arrow('/v1/hud/profile', { end_ts_ns: endNs }, 'the volume profile', signal);
  }

  async explain(tsNs: TsNs, signal?: AbortSignal): Promise<unknown> {
    return (await this.get('/v1/explain', { ...this.named(), ts_ns: tsNs }, signal)).json();
  }

  async dayOverview(tick: Tick, signal?: AbortSignal): Promise<DayOverview> {
    return dayOf(await this.arrow('/v1/hud/day', {}, 'the overview of the day', signal), tick);
  }

  async levels(tick: Tick, signal?: AbortSignal): Promise<ReferenceLevel[]> {
    const answer = (await (await this.get('/v1/levels', this.named(), signal)).json()) as Json;
    return ((answer.levels ?? []) as Json[]).map((level) => levelOf(level, tick));
  }

  /** Address of the WebSocket with these query fields. */
  streamUrl(query: Readonly<Record<string, string>>): string {
    const url = new URL(`${this.base}/v1/hud/stream?${new URLSearchParams({ ...this.named(), ...query })}`, location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
  }

  private named(): Record<string, string> {
    if (!this.day) throw new Error('no day is chosen yet');
    return { ...this.day };
  }

  private async arrow(path: string, query: Json, what: string, signal?: AbortSignal): Promise<ArrowTable> {
    const answer = await this.get(path, { ...this.named(), ...query }, signal);
    return new ArrowTable(await answer.arrayBuffer(), what);
  }

  private async get(path: string, query: Json, signal?: AbortSignal): Promise<Response> {
    const fields = Object.entries(query).map(([name, value]) => [name, String(value)]);
    const search = fields.length > 0 ? `?${new URLSearchParams(fields)}` : '';
    let answer: Response;
    try {
      answer = await fetch(`${this.base}${path}${search}`, signal ? { signal } : {});
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ServiceError(0, 'the service does not answer; is `spymaster serve` still running?');
    }
    if (!answer.ok) throw new ServiceError(answer.status, await problemText(answer));
    return answer;
  }
}

/** The detail of a problem body, or the status in words. */
async function problemText(answer: Response): Promise<string> {
  try {
    const body = (await answer.json()) as Json;
    if (typeof body.detail === 'string') return body.detail;
  } catch {
    // not JSON: a proxy answered, not the service
  }
  return `the service refused with status ${answer.status}`;
}

function catalogDay(day: Json): CatalogDay {
  const place = (name: string): WindowNo => (
    day[name] ? windowOf(int64(day[name] as Json, 'ts_ns')) : Number.NaN as WindowNo
  );
  return {
    symbol: String(day.symbol),
    dt: String(day.dt),
    servable: day.servable === true,
    reason: (day.reason as string | null) ?? null,
    firstWindow: place('first_window'),
    lastWindow: place('last_window'),
    warnings: (day.warnings as string[] | undefined) ?? [],
    counters: (day.counters as Record<string, number> | undefined) ?? {},
    surfaces: Object.entries((day.surfaces as Record<string, Json> | undefined) ?? {}).flatMap(([name, told]) => (told.available === true ? [name] : [])),
  };
}

/** @throws RangeError when a column is missing. */
export function dayOf(table: SurfaceTable, tick: Tick): DayOverview {
  const ends = table.bigints('window_end_ts_ns');
  const ticks = (name: string): Float64Array => Float64Array.from(table.bigints(name), (price) => ticksOf(price, tick));
  return {
    firstWindow: (ends.length > 0 ? windowOf(ends[0]!) : Number.NaN) as WindowNo,
    windows: ends.length,
    spot: ticks('spot_ref_price_int'),
    mid: table.numbers('mid_price').map((points) => midTicks(points, tick)),
    high: ticks('high_price_int'),
    low: ticks('low_price_int'),
    vwap: table.numbers('vwap').map((points) => (points > 0 ? points / tick.points : Number.NaN)),
    buyQty: Int32Array.from(table.numbers('buy_qty')),
    sellQty: Int32Array.from(table.numbers('sell_qty')),
    cumDelta: Float64Array.from(table.bigints('cum_delta_qty'), Number),
    bookValid: table.bools('book_valid'),
    phase: Uint8Array.from(table.numbers('phase')),
    aboveScore: table.numbers('above_score'),
    belowScore: table.numbers('below_score'),
  };
}

/** Names of the service's levels, as short as a label on the picture has to be. */
const LEVEL_NAMES: Readonly<Record<string, string>> = {
  prior_settlement: 'Settlement', prior_close: 'Prior close', overnight_high: 'ONH', overnight_low: 'ONL',
  premarket_high: 'PMH', premarket_low: 'PML', opening_range_5_high: 'OR5 high', opening_range_5_low: 'OR5 low',
  opening_range_15_high: 'OR15 high', opening_range_15_low: 'OR15 low', opening_range_30_high: 'OR30 high',
  opening_range_30_low: 'OR30 low',
};

function levelOf(level: Json, tick: Tick): ReferenceLevel {
  const id = String(level.id);
  const available = typeof level.price_int === 'string';
  return {
    name: LEVEL_NAMES[id] ?? id.replaceAll('_', ' '),
    ticks: available ? ticksOf(int64(level, 'price_int'), tick) : NO_TICKS,
    unavailable: available ? null : String(level.unavailable ?? 'the service does not say why'),
    definition: [level.definition, level.source].filter((text) => typeof text === 'string').join('; '),
    knownFrom: (available && typeof level.known_from_ts_ns === 'string'
      ? windowOf(int64(level, 'known_from_ts_ns')) : Number.NaN) as WindowNo,
  };
}
