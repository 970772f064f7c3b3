/**
 * One stay with the service: chooses the day, fetches the half hour, follows the stream, and carries the transport's
 * commands. The only place where wire and model meet.
 *
 * The half hour comes in two parts: what the view shows, so that it is on screen soon, and then what is older.
 *
 * Laws. 1 A seek to T shows the half hour that ends at T and goes on with T + 1 s, forwards and backwards alike.
 *         What is held already is shown at once; the half hour follows.
 *       2 The newest seek wins; older answers are thrown away.
 *       3 A reconnect goes on where it stopped. If the service serves other data by then (another epoch), the page
 *         starts afresh at the same second and says so.
 */
import { HISTORY_WINDOWS, PHASE_OPEN, PHASES } from './model/history';
import type { PageStore } from './model/page_store';
import type { DayOverview, Opening, Source } from './model/snapshot';
import type { TransportActions } from './model/store';
import { tickOf, type Tick } from './units/price';
import { newYorkTime, windowEndNs, type WindowNo } from './units/time';
import { ServiceError } from './wire/api';
import type { CatalogDay, HttpApi } from './wire/http';
import { liveRows, windowBlock } from './wire/hud_rows';
import { LiveReader, type LiveTable } from './wire/live';
import type { HelloMessage, ServerMessage } from './wire/messages';
import { StreamClient, type StreamPorts } from './wire/stream';

/** A day with less than this left after its 1800th window opens earlier, so that there is something to play. */
const LEAST_LEFT = 300;
/** Seeks of a drag on the mini-map: at most one half hour in this time. */
const SEEK_EVERY_MS = 90;
/** An older part of fewer windows than this is not worth a question of its own. */
const LEAST_OLDER = 120;
/** Beside the picture the stream carries these numbers of each second, before it: one frame shows both. */
const NUMBERS = ['wall', 'gex', 'gex_profile'] as const;
/** Beyond this speed nobody reads numbers of each second; the panels ask for the newest ones. */
const NUMBERS_UP_TO_SPEED = 4;
/** After steps back, the older seconds are filled in when the trader has paused for this long. */
const REFILL_AFTER_MS = 350;

/** The window a page opens on: the 1800th, or one that leaves a fifth of a short day to play. */
export function openingWindow(first: WindowNo, last: WindowNo): WindowNo {
  const windows = last - first + 1;
  if (windows >= HISTORY_WINDOWS + LEAST_LEFT) return (first + HISTORY_WINDOWS - 1) as WindowNo;
  return (first + Math.max(0, Math.floor(windows * 0.8) - 1)) as WindowNo;
}

export class Session implements TransportActions {
  private tick: Tick | null = null;
  private day: CatalogDay | null = null;
  private epoch = '';
  private stream: StreamClient | null = null;
  private held: ArrayBuffer[] = [];
  private readonly live = new LiveReader();
  private holding = true;
  private start = Number.NaN as WindowNo;
  private loading: AbortController | null = null;
  private seekTimer: number | null = null;
  private lastSeekMs = -Infinity;
  /** The last hello named another epoch than the one before. */
  private renewed = false;
  private playing: boolean;
  private speed: number | 'max';
  /** Whoever shows numbers takes those of the seconds that the stream brings. */
  onNumbers: (surface: string, table: LiveTable) => void = () => {};
  /** The history of the first picture is on its way, or will not be asked for. */
  readonly asked: Promise<void>;
  private onAsked: () => void = () => {};
  private first: Promise<void> = Promise.resolve();

  /**
   * @param shownWindows seconds that the view shows: they are fetched first
   * @param painted fulfilled when what the store holds now should be on screen: what is older waits for it
   */
  constructor(
    private readonly store: PageStore,
    private readonly api: HttpApi,
    private readonly ports: StreamPorts,
    private readonly opening: Opening,
    private readonly nowMs: () => number,
    private readonly shownWindows: () => number = () => HISTORY_WINDOWS,
    private readonly painted: () => Promise<void> = async () => {},
  ) {
    this.asked = new Promise((done) => { this.onAsked = done; });
    this.playing = opening.playing ?? true;
    this.speed = opening.speed ?? 1;
    store.connectTransport(this);
    store.setTransport({ playing: this.playing, speed: this.speed });
  }

  /** Open the page. Never rejects: what goes wrong becomes the store's error. */
  async run(): Promise<void> {
    try {
      this.day = await this.chooseDay();
      const { symbol, dt, firstWindow, lastWindow } = this.day;
      this.api.useDay(symbol, dt);
      const wanted = this.opening.window ?? openingWindow(firstWindow, lastWindow);
      this.start = clamp(wanted, firstWindow, lastWindow);
      this.connect();
      this.first = this.load(this.start);
      this.onAsked();
      await this.first;
    } catch (error) {
      this.store.fail(sentence(error));
    }
    this.onAsked();
  }

  private async chooseDay(): Promise<CatalogDay> {
    const { days, chosen } = await this.api.catalog();
    const symbol = this.opening.symbol ?? chosen?.symbol;
    const dt = this.opening.dt ?? chosen?.dt;
    const day = days.find((d) => d.symbol === symbol && d.dt === dt);
    if (!day) {
      throw new Error(days.length === 0
        ? 'the lake holds no day yet; make one: spymaster demo, or spymaster run --dt YYYY-MM-DD'
        : `the lake holds no ${symbol ?? ''} ${dt ?? ''}; it holds ${days.map((d) => `${d.symbol} ${d.dt}`).join(', ')}`);
    }
    if (!day.servable) throw new Error(day.reason ?? `the tables of ${day.symbol} ${day.dt} are not complete`);
    return day;
  }

  // ---- history

  /** Fetch and show the half hour that ends at `end`, by default what the view shows first; windows of the stream wait meanwhile. */
  private async load(end: WindowNo, inOnePiece = false): Promise<void> {
    this.loading?.abort();
    const mine = new AbortController();
    this.loading = mine;
    this.holding = true;
    const oldest = Math.max(this.day!.firstWindow, end - HISTORY_WINDOWS + 1);
    let from = Math.max(oldest, end - Math.ceil(this.shownWindows()));
    if (inOnePiece || from - oldest < LEAST_OLDER) from = oldest;
    try {
      const table = from === oldest
        ? await this.api.bootstrap(windowEndNs(end), mine.signal)
        : await this.api.pictures(windowEndNs((from - 1) as WindowNo), windowEndNs(end), mine.signal);
      const tick = await this.knownTick(mine.signal);
      if (mine.signal.aborted) return;
      this.store.loadBlock(windowBlock(table, tick));
      if (from > oldest) void this.painted().then(() => this.loadOlder(oldest, from, mine.signal));
      this.stream?.took(this.epoch, this.seqOf(end));
      this.store.setTransport({ seeking: null });
      this.store.setError(null);
    } catch (error) {
      if (mine.signal.aborted) return;
      this.store.setTransport({ seeking: null });
      if (this.store.snapshot.stage === 'loading') throw error;
      this.store.setError(sentence(error));
    }
    this.release();
  }

  /** Windows [oldest, before), behind the picture; their lack does not stop it. */
  private async loadOlder(oldest: number, before: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    try {
      const table = await this.api.pictures(windowEndNs((oldest - 1) as WindowNo), windowEndNs((before - 1) as WindowNo), signal);
      if (!signal.aborted) this.store.fillBlock(windowBlock(table, this.tick!));
    } catch (error) {
      if (!signal.aborted) this.store.setError(sentence(error));
    }
  }

  /** The tick comes with the hello of the stream. */
  private async knownTick(signal: AbortSignal): Promise<Tick> {
    if (this.tick) return this.tick;
    await new Promise<void>((resolve, reject) => {
      this.onTick = resolve;
      this.onRefusal = reject;
      signal.addEventListener('abort', () => resolve());
    });
    if (!this.tick) throw new Error('the service said nothing about the contract');
    return this.tick;
  }
  private onTick: () => void = () => {};
  private onRefusal: (error: Error) => void = () => {};

  private release(): void {
    this.holding = false;
    const waiting = this.held;
    this.held = [];
    for (const bytes of waiting) this.take(bytes);
  }

  private take(bytes: ArrayBuffer): void {
    if (this.holding || !this.tick) {
      this.held.push(bytes);
      return;
    }
    try {
      const table = this.live.read(bytes);
      if (table.surface !== 'hud') {
        if (!(NUMBERS as readonly string[]).includes(table.surface)) {
          throw new RangeError(`the service sent surface ${table.surface}, which this page did not ask for`);
        }
        this.onNumbers(table.surface, table);
        return;
      }
      for (const row of liveRows(table, this.tick)) {
        this.store.pushWindow(row);
        this.stream?.took(this.epoch, this.seqOf(row.window));
      }
    } catch (error) {
      this.store.setError(sentence(error));
    }
  }

  private seqOf(window: WindowNo): bigint {
    return BigInt(window - (this.day?.firstWindow ?? window));
  }

  // ---- stream

  private connect(): void {
    this.stream = new StreamClient((resume) => this.streamUrl(resume), {
      hello: (message) => this.greeted(message),
      message: (message) => this.heard(message),
      window: (bytes) => this.take(bytes),
      link: (state, detail) => this.linked(state, detail),
      fault: (detail) => this.store.setError(detail),
    }, this.ports);
    this.stream.start();
  }

  private streamUrl(resume: string | null): string {
    const next = clamp((this.start + 1) as WindowNo, this.day!.firstWindow, this.day!.lastWindow);
    return this.api.streamUrl({
      surfaces: this.surfaces(),
      speed: String(this.speed),
      ...(resume === null ? { start_ts_ns: String(windowEndNs(next)) } : { resume }),
    });
  }

  /** What the stream carries for each second at the speed of now: numbers first, the picture last. */
  private surfaces(): string {
    const numbers = this.speed !== 'max' && this.speed <= NUMBERS_UP_TO_SPEED
      ? NUMBERS.filter((name) => this.day!.surfaces.includes(name)) : [];
    return [...numbers, 'hud'].join();
  }

  private greeted(hello: HelloMessage): void {
    const renewed = this.epoch !== '' && hello.epoch !== this.epoch;
    this.epoch = hello.epoch;
    this.tick = tickOf(hello.tickInt);
    this.store.setSource(sourceOf(hello, this.day!, this.tick));
    this.store.setTransport({ clock: hello.clock });
    if (!this.playing) {
      // the service plays from the start on: what it sent before it heard the pause is passed over, and comes again
      const { history } = this.store;
      const next = ((history.isEmpty ? this.start : history.head) + 1) as WindowNo;
      this.stream!.send({ type: 'pause' });
      this.stream!.send({ type: 'seek', ts_ns: String(windowEndNs(clamp(next, this.day!.firstWindow, this.day!.lastWindow))) });
    }
    this.onTick();
    if (renewed) void this.startAfresh(hello);
    else if (this.store.snapshot.day === null) void this.fetchAround();
  }

  /** Other data than before: everything held belongs to the old version. */
  private async startAfresh(hello: HelloMessage): Promise<void> {
    this.day = { ...this.day!, firstWindow: hello.firstWindow, lastWindow: hello.lastWindow };
    const at = clamp(this.store.history.head, hello.firstWindow, hello.lastWindow);
    this.renewed = true;
    this.store.setDay(null);
    this.seekNow(at);
    await this.fetchAround();
  }

  /** What lies around the picture, after it; the page works without, and says what is missing. */
  private async fetchAround(): Promise<void> {
    const tick = this.tick!;
    await this.first.catch(() => {}); // whoever asked for it says so
    const levels = this.api.levels(tick);
    levels.catch(() => {}); // is awaited below, unless the day fails first
    try {
      const day = await this.api.dayOverview(tick);
      this.store.setDay(day);
      this.sayWhenItOpens(day);
      this.store.setLevels(await levels);
    } catch (error) {
      this.store.setError(sentence(error));
    }
  }

  /** A page that opens before the market does shows a grey picture: say so, and where the market opens. */
  private sayWhenItOpens(day: DayOverview): void {
    const at = this.start - day.firstWindow;
    const phase = day.phase[at];
    const opens = day.phase.indexOf(PHASE_OPEN, at);
    if (phase === undefined || phase === PHASE_OPEN || opens < 0 || this.store.snapshot.connection.notice !== null) return;
    // the first open window ends one second after the opening
    const opening = newYorkTime((day.firstWindow + opens - 1) as WindowNo);
    this.placeNotice = `The market is ${(PHASES[phase] ?? 'not open').replace('_', '-')} here, so the picture is grey.`
      + ` It opens at ${opening} New York time (G goes to a time).`;
    this.store.setConnection({ notice: this.placeNotice });
  }
  /** A notice that is about the place shown and goes with it. */
  private placeNotice: string | null = null;

  private linked(state: 'open' | 'lost' | 'refused', detail: string): void {
    const { connection } = this.store.snapshot;
    if (state === 'open') {
      const back = connection.lostSinceMs !== null;
      const away = back ? Math.max(1, Math.round((this.nowMs() - connection.lostSinceMs!) / 1000)) : 0;
      this.store.setConnection({
        link: 'open',
        lostSinceMs: null,
        reconnects: connection.reconnects + (back ? 1 : 0),
        ...(back ? {
          notice: this.renewed
            ? 'The service now holds another version of this day; the page shows the new one.'
            : `The connection was lost for ${away} s. Nothing is missing: the replay goes on where it stopped.`,
        } : {}),
      });
      this.renewed = false;
    } else if (state === 'lost') {
      this.store.setConnection({ link: 'lost', lostSinceMs: connection.lostSinceMs ?? this.nowMs() });
    } else {
      this.store.setConnection({ link: 'refused' });
      this.onRefusal(new Error(detail));
      this.store.setError(detail);
    }
  }

  private heard(message: Exclude<ServerMessage, HelloMessage>): void {
    const { connection } = this.store.snapshot;
    switch (message.type) {
      case 'state':
        this.playing = message.playing;
        this.speed = message.speed;
        this.store.setTransport({ playing: message.playing, speed: message.speed, ended: false });
        break;
      case 'gap':
        this.store.setConnection({
          gapCount: connection.gapCount + 1,
          windowsDropped: connection.windowsDropped + message.count,
          notice: `${message.count} seconds were left out because this page was too slow; they stay grey.`,
        });
        break;
      case 'end':
        this.store.setTransport({ ended: true });
        break;
      case 'error':
        this.store.setError(message.detail);
        break;
      default:
    }
  }

  /** The browser is online again: do not wait for the next try. */
  hurry(): void {
    this.stream?.hurry();
  }

  // ---- transport

  play(): void {
    const { ended } = this.store.snapshot.transport;
    // at the end of the day there is nothing to play: begin again at the opening second
    if (ended && this.day) this.seekNow(openingWindow(this.day.firstWindow, this.day.lastWindow));
    this.setPlaying(true);
  }

  pause(): void {
    this.setPlaying(false);
  }

  toggle(): void {
    if (this.store.snapshot.transport.playing && !this.store.snapshot.transport.ended) this.pause();
    else this.play();
  }

  private setPlaying(playing: boolean): void {
    this.playing = playing;
    this.stream?.send({ type: playing ? 'play' : 'pause' });
    this.store.setTransport({ playing });
  }

  setSpeed(speed: number | 'max'): void {
    const x = speed === 'max' ? speed : Math.min(1000, Math.max(0.1, speed));
    const before = this.day === null ? '' : this.surfaces();
    this.speed = x;
    if (this.day !== null && this.surfaces() !== before) this.stream?.reopen(); // the address names speed and surfaces
    else this.stream?.send({ type: 'speed', x });
    this.store.setTransport({ speed: x });
  }

  step(windows: number): void {
    if (windows === 0) return;
    if (this.playing) this.pause();
    const { history } = this.store;
    if (windows > 0) {
      this.stream?.send({ type: 'step', windows });
      return;
    }
    this.seek((history.head + windows) as WindowNo);
  }

  seek(window: WindowNo): void {
    if (!this.day || Number.isNaN(window)) return;
    const to = clamp(Math.round(window) as WindowNo, this.day.firstWindow, this.day.lastWindow);
    this.store.setTransport({ seeking: to });
    // a drag asks many times a second; the last wish is always carried out
    if (this.seekTimer !== null) this.ports.cancel(this.seekTimer);
    this.seekTimer = null;
    const since = this.nowMs() - this.lastSeekMs;
    if (since >= SEEK_EVERY_MS) this.seekNow(to);
    else {
      this.seekTimer = this.ports.after(SEEK_EVERY_MS - since, () => {
        this.seekTimer = null;
        this.seekNow(to);
      });
    }
  }

  private seekNow(to: WindowNo): void {
    this.lastSeekMs = this.nowMs();
    this.start = to;
    if (this.placeNotice !== null && this.store.snapshot.connection.notice === this.placeNotice) this.store.setConnection({ notice: null });
    this.held = [];
    const next = clamp((to + 1) as WindowNo, this.day!.firstWindow, this.day!.lastWindow);
    this.stream?.send({ type: 'seek', ts_ns: String(windowEndNs(next)) });
    if (this.epoch !== '') this.stream?.took(this.epoch, this.seqOf(to));
    this.store.setTransport({ seeking: to, ended: false });
    const { history } = this.store;
    const shown = to <= history.head && history.slotOf(to) >= 0;
    if (shown) this.store.rewind(to);
    const short = to - history.oldest + 1 < Math.min(HISTORY_WINDOWS, to - this.day!.firstWindow + 1);
    if (shown && !short) {
      this.loading?.abort();
      this.store.setTransport({ seeking: null });
      this.release();
      return;
    }
    if (shown && to > history.oldest + HISTORY_WINDOWS / 2) {
      // the older seconds can wait until the trader stops stepping
      this.loading?.abort();
      this.store.setTransport({ seeking: null });
      this.release();
      this.refillLater();
      return;
    }
    void this.load(to);
  }

  /** Fetch the half hour up to the head once steps back have left its beginning bare. */
  private refillLater(): void {
    if (this.refillTimer !== null) this.ports.cancel(this.refillTimer);
    this.refillTimer = this.ports.after(REFILL_AFTER_MS, () => {
      this.refillTimer = null;
      const { history } = this.store;
      if (!history.isEmpty && this.store.snapshot.transport.seeking === null) void this.load(history.head, true);
    });
  }
  private refillTimer: number | null = null;
}

function sourceOf(hello: HelloMessage, day: CatalogDay, tick: Tick): Source {
  return {
    symbol: hello.symbol,
    dt: hello.dt,
    origin: hello.origin,
    epoch: hello.epoch,
    firstWindow: hello.firstWindow,
    lastWindow: hello.lastWindow,
    tick,
    calibrationId: hello.calibrationId,
    lookahead: hello.lookahead,
    wallBounds: wallBounds(hello),
    warnings: day.warnings,
    verified: hello.verified,
    counters: day.counters,
  };
}

function wallBounds(hello: HelloMessage): Source['wallBounds'] {
  const found = hello.calibrationBounds.wall_strength_log;
  if (!found) throw new RangeError('the service does not calibrate wall_strength_log: walls have no colours without it');
  return found;
}

function clamp(window: WindowNo, low: WindowNo, high: WindowNo): WindowNo {
  return Math.min(high, Math.max(low, window)) as WindowNo;
}

function sentence(error: unknown): string {
  if (error instanceof ServiceError || error instanceof Error) return error.message;
  return String(error);
}
