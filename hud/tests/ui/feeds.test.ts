import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { History } from '../../src/model/history';
import type { Snapshot } from '../../src/model/snapshot';
import type { LadderSecond } from '../../src/model/ladder';
import { Feeds, ladderSeconds } from '../../src/ui/feeds';
import type { PanelContext } from '../../src/ui/panel';
import { tickOf } from '../../src/units/price';
import { windowEndNs, type WindowNo } from '../../src/units/time';
import type { HudApi, SurfaceTable } from '../../src/wire/api';
import { at } from '../model/seconds';
import { windowRow } from '../samples/rows';

const TICK = tickOf(250_000_000n);

type Columns = Readonly<Record<string, readonly (number | bigint | string | readonly number[])[]>>;

function table(columns: Columns): SurfaceTable {
  const column = (name: string): readonly unknown[] => {
    const values = columns[name];
    if (values === undefined) throw new RangeError(`no column ${name}`);
    return values;
  };
  return {
    rows: Object.values(columns)[0]?.length ?? 0,
    names: Object.keys(columns),
    has: (name) => name in columns,
    numbers: (name) => Float64Array.from(column(name) as number[]),
    bigints: (name) => BigInt64Array.from(column(name) as bigint[]),
    ints: (name) => Int32Array.from(column(name) as number[]),
    matches: (name, word) => Uint8Array.from(column(name), (value) => (value === word ? 1 : 0)),
    bools: (name) => Uint8Array.from(column(name) as number[]),
    lists: (name) => (column(name) as number[][]).map((list) => Float64Array.from(list)),
    bytes: () => new Uint8Array(0),
  };
}

/** Wall rows: window, side, rel_ticks, depth at the end. Spot is 100 ticks. */
function wall(...rows: readonly (readonly [WindowNo, 'A' | 'B', number, number])[]): SurfaceTable {
  const same = (k: number): number[] => rows.map((row) => Number(row[3]) + k);
  return table({
    window_end_ts_ns: rows.map(([window]) => windowEndNs(window)),
    spot_ref_price_int: rows.map(() => 100n * TICK.int),
    side: rows.map(([, side]) => side),
    rel_ticks: rows.map(([, , rel]) => rel),
    depth_qty_start: same(1), depth_qty_end: same(0), depth_qty_rest: same(-1), add_qty: same(2), pull_qty_total: same(3),
    pull_qty_rest: same(4), fill_qty: same(5),
  });
}

describe('rows of the wall', () => {
  it('become seconds with asks before bids and prices in ticks', () => {
    const seconds = ladderSeconds(wall([at(0), 'A', 1, 10], [at(0), 'A', 2, 20], [at(0), 'B', -1, 30], [at(1), 'B', -3, 40]), TICK);
    expect(seconds.map(({ window }) => window)).toEqual([at(0), at(1)]);
    const [first, second] = seconds as [LadderSecond, LadderSecond];
    expect(first.askRows).toBe(2);
    expect([...first.ticks]).toEqual([101, 102, 99]);
    expect([...first.end]).toEqual([10, 20, 30]);
    expect([...first.add]).toEqual([12, 22, 32]);
    expect([...first.pull]).toEqual([13, 23, 33]);
    expect(second.askRows).toBe(0);
    expect([...second.ticks]).toEqual([97]);
    expect([...second.end]).toEqual([40]);
  });
});

interface Call {
  readonly what: string;
  readonly window: WindowNo;
  readonly from: WindowNo;
  answer(table: SurfaceTable): Promise<void>;
  refuse(why: string): Promise<void>;
}

/** Seconds without a component in any band. */
function bareHistory(): History {
  const history = new History();
  for (let i = 0; i <= 110; i++) history.push(windowRow(at(i), 100, [], { bands: new Array<number>(24).fill(0) }));
  return history;
}

function page(warnings: readonly string[] = ['no_options']) {
  const calls: Call[] = [];
  const snapshot = {
    source: { symbol: 'ESH6', dt: '2026-01-06', epoch: 'one', tick: TICK, warnings },
    transport: { playing: true, speed: 1 },
    connection: { link: 'open' },
    history: bareHistory(),
  };
  const ask = (what: string, start: bigint, end: bigint): Promise<SurfaceTable> => new Promise((resolve, reject) => {
    const settle = async (done: () => void): Promise<void> => {
      done();
      await vi.advanceTimersByTimeAsync(0);
    };
    const second = (ns: bigint): WindowNo => Number(ns / 1_000_000_000n) as WindowNo;
    calls.push({
      what, window: second(end), from: second(start),
      answer: (answer) => settle(() => resolve(answer)),
      refuse: (why) => settle(() => reject(new Error(why))),
    });
  });
  const redraw = vi.fn();
  const context = {
    store: { snapshot: snapshot as unknown as Snapshot },
    api: {
      surface: (what: string, start: bigint, end: bigint) => ask(what, start, end),
      profile: (end: bigint) => ask('profile', 0n, end),
    } as unknown as HudApi,
    redraw,
  } as unknown as PanelContext;
  return { feeds: new Feeds(context), calls, redraw, snapshot, of: (what: string) => calls.filter((call) => call.what === what) };
}

/** A frame that follows the head, and the moment in which its questions go out. */
async function follow(feeds: Feeds, window: WindowNo): Promise<void> {
  feeds.follow(window);
  await vi.advanceTimersByTimeAsync(80);
}

describe('feeds', () => {
  beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }); });
  afterEach(() => { vi.useRealTimers(); });

  it('ask for the half minute first and then for what is new', async () => {
    const { feeds, of, redraw } = page();
    await follow(feeds, at(100));
    expect(of('wall')).toMatchObject([{ from: at(70), window: at(100) }]);
    await of('wall')[0]!.answer(wall([at(100), 'A', 1, 10]));
    expect(redraw).toHaveBeenCalled();
    expect(feeds.walls.newest(at(100))).toBe(at(100));
    await follow(feeds, at(101));
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('wall')[1]).toMatchObject({ from: at(100), window: at(101) });
  });

  it('ask for nothing that the stream brings', async () => {
    const { feeds, of, redraw } = page();
    await follow(feeds, at(100));
    await of('wall')[0]!.answer(wall([at(100), 'A', 1, 10]));
    redraw.mockClear();
    feeds.take('wall', wall([at(101), 'A', 1, 12], [at(101), 'B', -1, 7]));
    expect(redraw, 'its picture follows and asks for the frame').not.toHaveBeenCalled();
    expect([...feeds.walls.get(at(101))!.end]).toEqual([12, 7]);
    await follow(feeds, at(101));
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('wall')).toHaveLength(1);
    // the wall's own rows say which bands are bare
    expect(feeds.context).toMatchObject({ window: at(101), levelCount: { above: { at: 1, near: 0 }, below: { at: 1, mid: 0 } } });
    expect(of('context').map((call) => call.window)).not.toContain(at(101));
    // a question that was answered late takes nothing away from what came since
    feeds.take('wall', wall([at(102), 'A', 1, 13]));
    expect(feeds.walls.newest(at(110))).toBe(at(102));
  });

  it('keep what they hold when an answer cannot be read, and ask again', async () => {
    const { feeds, of } = page();
    await follow(feeds, at(100));
    feeds.take('wall', wall([at(100), 'A', 1, 12]));
    const unreadable = { ...wall([at(99), 'A', 1, 3]), ints: () => { throw new RangeError('column rel_ticks holds nulls'); } };
    await of('wall')[0]!.answer(unreadable);
    expect(feeds.refusal).toMatch(/ladder: column rel_ticks holds nulls/);
    expect([...feeds.walls.get(at(100))!.end]).toEqual([12]);
    expect(feeds.walls.get(at(99)), 'unknown, not empty').toBeUndefined();
    await follow(feeds, at(100));
    await vi.advanceTimersByTimeAsync(2500);
    expect(of('wall')).toHaveLength(2);
  });

  it('show the volume of the day with the next second of a running clock, and at once after a jump', async () => {
    const { feeds, of, redraw, snapshot } = page();
    const volume = table({ price_int: [100n * TICK.int], buy_qty: [3n], sell_qty: [4n], auction_qty: [0n] });
    await follow(feeds, at(100));
    await of('profile')[0]!.answer(volume);
    expect(redraw, 'the first one').toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(6000);
    await follow(feeds, at(106));
    redraw.mockClear();
    await of('profile')[1]!.answer(volume);
    expect(feeds.profile?.window).toBe(at(106));
    expect(redraw).not.toHaveBeenCalled();
    snapshot.history.rewind(at(40));
    await follow(feeds, at(40));
    expect(of('profile').map((call) => call.window), 'without waiting for five seconds').toEqual([at(100), at(106), at(40)]);
    await of('profile')[2]!.answer(volume);
    expect(redraw).toHaveBeenCalled();
    // where seconds come slowly, an answer brings its own frame
    redraw.mockClear();
    snapshot.transport = { playing: true, speed: 0.1 };
    await vi.advanceTimersByTimeAsync(6000);
    await follow(feeds, at(41));
    await of('profile')[3]!.answer(volume);
    expect(redraw).toHaveBeenCalled();
  });

  it('have one question out at a time, and then ask for the newest second wanted', async () => {
    const { feeds, of } = page();
    for (let i = 0; i < 5; i++) await follow(feeds, at(i));
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('context')).toMatchObject([{ window: at(0) }]);
    await of('context')[0]!.answer(table({}));
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('context').map((call) => call.window)).toEqual([at(0), at(4)]);
  });

  it('do not ask again for a second that has no row', async () => {
    const { feeds, of } = page();
    await follow(feeds, at(3));
    await of('context')[0]!.answer(table({}));
    for (let i = 0; i < 4; i++) {
      feeds.follow(at(3));
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(of('context')).toHaveLength(1);
  });

  it('tell a refusal as a sentence, try again, and forget it when the answer comes', async () => {
    const { feeds, of } = page();
    await follow(feeds, at(3));
    await of('context')[0]!.refuse('the range is too long');
    expect(feeds.refusal).toBe('No numbers for the bands: the range is too long.');
    await follow(feeds, at(3));
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('context'), 'not at once').toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1500);
    expect(of('context')).toHaveLength(2);
    await of('context')[1]!.answer(table({}));
    expect(feeds.refusal).toBeNull();
  });

  it('forget everything when the service serves other data', async () => {
    const { feeds, of, snapshot } = page();
    await follow(feeds, at(3));
    await of('wall')[0]!.answer(wall([at(3), 'A', 1, 10]));
    const late = of('context')[0]!;
    snapshot.source = { ...snapshot.source, epoch: 'two' };
    await follow(feeds, at(3));
    expect(feeds.walls.newest(at(3))).toBeNaN();
    await late.answer(table({ last_trade_age_ns: [0n] }));
    expect(feeds.context, 'an answer of the old data does not count').toBeNull();
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('context'), 'the same second is asked for anew').toHaveLength(2);
  });

  it('ask for nothing within the frame, and after a jump only for where it ends', async () => {
    const { feeds, of, snapshot } = page();
    feeds.follow(at(3));
    expect(of('wall')).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1000);
    await of('wall')[0]!.answer(wall([at(3), 'A', 1, 10]));
    for (const i of [40, 50, 60]) {
      snapshot.history.jumps++;
      feeds.follow(at(i));
      await vi.advanceTimersByTimeAsync(20);
    }
    await vi.advanceTimersByTimeAsync(1000);
    expect(of('wall').map(({ window }) => window)).toEqual([at(3), at(60)]);
  });

  it('ask for level counts only where a band has no wall: no other band can be empty', async () => {
    const { feeds, of, snapshot } = page();
    snapshot.history.push(windowRow(at(111), 100, [], { bands: Array.from({ length: 24 }, (_, i) => (i % 3 === 0 ? 0.1 : 0)) }));
    await follow(feeds, at(111));
    expect(of('context')).toHaveLength(0);
    await follow(feeds, at(110));
    expect(of('context')).toHaveLength(1);
  });

  it('ask for what hardly changes every few seconds, and soon when the clock stops', async () => {
    const { feeds, of, snapshot } = page();
    await follow(feeds, at(3));
    await of('profile')[0]!.answer(table({ price_int: [], buy_qty: [], sell_qty: [], auction_qty: [] }));
    await follow(feeds, at(4));
    await vi.advanceTimersByTimeAsync(800);
    expect(of('profile')).toHaveLength(1);
    snapshot.transport.playing = false;
    await follow(feeds, at(4));
    await vi.advanceTimersByTimeAsync(100);
    expect(of('profile').map(({ window }) => window)).toEqual([at(3), at(4)]);
  });

  it('ask for no gamma where the manifests say that there is none', async () => {
    const without = page(['no_options']);
    await follow(without.feeds, at(3));
    expect(without.of('gex_profile')).toHaveLength(0);
    const withGamma = page([]);
    await follow(withGamma.feeds, at(3));
    expect(withGamma.of('gex_profile')).toHaveLength(1);
    await withGamma.of('gex_profile')[0]!.answer(table({
      net_gex: [500], flip_points: [[6900, 6950.5]], gamma_centre_points: [6925], top_call_strike_points: [6950],
      top_put_strike_points: [6900], net_oi_call_minus_put: [500], net_oi_short_all: [-900], net_oi_flow: [250],
      convention_min: [-900], convention_max: [500],
    }));
    expect(withGamma.feeds.gammaProfile).toMatchObject({
      window: at(3), net: 10, flips: [27_600, 27_802], centre: 27_700, bandLow: -18, bandHigh: 10,
      conventions: { callMinusPut: 10, shortAll: -18, flow: 5 },
    });
  });

  it('ask for a second under the crosshair once the pointer rests there, and remember it', async () => {
    const { feeds, calls } = page();
    expect(feeds.secondAt(at(1))).toBeNull();
    expect(feeds.secondAt(at(2))).toBeNull();
    await vi.advanceTimersByTimeAsync(100);
    expect(calls.map((call) => [call.what, call.window])).toEqual(
      [['wall', at(2)], ['vacuum', at(2)], ['gex', at(2)], ['physics', at(2)]]);
    const answers: Record<string, SurfaceTable> = {
      wall: wall([at(2), 'A', 1, 10]),
      vacuum: table({ vacuum_score: [0.4], vacuum_flow_score: [0.6] }),
      gex: table({ strike_price_int: [100n * TICK.int], gex_call_abs: [100], gex_put_abs: [50], gex_imbalance_ratio: [0.3] }),
      physics: table({}),
    };
    for (const call of calls) await call.answer(answers[call.what]!);
    const second = feeds.secondAt(at(2))!;
    expect(second.wall.end[0]).toBe(10);
    expect(second.vacuumFlow[0]).toBe(0.6);
    expect(second.gamma.get(100)).toEqual({ call: 2, put: 1, imbalance: 0.3 });
    expect(second.hasSpot).toBe(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(calls).toHaveLength(4);
  });
});
