/**
 * The WebSocket of the service: connects, reconnects, resumes.
 *
 * Laws. 1 A lost connection comes back by itself, after 0.25, 0.5, 1, 2, 4, 5, 5 ... seconds, and goes on with the
 *         window after the last one received (`resume=<epoch>:<seq>`).
 *       2 Windows that were sent before the answer to a seek belong to the old place and are dropped.
 *       3 What the trader set - playing, speed - is said again after a reconnect: the server keeps nothing.
 *       4 A refusal (policy, unknown day) is final and becomes a sentence.
 * Sockets and timers are arguments, so that tests run without a network.
 */
import { parseMessage, type Command, type HelloMessage, type ServerMessage } from './messages';

export interface SocketLike {
  binaryType: BinaryType;
  readonly readyState: number;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export interface StreamHandlers {
  hello(message: HelloMessage): void;
  message(message: Exclude<ServerMessage, HelloMessage>): void;
  /** A binary message of the present place. */
  window(bytes: ArrayBuffer): void;
  /** The connection is there (again), is lost since now, or was refused for good. */
  link(state: 'open' | 'lost' | 'refused', detail: string): void;
  /** Something that is not the protocol: a sentence. */
  fault(detail: string): void;
}

export interface StreamPorts {
  connect(url: string): SocketLike;
  /** setTimeout and clearTimeout. */
  after(ms: number, run: () => void): number;
  cancel(timer: number): void;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
}

export const RETRY_MS = [250, 500, 1000, 2000, 4000, 5000] as const;
/** Close codes after which another try is of no use: policy, unsupported data. */
const FINAL_CODES = new Set([1003, 1007, 1008]);
const OPEN = 1;
/** A connection that says nothing for so long is dead: heartbeats come every 5 s. */
export const SILENCE_MS = 12_000;

export class StreamClient {
  private socket: SocketLike | null = null;
  private tries = 0;
  private retry: number | null = null;
  private silence: number | null = null;
  private stopped = false;
  private pendingSeeks = 0;
  private epoch = '';
  private lastSeq: bigint | null = null;
  private refusal: string | null = null;

  /** @param url address with the query of a fresh start, or of a resume when there is one */
  constructor(
    private readonly url: (resume: string | null) => string,
    private readonly handlers: StreamHandlers,
    private readonly ports: StreamPorts,
  ) {}

  start(): void {
    this.stopped = false;
    this.open();
  }

  stop(): void {
    this.stopped = true;
    this.clearTimers();
    this.detach()?.close(1000);
  }

  /** Try again now, for example because the browser says it is online. */
  hurry(): void {
    if (this.retry === null) return;
    this.clearTimers();
    this.tries = 0;
    this.open();
  }

  /** Connect anew with the address of now, and go on after the window taken over last. Nothing is lost, nothing is said. */
  reopen(): void {
    if (!this.isOpen) return; // the next try takes the address of then
    this.detach()?.close(1000);
    this.clearTimers();
    this.open();
  }

  get isOpen(): boolean {
    return this.socket?.readyState === OPEN;
  }

  /** Whether windows are held back because an answer to a seek is still out. */
  get isSeeking(): boolean {
    return this.pendingSeeks > 0;
  }

  /** false when there is no connection to send it on. */
  send(command: Command): boolean {
    if (!this.isOpen) return false;
    if (command.type === 'seek') this.pendingSeeks++;
    this.socket!.send(JSON.stringify(command));
    return true;
  }

  /** The window that was taken over last; a resume goes on after it. */
  took(epoch: string, seq: bigint): void {
    this.epoch = epoch;
    this.lastSeq = seq;
  }

  private open(): void {
    const resume = this.lastSeq === null ? null : `${this.epoch}:${this.lastSeq}`;
    const socket = this.ports.connect(this.url(resume));
    this.socket = socket;
    this.pendingSeeks = 0;
    this.refusal = null;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event) => { this.heard(); this.receive(event.data as unknown); };
    socket.onclose = (event) => this.closed(event.code, event.reason);
    socket.onerror = () => { /* the close that follows says it */ };
    this.heard();
  }

  private receive(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      if (this.pendingSeeks === 0) this.handlers.window(data);
      return;
    }
    let message: ServerMessage;
    try {
      message = parseMessage(String(data));
    } catch (error) {
      this.handlers.fault(error instanceof Error ? error.message : String(error));
      return;
    }
    if (message.type === 'hello') {
      this.tries = 0;
      this.handlers.hello(message);
      this.handlers.link('open', '');
      return;
    }
    if (message.type === 'state' && message.cause === 'seek') this.pendingSeeks = Math.max(0, this.pendingSeeks - 1);
    // a seek that was refused is answered with an error instead
    if (message.type === 'error') {
      this.pendingSeeks = Math.max(0, this.pendingSeeks - 1);
      if (message.fatal) this.refusal = message.detail;
    }
    this.handlers.message(message);
  }

  private closed(code: number, reason: string): void {
    this.detach();
    this.clearTimers();
    if (this.stopped) return;
    if (FINAL_CODES.has(code)) {
      this.handlers.link('refused', this.refusal ?? (reason || `the service closed the connection (${code})`));
      return;
    }
    this.handlers.link('lost', this.refusal ?? reason);
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)]!;
    this.tries++;
    this.retry = this.ports.after(wait, () => { this.retry = null; this.open(); });
  }

  /** One timer for all messages: when it is due and something was heard meanwhile, it waits for the rest. */
  private heard(): void {
    this.heardMs = this.ports.now();
    if (this.silence === null) this.listen(SILENCE_MS);
  }
  private heardMs = 0;

  private listen(ms: number): void {
    this.silence = this.ports.after(ms, () => {
      const left = this.heardMs + SILENCE_MS - this.ports.now();
      if (left > 0) return this.listen(left);
      this.silence = null;
      const socket = this.detach();
      socket?.close();
      this.closed(1006, 'nothing was heard from the service');
    });
  }

  private detach(): SocketLike | null {
    const { socket } = this;
    this.socket = null;
    if (socket) socket.onmessage = socket.onclose = socket.onerror = socket.onopen = null;
    return socket;
  }

  private clearTimers(): void {
    for (const timer of [this.retry, this.silence]) if (timer !== null) this.ports.cancel(timer);
    this.retry = this.silence = null;
  }
}
