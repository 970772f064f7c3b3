/**
 * Control messages of the WebSocket (spec 9.4). int64 values are decimal strings. Whatever is not as promised is a
 * RangeError with a sentence: nothing unchecked goes further into the page.
 */
import type { WindowNo } from '../units/time';
import { windowOf } from '../units/time';

export interface Position {
  readonly window: WindowNo;
  readonly seq: bigint;
}

export interface StateMessage {
  readonly type: 'state';
  readonly cause: string;
  readonly playing: boolean;
  readonly speed: number | 'max';
  /** null before the first window. */
  readonly position: Position | null;
}

/** Lower and upper bound of a calibrated metric. */
export interface Bounds {
  readonly q05: number;
  readonly q95: number;
}

export interface HelloMessage {
  readonly type: 'hello';
  readonly protocol: number;
  readonly epoch: string;
  readonly origin: 'recorded' | 'simulated';
  readonly symbol: string;
  readonly dt: string;
  readonly firstWindow: WindowNo;
  readonly lastWindow: WindowNo;
  readonly tickInt: bigint;
  readonly calibrationId: string;
  /** Bounds of each metric's scale, as the scores use them. */
  readonly calibrationBounds: Readonly<Record<string, Bounds>>;
  readonly lookahead: boolean;
  readonly verified: boolean;
  readonly clock: 'private' | 'shared';
}

export interface GapMessage {
  readonly type: 'gap';
  readonly count: number;
}

export interface ErrorMessage {
  readonly type: 'error';
  readonly code: string;
  readonly detail: string;
  readonly fatal: boolean;
}

export interface OtherMessage {
  readonly type: 'heartbeat' | 'end';
}

export type ServerMessage = HelloMessage | StateMessage | GapMessage | ErrorMessage | OtherMessage;

export type Command =
  | { readonly type: 'play' }
  | { readonly type: 'pause' }
  | { readonly type: 'seek'; readonly ts_ns: string }
  | { readonly type: 'speed'; readonly x: number | 'max' }
  | { readonly type: 'step'; readonly windows: number };

/** @throws RangeError for text that is no message of the protocol. */
export function parseMessage(text: string): ServerMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RangeError('the service sent text that is no JSON');
  }
  const message = fields(value, 'a message');
  switch (message.type) {
    case 'hello': return hello(message);
    case 'state': return state(message);
    case 'gap': return { type: 'gap', count: Number(message.count) };
    case 'error': return {
      type: 'error', code: String(message.code), detail: String(message.detail), fatal: message.fatal === true,
    };
    case 'heartbeat':
    case 'end': return { type: message.type };
    default: throw new RangeError(`the service sent a message of type ${String(message.type)}, which is unknown here`);
  }
}

function hello(message: Fields): HelloMessage {
  const origin = text(message, 'origin');
  if (origin !== 'recorded' && origin !== 'simulated') {
    throw new RangeError(`the service says origin ${origin}, expected recorded or simulated`);
  }
  return {
    type: 'hello',
    protocol: Number(message.protocol),
    epoch: text(message, 'epoch'),
    origin,
    symbol: text(message, 'symbol'),
    dt: text(message, 'dt'),
    firstWindow: place(message.first_window).window,
    lastWindow: place(message.last_window).window,
    tickInt: int64(message, 'tick_int'),
    calibrationId: text(message, 'calibration_id'),
    calibrationBounds: bounds(message.calibration_bounds),
    lookahead: message.lookahead === true,
    verified: message.verified === true,
    clock: message.clock === 'shared' ? 'shared' : 'private',
  };
}

function bounds(value: unknown): Record<string, Bounds> {
  return Object.fromEntries(Object.entries(fields(value, 'calibration_bounds')).map(([metric, pair]) => {
    const { q05, q95 } = fields(pair, `the bounds of ${metric}`);
    if (typeof q05 !== 'number' || typeof q95 !== 'number' || !(q95 > q05)) {
      throw new RangeError(`the service calibrates ${metric} from ${String(q05)} to ${String(q95)}, expected a rising range`);
    }
    return [metric, { q05, q95 }];
  }));
}

function state(message: Fields): StateMessage {
  const speed = message.speed;
  return {
    type: 'state',
    cause: String(message.cause ?? ''),
    playing: message.playing === true,
    speed: speed === 'max' ? 'max' : Number(speed),
    position: message.position ? place(message.position) : null,
  };
}

function place(value: unknown): Position {
  const found = fields(value, 'a position');
  return { window: windowOf(int64(found, 'ts_ns')), seq: int64(found, 'seq') };
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RangeError(`the service sent ${JSON.stringify(value)?.slice(0, 60)} for ${what}, expected an object`);
  }
  return value as Fields;
}

function text(message: Fields, name: string): string {
  const value = message[name];
  if (typeof value !== 'string') throw new RangeError(`${name} of the service's message is ${String(value)}, expected text`);
  return value;
}

/** int64 as the protocol writes it: decimal digits in a string. */
export function int64(message: Fields, name: string): bigint {
  const value = message[name];
  if (typeof value !== 'string' || !/^-?\d{1,19}$/.test(value)) {
    throw new RangeError(`${name} of the service's message is ${String(value)}, expected int64 as decimal text`);
  }
  return BigInt(value);
}
