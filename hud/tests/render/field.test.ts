import { describe, expect, it } from 'vitest';
import { History, HISTORY_WINDOWS } from '../../src/model/history';
import { DEFAULT_SETTINGS } from '../../src/model/settings';
import { Viewport } from '../../src/model/viewport';
import { spotTick } from '../../src/render/field';
import { paintField } from '../../src/render/field_canvas';
import { columnsOf, rowsOf } from '../../src/render/geometry';
import { BACKGROUND, LUMA, NO_SPOT } from '../../src/render/look';
import { buildLut, COLOURS } from '../../src/render/palette';
import type { WindowNo } from '../../src/units/time';
import type { Cell } from '../samples/rows';
import { firstDifference, numbers, windowRow } from '../samples/rows';

const BOUNDS = { q05: 2, q95: 4.5 };
const FIRST = 1_767_708_900;

function paint(history: History, view: Viewport, opacity = DEFAULT_SETTINGS.layers): Uint8ClampedArray {
  const spots = Int32Array.from({ length: HISTORY_WINDOWS }, (_, slot) => spotTick(history, slot, NO_SPOT));
  const strips = { widthPx: view.widthPx, columns: columnsOf(view, history), rows: rowsOf(view, 4) };
  const look = { opacity: { ...opacity, grid: 0 }, warm: COLOURS.standard.warm };
  const out = new Uint8ClampedArray(view.widthPx * view.heightPx * 4);
  const all = { x0: 0, x1: view.widthPx, y0: 0, y1: view.heightPx };
  paintField(out, all, strips, look, history, spots, buildLut('standard', BOUNDS, 0.5));
  return out;
}

const same = (a: Uint8ClampedArray, b: Uint8ClampedArray): boolean => firstDifference(a, b) < 0;

function filled(cells: (window: number) => readonly Cell[], spot = (_w: number): number => 27_000): History {
  const history = new History();
  // half an hour, so that no view of these tests sees its ends
  for (let w = FIRST - 700; w < FIRST + 1100; w++) history.push(windowRow(w, spot(w), cells(w)));
  return history;
}

function viewAt(pxPerTick: number, pxPerSecond: number, pan = 0): Viewport {
  const base = new Viewport({
    widthPx: 240, heightPx: 160, dpr: 1, pxPerTick, pxPerSecond, leftPx: 0, topPx: 0, followTime: false, followPrice: false,
  });
  return base.with({
    leftPx: Math.round((FIRST + 200) * pxPerSecond) - 120 + pan, topPx: Math.round(-27_000 * pxPerTick) - 80 + pan,
  });
}

const isGround = (pixels: Uint8ClampedArray, i: number): boolean => (
  pixels[i] === BACKGROUND[0] && pixels[i + 1] === BACKGROUND[1] && pixels[i + 2] === BACKGROUND[2]
);
const lit = (pixels: Uint8ClampedArray): number[] => {
  const found: number[] = [];
  for (let i = 0; i < pixels.length; i += 4) if (!isGround(pixels, i)) found.push(i / 4);
  return found;
};

describe('the field', () => {
  const single = filled((w) => (w === FIRST + 200 ? [
    { plane: 'wall_core_u8', relTicks: 3, u8: 230 }, { plane: 'side_u8', relTicks: 3, u8: 2 },
  ] : []));

  for (const [pxPerTick, pxPerSecond] of [[6, 1.4], [1, 1], [0.5, 0.5], [0.26, 0.26], [0.4, 2], [3, 0.3]] as const) {
    it(`shows a wall of one cell at ${pxPerTick} px per tick and ${pxPerSecond} px per second`, () => {
      const found = lit(paint(single, viewAt(pxPerTick, pxPerSecond)));
      expect(found.length).toBeGreaterThanOrEqual(1);
      if (pxPerTick <= 1 && pxPerSecond <= 1) expect(found).toHaveLength(1);
    });

    it(`leaves that wall where it is in the world while panning at ${pxPerTick} x ${pxPerSecond}`, () => {
      const world = (pan: number): string[] => {
        const view = viewAt(pxPerTick, pxPerSecond, pan);
        const pixels = paint(single, view);
        return lit(pixels).map((i) => {
          const color = Array.from(pixels.slice(4 * i, 4 * i + 3)).join();
          return `${view.leftPx + (i % view.widthPx)},${view.topPx + Math.floor(i / view.widthPx)}:${color}`;
        });
      };
      const still = world(0);
      for (const pan of [-17, -3, -1, 1, 2, 5, 13]) expect(world(pan)).toEqual(still);
    });
  }

  it('takes the largest wall of a pixel, and its side', () => {
    const history = filled((w) => [
      { plane: 'wall_core_u8', relTicks: 2, u8: w % 2 ? 120 : 220 }, { plane: 'side_u8', relTicks: 2, u8: w % 2 ? 1 : 2 },
    ]);
    const alone = filled(() => [{ plane: 'wall_core_u8', relTicks: 2, u8: 220 }, { plane: 'side_u8', relTicks: 2, u8: 2 }]);
    expect(same(paint(history, viewAt(6, 0.5)), paint(alone, viewAt(6, 0.5)))).toBe(true);
    expect(same(paint(history, viewAt(6, 1)), paint(alone, viewAt(6, 1)))).toBe(false);
  });

  it('takes the mean of the vacuum of a pixel', () => {
    const wall: Cell[] = [{ plane: 'wall_core_u8', relTicks: 2, u8: 220 }, { plane: 'side_u8', relTicks: 2, u8: 2 }];
    const every = (u8: (w: number) => number): Uint8ClampedArray => paint(
      filled((w) => [...wall, { plane: 'vacuum_u8', relTicks: 2, u8: u8(w) }]), viewAt(6, 0.5),
    );
    expect(same(every((w) => (w % 2 ? 200 : 0)), every(() => 100))).toBe(true);
    expect(same(every(() => 100), every(() => 200))).toBe(false);
  });

  it('follows spot: a level keeps its place when spot moves', () => {
    const spot = (w: number): number => 27_000 + ((w * 7) % 5) - 2;
    const history = filled(
      (w) => [{ plane: 'wall_core_u8', relTicks: 27_010 - spot(w), u8: 200 }, { plane: 'side_u8', relTicks: 27_010 - spot(w), u8: 2 }],
      spot,
    );
    const view = viewAt(1, 1);
    const rows = new Set(lit(paint(history, view)).map((i) => Math.floor(i / view.widthPx)));
    expect([...rows].map((y) => view.ticksAt(y + 0.5))).toEqual([27_010]);
  });

  it('shows nothing beyond 600 ticks', () => {
    const history = filled(() => [{ plane: 'wall_core_u8', relTicks: 600, u8: 255 }, { plane: 'wall_core_u8', relTicks: -600, u8: 255 }]);
    const view = viewAt(6, 1).with({ topPx: Math.round(-(27_000 + 603) * 6) });
    const ticks = new Set(lit(paint(history, view)).map((i) => view.ticksAt(Math.floor(i / view.widthPx) + 0.5)));
    expect([...ticks]).toEqual([27_600]);
  });

  it('keeps the light of a wall where it erodes', () => {
    const wall: Cell[] = [{ plane: 'wall_core_u8', relTicks: -2, u8: 170 }, { plane: 'side_u8', relTicks: -2, u8: 1 }];
    const quiet = paint(filled(() => wall), viewAt(9, 2));
    const eroding = paint(filled(() => [...wall, { plane: 'vacuum_u8', relTicks: -2, u8: 255 }]), viewAt(9, 2));
    const light = (pixels: Uint8ClampedArray, i: number): number => (
      LUMA[0] * pixels[i]! + LUMA[1] * pixels[i + 1]! + LUMA[2] * pixels[i + 2]!
    );
    let changed = 0;
    for (let i = 0; i < quiet.length; i += 4) {
      if (quiet[i] === eroding[i] && quiet[i + 2] === eroding[i + 2]) continue;
      changed++;
      expect(Math.abs(light(quiet, i) - light(eroding, i))).toBeLessThan(3);
    }
    expect(changed).toBeGreaterThan(100);
  });

  it('greys and hatches invalid seconds, and hatches missing ones', () => {
    const history = new History();
    for (let w = FIRST; w < FIRST + 400; w++) {
      if (w > FIRST + 250 && w < FIRST + 260) continue;
      history.push(windowRow(w, 27_000, [
        { plane: 'wall_core_u8', relTicks: 0, u8: 200 }, { plane: 'side_u8', relTicks: 0, u8: 2 },
      ], { windowValid: w < FIRST + 220 }));
    }
    const view = viewAt(6, 1);
    const pixels = paint(history, view);
    const colours = (window: number): number[][] => Array.from({ length: view.heightPx }, (_, y) => {
      const i = (y * view.widthPx + (window - 1 - view.leftPx)) * 4;
      return Array.from(pixels.slice(i, i + 3));
    });
    const spread = (window: number): number => Math.max(...colours(window).map((c) => Math.max(...c) - Math.min(...c)));
    expect(spread(FIRST + 200)).toBeGreaterThan(60);
    expect(spread(FIRST + 240)).toBeLessThan(60);
    expect(new Set(colours(FIRST + 255).map((c) => c.join())).size).toBe(2);
  });

  it('leaves out layers that are off', () => {
    const cells: Cell[] = [
      { plane: 'wall_core_u8', relTicks: 1, u8: 200 }, { plane: 'side_u8', relTicks: 1, u8: 2 },
      { plane: 'wall_fog_u8', relTicks: -3, u8: 200 }, { plane: 'gex_abs_u8', relTicks: 5, u8: 200 },
      { plane: 'hole_u8', relTicks: 7, u8: 255 },
    ];
    const history = filled(() => cells);
    const off = Object.fromEntries(Object.keys(DEFAULT_SETTINGS.layers).map((name) => [name, 0])) as typeof DEFAULT_SETTINGS.layers;
    const all = lit(paint(history, viewAt(6, 2))).length;
    expect(lit(paint(history, viewAt(6, 2), off))).toHaveLength(0);
    for (const name of ['walls', 'fog', 'gamma', 'holes'] as const) {
      const without = lit(paint(history, viewAt(6, 2), { ...DEFAULT_SETTINGS.layers, [name]: 0 })).length;
      expect(without, name).toBeLessThan(all);
    }
  });
});

describe('pixels that look like their neighbour', () => {
  const next = numbers(11);
  const busy = filled((w) => (w % 9 === 0 ? [] : Array.from({ length: 40 }, (_, k): Cell => ({
    plane: (['wall_core_u8', 'wall_core_u8', 'side_u8', 'side_u8', 'wall_fog_u8', 'vacuum_u8', 'gex_abs_u8', 'hole_u8'] as const)[Math.floor(next() * 8)]!,
    relTicks: k - 20 + Math.floor(next() * 3), u8: k % 4 === 0 ? 255 : Math.floor(next() * 4) * 60,
  }))), (w) => 27_000 + (Math.floor(w / 7) % 3));
  for (let w = FIRST + 150; w < FIRST + 160; w++) busy.flags[History.slot(w as WindowNo)] = 1;

  for (const [pxPerTick, pxPerSecond] of [[6, 1.4], [9, 3], [1, 1], [0.5, 0.6]] as const) {
    it(`are what they are when painted alone, at ${pxPerTick} x ${pxPerSecond}`, () => {
      const view = viewAt(pxPerTick, pxPerSecond);
      const spots = Int32Array.from({ length: HISTORY_WINDOWS }, (_, slot) => spotTick(busy, slot, NO_SPOT));
      const strips = { widthPx: view.widthPx, columns: columnsOf(view, busy), rows: rowsOf(view, 4) };
      const look = { opacity: DEFAULT_SETTINGS.layers, warm: COLOURS.standard.warm };
      const lut = buildLut('standard', BOUNDS, 0.5);
      const [together, alone] = [0, 1].map(() => new Uint8ClampedArray(view.widthPx * view.heightPx * 4)) as [Uint8ClampedArray, Uint8ClampedArray];
      paintField(together, { x0: 0, x1: view.widthPx, y0: 0, y1: view.heightPx }, strips, look, busy, spots, lut);
      for (let y = 0; y < view.heightPx; y++) {
        for (let x = 0; x < view.widthPx; x++) paintField(alone, { x0: x, x1: x + 1, y0: y, y1: y + 1 }, strips, look, busy, spots, lut);
      }
      expect(firstDifference(together, alone)).toBe(-1);
      expect(new Set(new Uint32Array(together.buffer)).size).toBeGreaterThan(30);
    });
  }
});
