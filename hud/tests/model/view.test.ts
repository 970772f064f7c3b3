import { describe, expect, it } from 'vitest';
import { easeStep, openingSpan, tidyScale } from '../../src/model/follow';
import { InvalidateLevel } from '../../src/model/invalidate';
import { PageStore } from '../../src/model/page_store';
import { Viewport } from '../../src/model/viewport';
import type { WindowNo } from '../../src/units/time';
import { windowRow } from '../samples/rows';

function storeAt(mid: number, windows = 900): PageStore {
  const store = new PageStore();
  store.resize(896, 514, 1);
  store.loadHistory(Array.from({ length: windows }, (_, k) => windowRow(100_000 + k, mid, [], { mid: mid as never })));
  return store;
}

const centreOf = (store: PageStore): number => (store.snapshot.viewport.topTicks + store.snapshot.viewport.bottomTicks) / 2;

/** Frames of 16 ms until the picture stands; returns how many. */
function settle(store: PageStore): number {
  let frames = 0;
  for (let now = 1000; store.animate(now) && frames < 500; now += 16) frames++;
  return frames;
}

describe('the opening view', () => {
  it('is about 40 ticks each way and 10 minutes on a small screen', () => {
    const { viewport, settings } = storeAt(27_800).snapshot;
    expect(viewport.pxPerTick).toBe(6);
    expect(viewport.heightPx / viewport.pxPerTick / 2).toBeGreaterThan(38);
    expect(viewport.widthPx / viewport.pxPerSecond).toBeCloseTo(600 + settings.roomSeconds, 0);
  });

  it('is about 70 ticks each way and 15 to 20 minutes on a large one', () => {
    const span = openingSpan(1946, 1116);
    expect(span.halfTicks).toBeCloseTo(70, 0);
    expect(span.minutes).toBeGreaterThanOrEqual(15);
    expect(span.minutes).toBeLessThanOrEqual(20);
  });

  it('never has less than 6 pixels a tick', () => {
    for (const height of [120, 300, 514, 800, 1116, 2000]) {
      expect(height / 2 / openingSpan(900, height).halfTicks).toBeGreaterThanOrEqual(6);
    }
  });

  it('shows the head with room ahead, and the mid in the middle', () => {
    const store = storeAt(27_800);
    const { viewport, history } = store.snapshot;
    expect(viewport.rightSecond - history.head).toBeCloseTo(40, 0);
    expect(centreOf(store)).toBeCloseTo(27_800, 0);
  });

  it('keeps scale and place in time when the window changes size', () => {
    const store = storeAt(27_800);
    store.resize(700, 400, 1);
    const { viewport, history } = store.snapshot;
    expect(viewport.pxPerTick).toBe(6);
    expect(viewport.rightSecond - history.head).toBeCloseTo(40, 0);
    expect(centreOf(store)).toBeCloseTo(27_800, 0);
  });
});

describe('following', () => {
  it('does not hop with the bounce', () => {
    const store = storeAt(27_800);
    const top = store.snapshot.viewport.topPx;
    for (let k = 0; k < 50; k++) {
      store.pushWindow(windowRow(100_900 + k, 27_800, [], { mid: (27_800 + (k % 2 ? 1 : -1)) as never }));
      settle(store);
    }
    expect(store.snapshot.viewport.topPx).toBe(top);
  });

  it('moves with the head by whole pixels', () => {
    const store = storeAt(27_800);
    for (let k = 0; k < 20; k++) {
      store.pushWindow(windowRow(100_900 + k, 27_800));
      const { viewport, history } = store.snapshot;
      expect(Number.isInteger(viewport.leftPx)).toBe(true);
      expect(Math.abs(viewport.rightSecond - history.head - 40)).toBeLessThan(1 / viewport.pxPerSecond + 1e-6);
    }
  });

  it('eases to the mid once it has left the middle third', () => {
    const store = storeAt(27_800);
    const third = 514 / 6 / 6;
    store.pushWindow(windowRow(100_900, 27_800, [], { mid: (27_800 + Math.floor(third) - 1) as never }));
    expect(settle(store)).toBe(0);
    store.pushWindow(windowRow(100_901, 27_800, [], { mid: (27_800 + Math.ceil(third) + 2) as never }));
    expect(settle(store)).toBeGreaterThan(5);
    expect(Math.abs(centreOf(store) - (27_800 + Math.ceil(third) + 2))).toBeLessThan(0.6);
  });

  it('reaches its goal in whole steps', () => {
    for (const target of [-1000, -1, 1, 3, 777]) {
      let at = 0;
      let steps = 0;
      while (at !== target && steps++ < 300) at = easeStep(at, target, 16);
      expect(at).toBe(target);
    }
  });

  it('stops after a drag and goes on after Home', () => {
    const store = storeAt(27_800);
    store.actions.pan(50, 20);
    const { leftPx, topPx } = store.snapshot.viewport;
    store.pushWindow(windowRow(100_900, 27_900));
    expect([store.snapshot.viewport.leftPx, store.snapshot.viewport.topPx]).toEqual([leftPx, topPx]);
    store.actions.recentre();
    expect(store.snapshot.viewport.followTime && store.snapshot.viewport.followPrice).toBe(true);
    expect(Math.abs(centreOf(store) - 27_899.5)).toBeLessThan(0.6);
  });

  it('jumps at once after a seek', () => {
    const store = storeAt(27_800);
    store.loadHistory([windowRow(200_000, 28_500)]);
    expect(settle(store)).toBe(0);
    expect(Math.abs(centreOf(store) - 28_499.5)).toBeLessThan(0.6);
    expect(store.snapshot.transport.position).toBe(200_000);
  });
});

describe('zoom', () => {
  it('keeps the second under the pointer when the picture is locked', () => {
    const store = storeAt(27_800);
    store.actions.pan(10, 0);
    const before = store.snapshot.viewport.windowAt(300);
    store.actions.zoomTime(1.7, 300);
    expect(Math.abs(store.snapshot.viewport.windowAt(300) - before)).toBeLessThanOrEqual(1);
  });

  it('keeps the price under the pointer when price is locked', () => {
    const store = storeAt(27_800);
    store.actions.pan(0, 10);
    const before = store.snapshot.viewport.ticksAt(120);
    for (const factor of [1.2, 1.2, 0.5, 0.25]) store.actions.zoomPrice(factor, 120);
    expect(Math.abs(store.snapshot.viewport.ticksAt(120) - before)).toBeLessThanOrEqual(1);
  });

  it('gives whole pixels per tick where there is room, and always moves', () => {
    const store = storeAt(27_800);
    let last = store.snapshot.viewport.pxPerTick;
    for (let k = 0; k < 12; k++) {
      store.actions.zoomPrice(1.2, 100);
      const now = store.snapshot.viewport.pxPerTick;
      expect(now > last || now === 48).toBe(true);
      expect(Number.isInteger(now)).toBe(true);
      last = now;
    }
    expect(tidyScale(2.7)).toBe(2.7);
  });

  it('stays within bounds', () => {
    const store = storeAt(27_800);
    for (let k = 0; k < 60; k++) { store.actions.zoomPrice(0.5, 10); store.actions.zoomTime(0.5, 10); }
    expect(store.snapshot.viewport.pxPerTick).toBe(0.25);
    expect(store.snapshot.viewport.pxPerSecond).toBe(0.25);
  });

  it('shows so many minutes', () => {
    const store = storeAt(27_800);
    for (const minutes of [5, 10, 30]) {
      store.actions.setMinutes(minutes);
      const { viewport, settings } = store.snapshot;
      expect(viewport.widthPx / viewport.pxPerSecond - settings.roomSeconds).toBeCloseTo(minutes * 60, 3);
    }
  });
});

describe('the store', () => {
  it('makes a new snapshot on every change and keeps the old one as it was', () => {
    const store = storeAt(27_800);
    const before = store.snapshot;
    const { windowsReceived } = before.connection;
    store.pushWindow(windowRow(100_900, 27_801));
    expect(store.snapshot).not.toBe(before);
    expect(before.connection.windowsReceived).toBe(windowsReceived);
    expect(store.snapshot.connection.windowsReceived).toBe(windowsReceived + 1);
  });

  it('says how much a change touches', () => {
    const store = storeAt(27_800);
    const seen: number[] = [];
    store.subscribe((level) => seen.push(level));
    store.actions.setCursor({ window: 1 as WindowNo, ticks: 2 as never, x: 3, y: 4 });
    store.pushWindow(windowRow(100_900, 27_800));
    store.actions.setPalette('colour-blind');
    expect(seen[0]).toBe(InvalidateLevel.Cursor);
    expect(seen[1]).toBe(InvalidateLevel.Light);
    expect(seen.at(-1)).toBe(InvalidateLevel.Full);
  });

  it('converts between pixels, ticks and seconds without loss', () => {
    const view = new Viewport({
      widthPx: 900, heightPx: 500, dpr: 2, pxPerTick: 12, pxPerSecond: 2.8, leftPx: 2.8 * 1_767_709_000, topPx: -12 * 27_850,
      followTime: true, followPrice: true,
    });
    for (let y = 0; y < 250; y += 3) expect(Math.abs(view.yOfTicks(view.ticksAt(y)) - y)).toBeLessThanOrEqual(3);
    for (let x = 0; x < 450; x += 3) {
      const window = view.windowAt(x);
      expect(view.xOfSecond(window - 1)).toBeLessThanOrEqual(x + 1e-3);
      expect(view.xOfSecond(window)).toBeGreaterThan(x - 1e-3);
    }
  });
});
