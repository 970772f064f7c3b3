/** A WebSocket and timers that do what a test says. */
import type { SocketLike, StreamPorts } from '../../src/wire/stream';

export class FakeSocket implements SocketLike {
  binaryType: BinaryType = 'blob';
  readyState = 1;
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  readonly sent: Record<string, unknown>[] = [];

  constructor(readonly url: string) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }

  close(): void {
    this.readyState = 3;
  }

  /** The service says something. */
  say(data: ArrayBuffer | object): void {
    this.onmessage?.({ data: data instanceof ArrayBuffer ? data : JSON.stringify(data) } as MessageEvent);
  }

  /** The connection ends. */
  end(code = 1006, reason = ''): void {
    this.readyState = 3;
    this.onclose?.({ code, reason } as CloseEvent);
  }
}

export class FakePorts implements StreamPorts {
  readonly sockets: FakeSocket[] = [];
  nowMs = 0;
  private timers = new Map<number, { at: number; run: () => void }>();
  private next = 1;

  connect = (url: string): SocketLike => {
    const socket = new FakeSocket(url);
    this.sockets.push(socket);
    return socket;
  };

  after = (ms: number, run: () => void): number => {
    this.timers.set(this.next, { at: this.nowMs + ms, run });
    return this.next++;
  };

  cancel = (timer: number): void => {
    this.timers.delete(timer);
  };

  now = (): number => this.nowMs;

  get last(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** Let time pass; timers run in their order. */
  pass(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.nowMs = due[1].at;
      due[1].run();
    }
    this.nowMs = end;
  }
}

export function helloText(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    type: 'hello', protocol: 1, epoch: 'e1', origin: 'simulated', verified: true, lookahead: true, symbol: 'ESH6',
    dt: '2026-01-06', windows: 4000, first_window: { ts_ns: '10001000000000', seq: '0' },
    last_window: { ts_ns: '14000000000000', seq: '3999' }, tick_int: '250000000', surfaces: ['hud'], schema_hash: {},
    calibration_id: '2026-01-06/0123456789abcdef', calibration_bounds: { wall_strength_log: { q05: 1.4, q95: 5.9 } },
    clock: 'private', resumed: false, state: {}, ...changes,
  };
}

export function stateText(cause: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: 'state', cause, playing: true, speed: 1, position: { ts_ns: '12000000000000', seq: '1999' }, ...changes };
}
