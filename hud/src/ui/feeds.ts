/**
 * True numbers for the panels, fetched from the surfaces beside the stream (spec 9.2: numbers shown to a person
 * come from the surfaces, never from the planes).
 *
 * Each feed asks for one thing at a time, at most once per interval, always for the newest second wanted. What is
 * shown says which second it is of; a feed that is behind is behind, it never invents.
 */
import { chainState, contractsPerPoint, defaultExpiry, gammaLadder, type ChainState, type GammaLadder, type GammaProfile } from '../model/gamma';
import {
  BANDS, COMPONENTS, DIRECTIONS, type Band, type BandComponentName, type Component, type Direction, type HistoryView,
} from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { bandLevels, WallSeconds, type LadderSecond, type WallSecond } from '../model/ladder';
import { volumeProfile, type VolumeProfile } from '../model/profile';
import type { Source } from '../model/snapshot';
import { ticksOf, type Tick } from '../units/price';
import { windowEndNs, windowOf, type WindowNo } from '../units/time';
import type { SurfaceTable } from '../wire/api';
import type { PanelContext } from './panel';

/** Numbers of physics_context_1s of one window. */
export interface ContextNumbers {
  readonly window: WindowNo;
  readonly levelCount: Readonly<Record<Direction, Readonly<Record<Band, number>>>>;
}

/** Everything the crosshair can tell of one window. */
export interface SecondNumbers {
  readonly window: WindowNo;
  readonly wall: WallSecond;
  /** Row of `wall` -> scores of vacuum_surface_1s, whose rows are the same. */
  readonly vacuumScore: Float64Array;
  readonly vacuumFlow: Float64Array;
  /** Strike in ticks -> contracts per point. */
  readonly gamma: ReadonlyMap<number, { readonly call: number; readonly put: number; readonly imbalance: number }>;
  /** Band components of physics_bands_1s. */
  component(direction: Direction, band: Band, what: Component): number;
  readonly hasSpot: boolean;
}

/** One thing asked for repeatedly: newest wish wins, never two at once, and never again what was answered last. */
class Follower {
  private wish: WindowNo | null = null;
  private answered: WindowNo | null = null;
  private running = false;
  private timer = 0;
  private startedMs = Number.NEGATIVE_INFINITY;
  private dueMs = 0;
  private generation = 0;

  constructor(
    private readonly fetch: (window: WindowNo) => Promise<void>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** `everyMs`: not more often than this; `fromMs`: not before this time of the page's clock. */
  want(window: WindowNo, everyMs: number, fromMs = 0): void {
    if (window === this.answered) return;
    this.wish = window;
    if (this.running) return;
    const dueMs = Math.max(this.startedMs + everyMs, fromMs);
    if (this.timer !== 0) {
      if (dueMs >= this.dueMs) return;
      never(this.timer); // a clock that stops wants its numbers sooner than one that runs
    }
    this.timer = 0;
    this.dueMs = dueMs;
    const wait = dueMs - performance.now();
    if (wait > 0) this.timer = later(() => { this.timer = 0; void this.run(everyMs); }, wait);
    else void this.run(everyMs);
  }

  /** Forget what was asked: the answer under way no longer counts. */
  drop(): void {
    this.wish = null;
    this.answered = null;
    this.generation++;
    this.hurry();
  }

  /** Another place: the next question does not wait for the one before. */
  hurry(): void {
    this.startedMs = Number.NEGATIVE_INFINITY;
  }

  private async run(everyMs: number): Promise<void> {
    const { wish, generation } = this;
    if (wish === null) return;
    this.running = true;
    this.startedMs = performance.now();
    try {
      await this.fetch(wish);
      if (generation === this.generation) this.answered = wish;
    } catch (error) {
      if (generation === this.generation) this.failed(error);
      this.startedMs = performance.now() + RETRY_MS;
    }
    this.running = false;
    if (this.wish !== null && (this.wish !== wish || generation !== this.generation)) this.want(this.wish, everyMs);
  }
}

const later = (run: () => void, ms: number): number => setTimeout(run, ms);
/** After a refusal the next question waits so long. */
const RETRY_MS = 2000;
/** Seconds of numbers the crosshair remembers. */
const REMEMBERED_SECONDS = 90;
/** After a jump in time the picture comes first, and numbers only for where the jumps end. */
const SETTLE_MS = 60;
const AFTER_FRAME_MS = 4;
/** Volume profile and gamma of a running clock. */
const SLOW_MS = 4900;
/** The pointer rests so long before its second is asked for. */
export const REST_MS = 15;

const COMPONENT_NAMES = DIRECTIONS.flatMap((d) => BANDS.flatMap((b) => COMPONENTS.map((c) => `${d}_${b}_${c}` as BandComponentName)));

export class Feeds {
  readonly walls = new WallSeconds();
  context: ContextNumbers | null = null;
  profile: { readonly window: WindowNo; readonly volume: VolumeProfile } | null = null;
  gammaAt: { readonly window: WindowNo; readonly ladder: GammaLadder } | null = null;
  gammaProfile: GammaProfile | null = null;
  /** What the service refused last, a sentence; null when all answers are fine. */
  refusal: string | null = null;
  private readonly refusals = new Map<string, string>();
  /** What was answered since the data are these. */
  private readonly answered = new Set<string>();
  private expiry = Number.NaN;
  private expiryAsked = false;
  private key = '';
  private source: Source | null = null;
  private jumps = -1;
  private settledMs = 0;
  private readonly seconds = new Map<WindowNo, SecondNumbers>();
  private readonly followers: Record<'wall' | 'context' | 'profile' | 'gamma' | 'gammaProfile', Follower>;
  private asking: { readonly window: WindowNo; readonly abort: AbortController } | null = null;
  private askTimer = 0;
  private lastAsked = Number.NaN;

  constructor(private readonly page: PanelContext) {
    const follower = (what: string, fetch: (window: WindowNo) => Promise<void>, isSlow = false): Follower => new Follower(
      async (window) => {
        const { key } = this;
        await fetch(window);
        if (key !== this.key) return;
        this.refused(what, null);
        const isFirst = !this.answered.has(what);
        this.answered.add(what);
        // what hardly changes is shown with the next second, if one comes soon
        if (isFirst || !isSlow || !this.secondsCome()) this.page.redraw(InvalidateLevel.Light);
      },
      (error) => this.refused(what, sentence(error)),
    );
    this.followers = {
      wall: follower('ladder', (window) => this.fetchWall(window)),
      context: follower('bands', (window) => this.fetchContext(window)),
      profile: follower('volume profile', (window) => this.fetchProfile(window), true),
      gamma: follower('gamma', (window) => this.fetchGamma(window), true),
      gammaProfile: follower('gamma profile', (window) => this.fetchGammaProfile(window), true),
    };
  }

  /** Call before asking: another day, or another lake, forgets everything. */
  private use(source: Source): void {
    if (source === this.source) return;
    this.source = source;
    const key = `${source.symbol} ${source.dt} ${source.epoch}`;
    if (key === this.key) return;
    this.key = key;
    this.seconds.clear();
    this.walls.clear();
    this.context = null;
    this.profile = null;
    this.gammaAt = null;
    this.gammaProfile = null;
    this.streamed.gex = this.streamed.gexProfile = null;
    this.expiry = Number.NaN;
    this.expiryAsked = false;
    this.answered.clear();
    this.gammaReadMs = Number.NEGATIVE_INFINITY;
    for (const one of Object.values(this.followers)) one.drop();
  }

  /** Whether the clock runs, and brings a frame every second at least. */
  private secondsCome(): boolean {
    const { transport, connection } = this.page.store.snapshot;
    return transport.playing && !transport.ended && connection.link === 'open' && (transport.speed === 'max' || transport.speed >= 1);
  }

  private refused(what: string, why: string | null): void {
    if (why === null) this.refusals.delete(what);
    else this.refusals.set(what, `No numbers for the ${what}: ${why}`);
    this.refusal = [...this.refusals.values()][0] ?? null;
    if (why !== null) this.page.redraw(InvalidateLevel.Light);
  }

  private get tick(): Tick {
    return this.page.store.snapshot.source!.tick;
  }

  // ---- what comes with the stream

  /** Numbers of a second that the stream brought; the picture of the same second follows, so no frame is asked for. */
  take(surface: string, table: SurfaceTable): void {
    const { source } = this.page.store.snapshot;
    if (source === null || table.rows === 0) return;
    this.use(source);
    const window = windowOf(table.bigints('window_end_ts_ns')[0]!);
    if (surface === 'wall') {
      for (const second of ladderSeconds(table, this.tick)) this.walls.add(second);
      this.walls.keepFor(window);
    } else if (surface === 'gex') this.streamed.gex = { window, table };
    else if (surface === 'gex_profile') this.streamed.gexProfile = { window, table };
  }
  /** Gamma of the newest second that the stream brought: read when it is shown. */
  private readonly streamed: Record<'gex' | 'gexProfile', { readonly window: WindowNo; readonly table: SurfaceTable } | null> = { gex: null, gexProfile: null };
  private gammaReadMs = Number.NEGATIVE_INFINITY;

  /** Take over streamed gamma, of a running clock every few seconds: it hardly changes within them. */
  private readGamma(window: WindowNo, everyMs: number): void {
    const { gex, gexProfile } = this.streamed;
    if (gex?.window !== window || gexProfile?.window !== window || performance.now() - this.gammaReadMs < everyMs) return;
    this.gammaReadMs = performance.now();
    this.gammaAt = { window, ladder: this.ladderOf(gex.table) };
    this.gammaProfile = this.profileOf(window, gexProfile.table);
  }

  // ---- what follows the head

  /** Keep the numbers at `window`; fast replays are asked for less often. */
  follow(window: WindowNo): void {
    const { source, transport, history } = this.page.store.snapshot;
    if (source === null || Number.isNaN(window)) return;
    this.use(source);
    if (history.jumps !== this.jumps) {
      this.jumps = history.jumps;
      this.settledMs = performance.now() + SETTLE_MS;
      // what is shown belongs to another second, and the pace is that of a clock that went on
      this.answered.clear();
      this.gammaReadMs = Number.NEGATIVE_INFINITY;
      for (const one of Object.values(this.followers)) one.hurry();
    }
    const fast = transport.playing && (transport.speed === 'max' || transport.speed > 4);
    // what hardly changes within seconds is asked for every few of them, and at once where the clock stands still
    const slow = transport.playing ? SLOW_MS : 150;
    // never within the frame that calls: the browser takes as long to ask as the picture takes to draw
    const fromMs = Math.max(this.settledMs, performance.now() + AFTER_FRAME_MS);
    const want = (what: keyof typeof this.followers, everyMs: number): void => this.followers[what].want(window, everyMs, fromMs);
    if (this.walls.newest(window) !== window || this.walls.missing(window) !== null) want('wall', fast ? 500 : 150);
    if (this.context?.window !== window && hasBareBand(history, window)) {
      // the wall's rows are the levels that are counted; only where they are not here the counts are asked for
      const wall = this.walls.get(window);
      const spot = history.spot[history.slotOf(window)]!;
      if (wall !== undefined && wall.ticks.length > 0 && !Number.isNaN(spot)) this.context = { window, levelCount: bandLevels(wall, spot) };
      else want('context', fast ? 300 : 150);
    }
    if (this.profile?.window !== window) want('profile', slow);
    if (this.chain(window).kind !== 'live') return;
    this.readGamma(window, slow);
    if (this.streamed.gex?.window === window && this.streamed.gexProfile?.window === window && this.expiryAsked) return;
    if (this.gammaAt?.window !== window) want('gamma', slow);
    if (this.gammaProfile?.window !== window) want('gammaProfile', slow);
  }

  private async fetchWall(window: WindowNo): Promise<void> {
    const missing = this.walls.missing(window);
    if (missing === null) return;
    const { key } = this;
    const table = await this.page.api.surface('wall', windowEndNs(missing.after), windowEndNs(missing.to));
    if (key !== this.key) return;
    const seconds = ladderSeconds(table, this.tick);
    // a second without rows is known too: nothing stands there
    for (let w = missing.after + 1; w <= missing.to; w++) this.walls.add(emptySecond(w as WindowNo));
    for (const second of seconds) this.walls.add(second);
    // the stream may have brought later seconds while this answer was on its way
    this.walls.keepFor(Math.max(window, this.walls.newest(this.page.store.snapshot.history.head)) as WindowNo);
  }

  private async fetchContext(window: WindowNo): Promise<void> {
    const { key } = this;
    const table = await this.one('context', window);
    if (key !== this.key || table.rows === 0) return;
    const perBand = (suffix: string): Record<Direction, Record<Band, number>> => Object.fromEntries(
      DIRECTIONS.map((d) => [d, Object.fromEntries(BANDS.map((b) => [b, table.numbers(`${d}_${b}_${suffix}`)[0]!]))]),
    ) as Record<Direction, Record<Band, number>>;
    this.context = { window, levelCount: perBand('level_count') };
  }

  private async fetchProfile(window: WindowNo): Promise<void> {
    const { key } = this;
    const table = await this.page.api.profile(windowEndNs(window));
    if (key !== this.key) return;
    const { tick } = this;
    const ticks = Float64Array.from(table.bigints('price_int'), (price) => ticksOf(price, tick));
    const lots = (name: string): Float64Array => Float64Array.from(table.bigints(name), Number);
    this.profile = { window, volume: volumeProfile(ticks, lots('buy_qty'), lots('sell_qty'), lots('auction_qty')) };
  }

  private async fetchGamma(window: WindowNo): Promise<void> {
    const { key } = this;
    const table = await this.one('gex', window);
    if (key !== this.key) return;
    this.gammaAt = { window, ladder: this.ladderOf(table) };
    if (!this.expiryAsked) {
      this.expiryAsked = true;
      const quotes = await this.one('option_quote', window);
      if (key === this.key && quotes.rows > 0) {
        const left = quotes.numbers('seconds_to_expiry')[0]!;
        if (Number.isFinite(left)) this.expiry = Math.round(window + left);
      }
    }
  }

  private ladderOf(gex: SurfaceTable): GammaLadder {
    const { tick } = this;
    const ticks = Float64Array.from(gex.bigints('strike_price_int'), (price) => ticksOf(price, tick));
    return gammaLadder(ticks, gex.numbers('gex_call_abs'), gex.numbers('gex_put_abs'));
  }

  private async fetchGammaProfile(window: WindowNo): Promise<void> {
    const { key } = this;
    const table = await this.one('gex_profile', window);
    if (key !== this.key || table.rows === 0) return;
    this.gammaProfile = this.profileOf(window, table);
  }

  private profileOf(window: WindowNo, table: SurfaceTable): GammaProfile {
    const perTick = 1 / this.tick.points;
    const value = (name: string): number => table.numbers(name)[0]!;
    const gamma = (name: string): number => contractsPerPoint(value(name));
    return {
      window,
      net: gamma('net_gex'),
      flips: Array.from(table.lists('flip_points')[0] ?? [], (points) => points * perTick),
      centre: value('gamma_centre_points') * perTick,
      topCall: value('top_call_strike_points') * perTick,
      topPut: value('top_put_strike_points') * perTick,
      conventions: {
        callMinusPut: gamma('net_oi_call_minus_put'), shortAll: gamma('net_oi_short_all'), flow: gamma('net_oi_flow'),
      },
      bandLow: gamma('convention_min'),
      bandHigh: gamma('convention_max'),
    };
  }

  private one(surface: 'context' | 'gex' | 'gex_profile' | 'option_quote', window: WindowNo): Promise<SurfaceTable> {
    return this.page.api.surface(surface, windowEndNs((window - 1) as WindowNo), windowEndNs(window));
  }

  /** The 0DTE chain at a window. */
  chain(window: WindowNo): ChainState {
    const expiry = Number.isNaN(this.expiry) ? defaultExpiry(window) : this.expiry;
    return chainState(window, expiry, this.page.store.snapshot.source?.warnings ?? []);
  }

  // ---- what the crosshair asks for

  /** Numbers of a second if they are here; else they are asked for and a redraw follows. */
  secondAt(window: WindowNo): SecondNumbers | null {
    const { source } = this.page.store.snapshot;
    if (source === null || Number.isNaN(window)) return null;
    this.use(source);
    const known = this.seconds.get(window);
    if (known !== undefined) return known;
    if (this.lastAsked !== window) {
      this.lastAsked = window;
      never(this.askTimer);
      this.askTimer = later(() => void this.ask(window), REST_MS);
    }
    return null;
  }

  private async ask(window: WindowNo): Promise<void> {
    this.asking?.abort.abort();
    const asking = { window, abort: new AbortController() };
    this.asking = asking;
    const { key, tick, page: { api } } = this;
    const [from, to] = [windowEndNs((window - 1) as WindowNo), windowEndNs(window)];
    const get = (surface: 'wall' | 'vacuum' | 'gex' | 'physics'): Promise<SurfaceTable> =>
      api.surface(surface, from, to, asking.abort.signal);
    try {
      const [wall, vacuum, gex, physics] = await Promise.all([get('wall'), get('vacuum'), get('gex'), get('physics')]);
      if (key !== this.key) return;
      this.seconds.set(window, secondNumbers(window, tick, wall, vacuum, gex, physics));
      for (const old of this.seconds.keys()) {
        if (this.seconds.size <= REMEMBERED_SECONDS) break;
        this.seconds.delete(old);
      }
      this.refused('crosshair', null);
    } catch (error) {
      if (asking.abort.signal.aborted) return;
      this.refused('crosshair', sentence(error));
      later(() => { if (this.lastAsked === window) this.lastAsked = Number.NaN; }, RETRY_MS);
    } finally {
      if (this.asking === asking) this.asking = null;
    }
    this.page.redraw(InvalidateLevel.Cursor);
  }
}

const STRENGTHS = DIRECTIONS.flatMap((d) => BANDS.map((b) => `${d}_${b}_wall_strength_norm` as const));

/** Whether a band of the window has walls of strength 0: only such a band can be EMPTY, which its level count decides. */
export function hasBareBand(history: HistoryView, window: WindowNo): boolean {
  const slot = history.slotOf(window);
  if (slot < 0) return false;
  for (const name of STRENGTHS) if (history.bands[name][slot] === 0) return true;
  return false;
}

const never = (timer: number): void => clearTimeout(timer);

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.endsWith('.') ? text : `${text}.`;
}

/** Rows of wall_surface_1s by window, as far as the ladder needs them. */
export function ladderSeconds(table: SurfaceTable, tick: Tick): LadderSecond[] {
  const ends = table.bigints('window_end_ts_ns');
  const spots = table.bigints('spot_ref_price_int');
  const rel = table.ints('rel_ticks');
  const isAsk = table.matches('side', 'A');
  const [end, add, pull] = [table.ints('depth_qty_end'), table.ints('add_qty'), table.ints('pull_qty_total')];
  const seconds: LadderSecond[] = [];
  for (let from = 0; from < table.rows;) {
    const second = ends[from]!;
    const spot = ticksOf(spots[from]!, tick);
    // mostly one second, as the stream sends them
    let to = ends[table.rows - 1] === second ? table.rows : from;
    while (to < table.rows && ends[to] === second) to++;
    const ticks = new Float64Array(to - from);
    let askRows = 0;
    for (let row = from; row < to; row++) {
      ticks[row - from] = rel[row]! + spot;
      askRows += isAsk[row]!;
    }
    seconds.push({
      window: windowOf(second), askRows, ticks, end: end.subarray(from, to), add: add.subarray(from, to), pull: pull.subarray(from, to),
    });
    from = to;
  }
  return seconds;
}

function emptySecond(window: WindowNo): WallSecond {
  const none = new Int32Array(0);
  return { window, askRows: 0, ticks: new Float64Array(0), start: none, end: none, rest: none, add: none, pull: none, pullRest: none, fill: none };
}

/** The wall of one window from a table of it alone. */
function wallSecond(table: SurfaceTable, tick: Tick, window: WindowNo): WallSecond {
  const second = ladderSeconds(table, tick)[0];
  if (second === undefined) return emptySecond(window);
  return {
    ...second, start: table.ints('depth_qty_start'), rest: table.ints('depth_qty_rest'), pullRest: table.ints('pull_qty_rest'), fill: table.ints('fill_qty'),
  };
}

function secondNumbers(
  window: WindowNo, tick: Tick, wallTable: SurfaceTable, vacuum: SurfaceTable, gex: SurfaceTable, physics: SurfaceTable,
): SecondNumbers {
  const wall = wallSecond(wallTable, tick, window);
  if (vacuum.rows !== wall.ticks.length) {
    throw new RangeError(`vacuum has ${vacuum.rows} rows where the wall has ${wall.ticks.length}: the lake holds tables of two runs`);
  }
  const call = gex.numbers('gex_call_abs');
  const put = gex.numbers('gex_put_abs');
  const ratio = gex.numbers('gex_imbalance_ratio');
  const gamma = new Map(Array.from(gex.bigints('strike_price_int'), (strike, i) => [
    ticksOf(strike, tick) as number, { call: contractsPerPoint(call[i]!), put: contractsPerPoint(put[i]!), imbalance: ratio[i]! },
  ]));
  const components = new Map(COMPONENT_NAMES.map((name) => [name, physics.rows > 0 ? physics.numbers(name)[0]! : Number.NaN]));
  return {
    window, wall, gamma,
    vacuumScore: vacuum.numbers('vacuum_score'),
    vacuumFlow: vacuum.numbers('vacuum_flow_score'),
    component: (direction, band, what) => components.get(`${direction}_${band}_${what}`) ?? Number.NaN,
    hasSpot: physics.rows > 0 && physics.bigints('spot_ref_price_int')[0] !== 0n,
  };
}

const feeds = new WeakMap<PanelContext, Feeds>();

/** The one set of feeds of a page. */
export function feedsOf(page: PanelContext): Feeds {
  let known = feeds.get(page);
  if (known === undefined) {
    known = new Feeds(page);
    feeds.set(page, known);
  }
  return known;
}
