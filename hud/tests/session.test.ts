import { beforeEach, describe, expect, it } from 'vitest';
import { PageStore } from '../src/model/page_store';
import { openingWindow, Session } from '../src/session';
import type { TsNs, WindowNo } from '../src/units/time';
import { ServiceError } from '../src/wire/api';
import { ArrowTable } from '../src/wire/arrow';
import type { HttpApi } from '../src/wire/http';
import { hudBytes, hudMessage } from './samples/arrow';
import { windowRow } from './samples/rows';
import { FakePorts, helloText, stateText } from './samples/sockets';

const FIRST = 10_001;
const LAST = 14_000;
const BACK = 20; // windows of a bootstrap in these tests; the service sends 1800

/** What of the day's overview a session reads; null: the service has none. */
let overview: { readonly firstWindow: number; readonly phase: Uint8Array } | null = null;

/** What the lake of a test has. */
let surfaces: readonly string[] = ['hud'];

/** A service that answers when a test lets it. */
class FakeApi {
  readonly asked: number[] = [];
  readonly ranges: (readonly [number, number])[] = [];
  private waiting: (() => void)[] = [];
  hold = false;
  failNext: Error | null = null;
  useDay(): void {}
  streamUrl(query: Record<string, string>): string { return `ws://here/?${new URLSearchParams(query)}`; }
  async catalog(): Promise<unknown> {
    const day = {
      symbol: 'ESH6', dt: '2026-01-06', servable: true, reason: null, firstWindow: FIRST, lastWindow: LAST, warnings: [], counters: {}, surfaces,
    };
    return { chosen: { symbol: 'ESH6', dt: '2026-01-06' }, days: [day] };
  }
  async bootstrap(endNs: TsNs, signal?: AbortSignal): Promise<ArrowTable> {
    const end = Number(endNs / 1_000_000_000n);
    this.asked.push(end);
    if (this.hold) await new Promise<void>((go) => this.waiting.push(go));
    if (signal?.aborted) throw new DOMException('aborted', 'AbortError');
    if (this.failNext) { const error = this.failNext; this.failNext = null; throw error; }
    const first = Math.max(FIRST, end - BACK + 1);
    return new ArrowTable(hudBytes(Array.from({ length: end - first + 1 }, (_, k) => windowRow(first + k, 27_800))));
  }
  async pictures(startNs: TsNs, endNs: TsNs, signal?: AbortSignal): Promise<ArrowTable> {
    const [start, end] = [Number(startNs / 1_000_000_000n), Number(endNs / 1_000_000_000n)];
    this.ranges.push([start, end]);
    if (this.hold) await new Promise<void>((go) => this.waiting.push(go));
    if (signal?.aborted) throw new DOMException('aborted', 'AbortError');
    // the ends of the range stand for it: a table of every second takes long to make
    return new ArrowTable(hudBytes([start + 1, end].map((window) => windowRow(window, 27_800))));
  }
  async dayOverview(): Promise<unknown> {
    if (overview === null) throw new ServiceError(404, 'no overview in this test');
    return overview;
  }
  async levels(): Promise<never[]> { return []; }
  async release(): Promise<void> {
    this.hold = false;
    for (const go of this.waiting.splice(0)) go();
    await settled();
  }
}

const settled = async (): Promise<void> => { for (let k = 0; k < 30; k++) await Promise.resolve(); };

let api: FakeApi;
let ports: FakePorts;
let store: PageStore;
let session: Session;

async function opened(shownWindows?: unknown, painted?: () => Promise<void>): Promise<void> {
  api = new FakeApi();
  ports = new FakePorts();
  store = new PageStore();
  session = new Session(store, api as unknown as HttpApi, ports, {}, () => ports.nowMs, typeof shownWindows === 'number' ? () => shownWindows : undefined, painted);
  void session.run();
  await settled();
  ports.last.say(helloText());
  await settled();
}

const head = (): number => store.snapshot.history.head;
const sentTypes = (): unknown[] => ports.last.sent.map((command) => command.type);

describe('the opening second', () => {
  const at = (first: number, last: number): number => openingWindow(first as WindowNo, last as WindowNo);

  it('is the 1800th of a long day: a full half hour, and the day still to play', () => {
    expect(at(10_001, 33_400)).toBe(11_800);
  });

  it('leaves a fifth of a short day to play', () => {
    expect(at(1, 1800)).toBe(1440);
    expect(at(1, 120)).toBe(96);
    expect(at(7, 7)).toBe(7);
  });
});

describe('a session', () => {
  beforeEach(() => opened());

  it('shows the half hour before the stream goes on with the next second', async () => {
    expect(api.asked).toEqual([11_800]);
    expect(ports.last.url).toContain('start_ts_ns=11801000000000');
    expect(head()).toBe(11_800);
    expect(store.snapshot.stage).toBe('ready');
    ports.last.say(hudMessage(windowRow(11_801, 27_801)));
    expect(head()).toBe(11_801);
    expect(store.snapshot.connection.windowsReceived).toBe(BACK + 1);
  });

  it('keeps seconds that arrive before the half hour, and loses none', async () => {
    api.hold = true;
    session.seek(13_000 as WindowNo);
    await settled();
    ports.last.say(stateText('seek'));
    ports.last.say(hudMessage(windowRow(13_001, 27_801)));
    ports.last.say(hudMessage(windowRow(13_002, 27_802)));
    expect(head()).toBe(11_800);
    await api.release();
    expect(head()).toBe(13_002);
    expect(store.snapshot.history.slotOf(13_001 as WindowNo)).toBeGreaterThanOrEqual(0);
    expect(store.snapshot.transport.seeking).toBeNull();
  });

  it('goes where the newest seek says, whatever answers late', async () => {
    api.hold = true;
    session.seek(12_500 as WindowNo);
    ports.pass(200);
    session.seek(13_500 as WindowNo);
    await settled();
    for (let k = 0; k < 2; k++) ports.last.say(stateText('seek'));
    await api.release();
    expect(head()).toBe(13_500);
    expect(store.snapshot.history.oldest).toBe(13_500 - BACK + 1);
  });

  it('asks for few half hours in a drag, and always for the last', async () => {
    for (let k = 0; k < 50; k++) {
      session.seek((12_000 + k) as WindowNo);
      ports.pass(10);
    }
    ports.pass(500);
    await settled();
    expect(api.asked.length).toBeLessThan(10);
    expect(api.asked.at(-1)).toBe(12_049);
    expect(store.snapshot.transport.seeking).toBeNull();
    expect(head()).toBe(12_049);
  });

  it('steps back from what it holds, at once, and tells the clock where it stands', async () => {
    session.step(-3);
    expect(head()).toBe(11_797);
    expect(sentTypes()).toEqual(['pause', 'seek']);
    expect(ports.last.sent.at(-1)).toEqual({ type: 'seek', ts_ns: '11798000000000' });
  });

  it('pauses before it steps', () => {
    session.step(2);
    expect(sentTypes()).toEqual(['pause', 'step']);
    expect(store.snapshot.transport.playing).toBe(false);
  });

  it('stays inside the day', async () => {
    session.seek(99_999 as WindowNo);
    await settled();
    ports.last.say(stateText('seek'));
    expect(head()).toBe(LAST);
    session.seek(-5 as WindowNo);
    ports.pass(200);
    await settled();
    expect(head()).toBe(FIRST);
  });

  it('takes the numbers of a second with its picture up to 4x, and the picture alone beyond', async () => {
    surfaces = ['hud', 'wall', 'gex', 'vacuum'];
    await opened();
    surfaces = ['hud'];
    const streamed = (): string | null => new URL(ports.last.url).searchParams.get('surfaces');
    expect(streamed()).toBe('wall,gex,hud');
    const found: string[] = [];
    session.onNumbers = (surface, table) => found.push(`${surface} ${table.rows} at ${head()}`);
    ports.last.say(hudMessage(windowRow(11_801, 27_801), 'wall'));
    ports.last.say(hudMessage(windowRow(11_801, 27_801)));
    expect(found, 'before the picture').toEqual(['wall 1 at 11800']);
    expect(head()).toBe(11_801);
    session.setSpeed(2);
    expect(sentTypes(), 'the same surfaces: a command will do').toContain('speed');
    session.setSpeed(60);
    expect(streamed()).toBe('hud');
    expect(ports.last.url).toMatch(/resume=e1%3A1800/);
    expect(ports.last.url).toMatch(/speed=60/);
    ports.last.say(helloText({ resumed: true }));
    ports.last.say(hudMessage(windowRow(11_802, 27_801)));
    expect(head()).toBe(11_802);
    expect(store.snapshot.connection).toMatchObject({ reconnects: 0, notice: null });
    session.setSpeed('max');
    expect(ports.sockets, 'no other surfaces').toHaveLength(2);
    session.setSpeed(1);
    expect(streamed()).toBe('wall,gex,hud');
    expect(store.snapshot.transport.speed).toBe(1);
  });

  it('refuses numbers that it did not ask for, and shows the second all the same', () => {
    ports.last.say(hudMessage(windowRow(11_801, 27_801), 'vacuum'));
    expect(store.snapshot.error).toMatch(/sent surface vacuum, which this page did not ask for/);
    ports.last.say(hudMessage(windowRow(11_801, 27_801)));
    expect(head()).toBe(11_801);
  });

  it('resumes after the last second it took, with the speed that was set', async () => {
    session.setSpeed(5);
    ports.last.say(hudMessage(windowRow(11_801, 27_801)));
    ports.last.end();
    expect(store.snapshot.connection.link).toBe('lost');
    ports.pass(3000);
    expect(ports.last.url).toContain('resume=e1%3A1800');
    expect(ports.last.url).toContain('speed=5');
    ports.last.say(helloText({ resumed: true }));
    await settled();
    expect(store.snapshot.connection).toMatchObject({ link: 'open', reconnects: 1 });
    expect(store.snapshot.connection.notice).toMatch(/lost for 3 s\. Nothing is missing/);
  });

  it('says pause again after a reconnect, and that nothing was seen meanwhile', async () => {
    session.pause();
    ports.last.end();
    ports.pass(300);
    ports.last.say(helloText());
    expect(sentTypes()).toEqual(['pause', 'seek']);
    expect(ports.last.sent[1]).toEqual({ type: 'seek', ts_ns: '11801000000000' });
    ports.last.say(hudMessage(windowRow(11_801, 27_801)));
    expect(head()).toBe(11_800);
  });

  it('starts afresh when the service holds other data, and says so', async () => {
    ports.last.end();
    ports.pass(300);
    ports.last.say(helloText({ epoch: 'e2' }));
    await settled();
    expect(api.asked).toEqual([11_800, 11_800]);
    expect(store.snapshot.connection.notice).toMatch(/another version/);
  });

  it('marks what a gap left out', () => {
    ports.last.say({ type: 'gap', from_seq: '1800', to_seq: '1804', count: '5' });
    ports.last.say(hudMessage(windowRow(11_806, 27_801)));
    expect(store.snapshot.connection).toMatchObject({ gapCount: 1, windowsDropped: 5 });
    expect(store.snapshot.history.slotOf(11_803 as WindowNo)).toBe(-1);
  });

  it('begins again when play is pressed at the end', async () => {
    ports.last.say({ type: 'end' });
    expect(store.snapshot.transport.ended).toBe(true);
    session.toggle();
    await settled();
    expect(store.snapshot.transport.ended).toBe(false);
    expect(sentTypes()).toEqual(['seek', 'play']);
  });

  it('keeps the picture when a half hour cannot be had, and says why', async () => {
    api.failNext = new ServiceError(503, 'the service stops');
    session.seek(13_000 as WindowNo);
    await settled();
    expect(store.snapshot.error).toBe('the service stops');
    expect(head()).toBe(11_800);
    expect(store.snapshot.transport.seeking).toBeNull();
  });

  it('refuses a surface it did not ask for', () => {
    const bytes = hudBytes([windowRow(11_801, 1)], { metadata: { surface: 'snap' } });
    ports.last.say(bytes.slice().buffer as ArrayBuffer);
    expect(store.snapshot.error).toMatch(/surface snap/);
    expect(head()).toBe(11_800);
  });

  it('shows what the view shows first, and the older part behind it', async () => {
    await opened(600);
    expect(api.ranges).toEqual([[11_199, 11_800], [10_000, 11_199]]);
    expect(api.asked, 'no half hour in one piece').toEqual([]);
    expect(head()).toBe(11_800);
    expect(store.snapshot.history.oldest).toBe(10_001);
  });

  it('asks for the older part when the picture is on screen, and not at all when the trader went elsewhere by then', async () => {
    const waiting: (() => void)[] = [];
    const painted = (): Promise<void> => new Promise((done) => waiting.push(done));
    await opened(600, painted);
    expect(api.ranges).toEqual([[11_199, 11_800]]);
    expect(store.snapshot.stage).toBe('ready');
    session.seek(13_000 as WindowNo);
    await settled();
    expect(api.ranges.slice(1)).toEqual([[12_399, 13_000]]);
    for (const done of waiting) done();
    await settled();
    expect(api.ranges.slice(2), 'of the newer place only').toEqual([[11_200, 12_399]]);
  });

  it('takes the half hour in one piece where little of it is older than the view', async () => {
    await opened(1750);
    expect(api.ranges).toEqual([]);
    expect(api.asked).toEqual([11_800]);
  });

  it('never mixes the older part of one place into another', async () => {
    await opened(600);
    api.hold = true;
    session.seek(13_000 as WindowNo);
    ports.pass(200);
    await settled();
    session.seek(13_900 as WindowNo);
    ports.pass(200);
    await settled();
    for (let k = 0; k < 2; k++) ports.last.say(stateText('seek'));
    await api.release();
    expect(head()).toBe(13_900);
    expect(store.snapshot.history.oldest).toBe(12_101);
    expect(store.snapshot.error).toBeNull();
  });

  it('says when the market opens where the page opens before it, until somebody goes elsewhere', async () => {
    overview = { firstWindow: FIRST, phase: Uint8Array.from({ length: LAST - FIRST + 1 }, (_, i) => (FIRST + i < 12_961 ? 1 : 2)) };
    await opened();
    overview = null;
    expect(store.snapshot.connection.notice).toMatch(/^The market is pre-open here, so the picture is grey\. It opens at \d\d:36:00 New York time/);
    session.seek(13_000 as WindowNo);
    await settled();
    expect(store.snapshot.connection.notice).toBeNull();
  });
});
