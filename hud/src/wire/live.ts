/**
 * Live messages of the stream: one window of one surface, one record batch (spec 9.4).
 *
 * Every message carries its whole schema, which says the same each second and takes longer to read than all the
 * numbers behind it. So the first message of a schema is read in full, and what is remembered of it is where each
 * column's buffers stand; of later messages with the same schema hash only the batch is read, and a column is a view
 * of the message. A message without a schema hash is read in full each time.
 *
 * Of the flatbuffers of Arrow only what is needed here: Message, Schema's metadata, RecordBatch, DictionaryBatch.
 */
import type { SurfaceTable } from './api';
import { ArrowTable } from './arrow';

const CONTINUATION = 0xffffffff;
/** MessageHeader of Arrow's format. */
const SCHEMA = 1;
const DICTIONARY_BATCH = 2;
const RECORD_BATCH = 3;

type View = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array;
type ViewType = new (buffer: ArrayBuffer, byteOffset: number, length: number) => View;

/** Where a column lies: its first node and buffer in the batch. Kinds that no live surface has are left out. */
interface Place {
  readonly node: number;
  readonly buffer: number;
  readonly kind: 'values' | 'bits' | 'bytes' | 'codes' | 'list';
  /** Of values, codes, and the values of a list. */
  readonly type: ViewType | null;
  /** Bytes of a row, kind `bytes` only. */
  readonly width: number;
}

interface Layout {
  readonly surface: string;
  readonly hash: string;
  readonly names: readonly string[];
  readonly places: ReadonlyMap<string, Place>;
}

/** Reads the messages of one connection; remembers one layout for each surface. */
export class LiveReader {
  private readonly layouts = new Map<string, Layout>();

  /** @throws RangeError or Error when the bytes are no message of the stream. */
  read(bytes: ArrayBuffer): LiveTable {
    const frame = new Frame(bytes);
    for (const layout of this.layouts.values()) {
      if (layout.hash !== '' && frame.says('schema_hash', layout.hash) && frame.says('surface', layout.surface)) return new LiveTable(layout, frame);
    }
    const layout = layoutOf(new ArrowTable(bytes, 'a live message'));
    this.layouts.set(layout.surface, layout);
    return new LiveTable(layout, frame);
  }
}

/** One message, as a table whose columns are looked at when they are asked for. */
export class LiveTable implements SurfaceTable {
  readonly rows: number;

  constructor(private readonly layout: Layout, private readonly frame: Frame) {
    this.rows = frame.rows;
  }

  get surface(): string {
    return this.layout.surface;
  }

  /** The same array for all messages of a layout. */
  get names(): readonly string[] {
    return this.layout.names;
  }

  has(name: string): boolean {
    return this.layout.places.has(name);
  }

  /** The values of a column as they lie in the message: no copy, not to be written. */
  view(name: string): View {
    const place = this.place(name);
    if (place.kind !== 'values' || this.frame.nullCount(place.node) > 0) throw this.kind(name, place.kind, 'numbers without nulls');
    return this.frame.view(place.buffer + 1, place.type!, this.rows);
  }

  numbers(name: string): Float64Array {
    const values = this.view(name);
    if (values instanceof BigInt64Array) throw this.kind(name, 'int64', 'numbers');
    return values instanceof Float64Array ? values : new Float64Array(values);
  }

  bigints(name: string): BigInt64Array {
    const values = this.view(name);
    if (!(values instanceof BigInt64Array)) throw this.kind(name, 'numbers', 'int64 without nulls');
    return values;
  }

  /** One number of a column, whole or not, without an array for it. */
  value(name: string, row: number): number {
    const place = this.place(name);
    if (place.kind !== 'values' || place.type === BigInt64Array || this.frame.nullCount(place.node) > 0) throw this.kind(name, place.kind, 'numbers without nulls');
    return this.frame.value(place.buffer + 1, place.type!, row);
  }

  ints(name: string): Int32Array {
    const values = this.view(name);
    if (values instanceof Int32Array) return values;
    if (values instanceof BigInt64Array || values instanceof Uint32Array || values instanceof Float32Array || values instanceof Float64Array) throw this.kind(name, 'other numbers', 'int32 or less');
    return Int32Array.from(values);
  }

  matches(name: string, word: string): Uint8Array {
    const place = this.place(name);
    if (place.kind !== 'codes' || this.frame.nullCount(place.node) > 0) throw this.kind(name, place.kind, 'words of a dictionary');
    const codes = this.frame.view(place.buffer + 1, place.type!, this.rows);
    const wanted = this.frame.codeOf(word);
    const out = new Uint8Array(this.rows);
    for (let row = 0; row < out.length; row++) out[row] = codes[row] === wanted ? 1 : 0;
    return out;
  }

  bools(name: string): Uint8Array {
    const place = this.place(name);
    if (place.kind !== 'bits' || this.frame.nullCount(place.node) > 0) throw this.kind(name, place.kind, 'booleans without nulls');
    const bits = this.frame.view(place.buffer + 1, Uint8Array, (this.rows + 7) >> 3) as Uint8Array;
    const out = new Uint8Array(this.rows);
    for (let row = 0; row < out.length; row++) out[row] = (bits[row >> 3]! >> (row & 7)) & 1;
    return out;
  }

  lists(name: string): Float64Array[] {
    const place = this.place(name);
    if (place.kind !== 'list' || this.frame.nullCount(place.node) > 0) throw this.kind(name, place.kind, 'lists of numbers');
    const ends = this.frame.view(place.buffer + 1, Int32Array, this.rows + 1) as Int32Array;
    const values = this.frame.view(place.buffer + 3, place.type!, ends[this.rows] ?? 0) as Float64Array;
    return Array.from({ length: this.rows }, (_, row) => Float64Array.from(values.subarray(ends[row], ends[row + 1])));
  }

  /** The bytes of a row as they lie in the message: no copy, not to be written. */
  bytes(name: string, row: number): Uint8Array {
    const { kind, node, buffer, width } = this.place(name);
    if (kind !== 'bytes' || this.frame.nullCount(node) > 0) throw this.kind(name, kind, 'bytes of fixed size');
    return this.frame.view(buffer + 1, Uint8Array, width, row * width) as Uint8Array;
  }

  private place(name: string): Place {
    const place = this.layout.places.get(name);
    if (place === undefined) throw new RangeError(`a live message has no column ${name}; it has ${this.names.join(', ')}`);
    return place;
  }

  private kind(name: string, found: string, wanted: string): RangeError {
    return new RangeError(`column ${name} of a live message holds ${found}, expected ${wanted}`);
  }
}

/** Type codes of Arrow's format as flechette names them. */
const TYPE = { dictionary: -1, int: 2, float: 3, binary: 4, utf8: 5, bool: 6, list: 12, fixedSizeBinary: 15 } as const;

interface ArrowType {
  readonly typeId: number;
  readonly bitWidth?: number;
  readonly signed?: boolean;
  readonly precision?: number;
  readonly stride?: number;
  readonly indices?: ArrowType;
  readonly children?: readonly { readonly type: ArrowType }[];
}

/** @throws RangeError for a type that no surface has: a page of another version than the service. */
function layoutOf(table: ArrowTable): Layout {
  const places = new Map<string, Place>();
  let node = 0;
  let buffer = 0;
  for (const { name, type } of table.fields as readonly { readonly name: string; readonly type: ArrowType }[]) {
    const at = { node, buffer, type: null, width: 0 };
    node += 1;
    buffer += 2;
    switch (type.typeId) {
      case TYPE.int:
      case TYPE.float: places.set(name, { ...at, kind: 'values', type: viewOf(type, name) }); break;
      case TYPE.bool: places.set(name, { ...at, kind: 'bits' }); break;
      case TYPE.fixedSizeBinary: places.set(name, { ...at, kind: 'bytes', width: type.stride! }); break;
      case TYPE.dictionary: places.set(name, { ...at, kind: 'codes', type: viewOf(type.indices!, name) }); break;
      case TYPE.list:
        places.set(name, { ...at, kind: 'list', type: viewOf(type.children![0]!.type, name) });
        node += 1;
        buffer += 2;
        break;
      case TYPE.binary:
      case TYPE.utf8: buffer += 1; break; // text is for tables that are asked for
      default: throw new RangeError(`column ${name} of a live message has Arrow type ${type.typeId}, which this page does not read; reload it`);
    }
  }
  const { metadata, names } = table;
  return { surface: metadata.get('surface') ?? '', hash: metadata.get('schema_hash') ?? '', names, places };
}

function viewOf({ typeId, bitWidth, signed, precision }: ArrowType, name: string): ViewType {
  // precision of a float: 0 half, 1 single, 2 double
  const found: ViewType | undefined = typeId === TYPE.float ? [undefined, Float32Array, Float64Array][precision!]
    : bitWidth === 64 ? (signed ? BigInt64Array : undefined)
    : bitWidth === 32 ? (signed ? Int32Array : Uint32Array)
    : bitWidth === 16 ? (signed ? Int16Array : Uint16Array)
    : signed ? Int8Array : Uint8Array;
  if (found === undefined) throw new RangeError(`column ${name} of a live message has ${bitWidth ?? precision} bits, which this page does not read; reload it`);
  return found;
}

/** The flatbuffers of a message: where its parts lie, and nothing decoded before it is asked for. */
class Frame {
  readonly rows: number;
  private readonly data: DataView;
  private readonly bytes: Uint8Array;
  private schema = 0;
  private nodes = 0;
  private buffers = 0;
  private body = 0;
  private dictionary: { readonly batch: number; readonly body: number } | null = null;

  constructor(private readonly buffer: ArrayBuffer) {
    this.data = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
    let batch = 0;
    for (let at = 0; at + 8 <= buffer.byteLength && batch === 0;) {
      if (this.data.getUint32(at, true) !== CONTINUATION) throw new RangeError('a live message is no Arrow stream');
      const size = this.data.getInt32(at + 4, true);
      if (size === 0) break;
      const message = at + 8 + this.data.getUint32(at + 8, true);
      const body = at + 8 + size;
      const kind = this.data.getUint8(this.field(message, 1));
      const header = this.follow(this.field(message, 2));
      if (kind === SCHEMA) this.schema = header;
      else if (kind === DICTIONARY_BATCH) this.dictionary = { batch: this.follow(this.field(header, 1)), body };
      else if (kind === RECORD_BATCH) {
        batch = header;
        this.body = body;
      }
      const length = this.field(message, 3);
      at = body + (length === 0 ? 0 : this.long(length));
    }
    if (this.schema === 0) throw new RangeError('a live message names no columns: page and service are of different versions; reload the page');
    if (batch === 0) { // a stream without a batch is a table without rows
      this.rows = 0;
      return;
    }
    if (this.field(batch, 3) !== 0) throw new RangeError('a live message is compressed, which this page does not read');
    const rows = this.field(batch, 0);
    this.rows = rows === 0 ? 0 : this.long(rows);
    this.nodes = this.follow(this.field(batch, 1)) + 4;
    this.buffers = this.follow(this.field(batch, 2)) + 4;
  }

  /** Whether the schema's metadata says this under a name. */
  says(name: string, value: string): boolean {
    const field = this.field(this.schema, 2);
    if (field === 0) return false;
    const pairs = this.follow(field);
    for (let i = 0, at = pairs + 4; i < this.data.getInt32(pairs, true); i++, at += 4) {
      const pair = this.follow(at);
      if (this.isText(this.follow(this.field(pair, 0)), name)) return this.isText(this.follow(this.field(pair, 1)), value);
    }
    return false;
  }

  nullCount(node: number): number {
    return this.nodes === 0 ? 0 : this.long(this.nodes + 16 * node + 8);
  }

  /** `length` values of a buffer of the batch, from a byte of it on. @throws RangeError when the message is shorter */
  view(buffer: number, type: ViewType, length: number, fromByte = 0): View {
    if (this.buffers === 0) return new type(this.buffer, 0, 0);
    return new type(this.buffer, this.body + this.long(this.buffers + 16 * buffer) + fromByte, length);
  }

  /** One value of a buffer of the batch. @throws RangeError when the message is shorter */
  value(buffer: number, type: ViewType, row: number): number {
    const { data } = this;
    const at = this.body + this.long(this.buffers + 16 * buffer);
    switch (type) {
      case Float64Array: return data.getFloat64(at + 8 * row, true);
      case Float32Array: return data.getFloat32(at + 4 * row, true);
      case Int32Array: return data.getInt32(at + 4 * row, true);
      case Uint32Array: return data.getUint32(at + 4 * row, true);
      case Int16Array: return data.getInt16(at + 2 * row, true);
      case Uint16Array: return data.getUint16(at + 2 * row, true);
      case Int8Array: return data.getInt8(at + row);
      default: return data.getUint8(at + row);
    }
  }

  /** Code of a word in the one dictionary a live surface has, -1 when it is not in it. */
  codeOf(word: string): number {
    if (this.dictionary === null) return -1;
    const { batch, body } = this.dictionary;
    const count = this.long(this.field(batch, 0));
    const buffers = this.follow(this.field(batch, 2)) + 4;
    const ends = body + this.long(buffers + 16);
    const text = body + this.long(buffers + 32);
    for (let code = 0; code < count; code++) {
      const from = this.data.getInt32(ends + 4 * code, true);
      const length = this.data.getInt32(ends + 4 * code + 4, true) - from;
      if (length === word.length && this.isAscii(text + from, word)) return code;
    }
    return -1;
  }

  /** Where a field of a table lies, 0 when it has its default. */
  private field(table: number, number: number): number {
    const vtable = table - this.data.getInt32(table, true);
    const slot = 4 + 2 * number;
    const offset = slot < this.data.getUint16(vtable, true) ? this.data.getUint16(vtable + slot, true) : 0;
    return offset === 0 ? 0 : table + offset;
  }

  private follow(at: number): number {
    return at + this.data.getUint32(at, true);
  }

  /** int64 that is a length or an offset: far below 2^53. */
  private long(at: number): number {
    return this.data.getUint32(at, true) + this.data.getInt32(at + 4, true) * 2 ** 32;
  }

  private isText(at: number, wanted: string): boolean {
    return this.data.getInt32(at, true) === wanted.length && this.isAscii(at + 4, wanted);
  }

  private isAscii(at: number, wanted: string): boolean {
    for (let i = 0; i < wanted.length; i++) if (this.bytes[at + i] !== wanted.charCodeAt(i)) return false;
    return true;
  }
}
