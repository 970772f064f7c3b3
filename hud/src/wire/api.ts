/** Reading from the service over HTTP: what a panel may ask for (spec 9.3). */
import type { TsNs } from '../units/time';
import type { Surface } from './schema.gen';

export type { Surface };

/** A decoded Arrow table, column by column. A wrong name or kind is a RangeError that says so. */
export interface SurfaceTable {
  readonly rows: number;
  readonly names: readonly string[];
  has(name: string): boolean;
  /** int8 .. int32, float32, float64 columns as numbers; null becomes NaN. Refuses int64. */
  numbers(name: string): Float64Array;
  /** int64 columns. */
  bigints(name: string): BigInt64Array;
  /** int8 .. int32 columns without nulls. */
  ints(name: string): Int32Array;
  /** 1 for the rows that hold this word, dictionary-encoded or not. */
  matches(name: string, word: string): Uint8Array;
  /** Booleans as 0 and 1. */
  bools(name: string): Uint8Array;
  /** A list column of numbers: one array per row. */
  lists(name: string): Float64Array[];
  /** FixedSizeBinary: the bytes of one row. */
  bytes(name: string, row: number): Uint8Array;
}

/** A refusal of the service: the detail of its problem body, as a sentence. */
export class ServiceError extends Error {
  constructor(readonly status: number, detail: string) {
    super(detail);
    this.name = 'ServiceError';
  }
}

export interface HudApi {
  /** Rows with start < window_end <= end. wall and vacuum: at most 120 windows. */
  surface(surface: Surface, startNs: TsNs, endNs: TsNs, signal?: AbortSignal): Promise<SurfaceTable>;
  /** Volume by price and aggressor since the trade date's start, up to `endNs`. */
  profile(endNs: TsNs, signal?: AbortSignal): Promise<SurfaceTable>;
  /** Additive terms of both scores of the window that ends at `tsNs`; JSON as the service gives it. */
  explain(tsNs: TsNs, signal?: AbortSignal): Promise<unknown>;
}
