/**
 * Arrow IPC streams to typed columns. What the service promises is checked here, once: a column that is missing or
 * of another kind is a sentence, not a picture of garbage.
 */
import { tableFromIPC, type Column, type Table } from '@uwdata/flechette';
import type { SurfaceTable } from './api';

/** Schema metadata of a live message (spec 9.4), as text. */
export type StreamMetadata = ReadonlyMap<string, string>;

export class ArrowTable implements SurfaceTable {
  readonly rows: number;
  readonly names: readonly string[];
  readonly metadata: StreamMetadata;
  private readonly table: Table;

  /** @throws Error when the bytes are no Arrow stream. */
  constructor(bytes: ArrayBuffer | Uint8Array, private readonly what = 'the answer') {
    this.table = tableFromIPC(bytes, { useBigInt: true });
    this.rows = this.table.numRows;
    this.names = this.table.names as string[];
    this.metadata = (this.table.schema.metadata ?? new Map()) as StreamMetadata;
  }

  /** Names and types in the order of the batch, as the decoder gives them. */
  get fields(): readonly unknown[] {
    return this.table.schema.fields;
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  numbers(name: string): Float64Array {
    const column = this.column(name);
    const values: unknown = column.nullCount === 0 && this.rows > 0 ? column.toArray() : null;
    if (values instanceof Float64Array) return values;
    if (ArrayBuffer.isView(values) && !(values instanceof BigInt64Array) && !(values instanceof BigUint64Array)) {
      return new Float64Array(values as Float32Array);
    }
    const out = new Float64Array(this.rows);
    let i = 0;
    for (const value of column) {
      if (typeof value === 'bigint' || typeof value === 'string') throw this.kind(name, typeof value, 'numbers');
      out[i++] = value === null ? Number.NaN : Number(value);
    }
    return out;
  }

  bigints(name: string): BigInt64Array {
    const column = this.column(name);
    if (this.rows === 0) return new BigInt64Array(0);
    const values: unknown = column.toArray();
    if (!(values instanceof BigInt64Array)) throw this.kind(name, String(column.type.typeId), 'int64 without nulls');
    return values;
  }

  ints(name: string): Int32Array {
    const column = this.column(name);
    if (this.rows === 0) return new Int32Array(0);
    const values: unknown = column.nullCount === 0 ? column.toArray() : null;
    if (values instanceof Int32Array) return values;
    if (values instanceof Int16Array || values instanceof Int8Array || values instanceof Uint16Array || values instanceof Uint8Array) return Int32Array.from(values);
    throw this.kind(name, String(column.type.typeId), 'int32 or less without nulls');
  }

  matches(name: string, word: string): Uint8Array {
    return Uint8Array.from(this.column(name) as Iterable<unknown>, (value) => {
      if (value !== null && typeof value !== 'string') throw this.kind(name, typeof value, 'text');
      return value === word ? 1 : 0;
    });
  }

  bools(name: string): Uint8Array {
    return Uint8Array.from(this.column(name) as Iterable<unknown>, (value) => {
      if (typeof value !== 'boolean') throw this.kind(name, typeof value, 'booleans without nulls');
      return value ? 1 : 0;
    });
  }

  lists(name: string): Float64Array[] {
    return Array.from(this.column(name) as Iterable<unknown>, (value) => {
      if (value === null) return new Float64Array(0);
      if (typeof value !== 'object') throw this.kind(name, typeof value, 'lists of numbers');
      return Float64Array.from(value as Iterable<number>);
    });
  }

  bytes(name: string, row: number): Uint8Array {
    const value: unknown = this.column(name).at(row);
    if (!(value instanceof Uint8Array)) throw this.kind(name, typeof value, 'bytes of fixed size');
    return value;
  }

  /** FixedSizeBinary: the bytes of all rows, one after the other; a view of the answer where it lies in one piece. */
  allBytes(name: string): { readonly bytes: Uint8Array; readonly width: number } {
    const { data, type } = this.column(name);
    const width = (type as { stride?: number }).stride;
    const parts = data.map((batch) => batch.values as unknown);
    if (width === undefined || !parts.every((part) => part instanceof Uint8Array)) throw this.kind(name, String(type.typeId), 'bytes of fixed size');
    if (parts.length === 1) return { bytes: parts[0] as Uint8Array, width };
    const bytes = new Uint8Array(this.rows * width);
    let at = 0;
    for (const part of parts as Uint8Array[]) {
      bytes.set(part, at);
      at += part.length;
    }
    return { bytes, width };
  }

  private column(name: string): Column<unknown> {
    const column = this.table.getChild(name) as Column<unknown> | undefined;
    if (!column) throw new RangeError(`${this.what} has no column ${name}; it has ${this.names.join(', ')}`);
    return column;
  }

  private kind(name: string, found: string, wanted: string): RangeError {
    return new RangeError(`column ${name} of ${this.what} holds ${found}, expected ${wanted}`);
  }
}
