/** What is painted second by second equals what is painted afresh, pixel by pixel, whatever happened before. */
import { describe, expect, it } from 'vitest';
import { leftOfHead } from '../../src/model/follow';
import { History } from '../../src/model/history';
import { DEFAULT_SETTINGS } from '../../src/model/settings';
import { Viewport } from '../../src/model/viewport';
import type { FieldFrame } from '../../src/render/field';
import { CanvasField } from '../../src/render/field_canvas';
import { FrameStrips } from '../../src/render/frame_strips';
import { columnsOf, rowsOf } from '../../src/render/geometry';
import { buildLut, COLOURS } from '../../src/render/palette';
import { Strip } from '../../src/render/strip';
import type { WindowNo } from '../../src/units/time';
import { FakeCanvas } from '../samples/canvas';
import { firstDifference, numbers, windowRow, type Cell } from '../samples/rows';

const FIRST = 1_767_708_900;
const LUT = buildLut('standard', { q05: 2, q95: 5 }, 0.5);

function cells(next: () => number): Cell[] {
  const planes = ['wall_core_u8', 'wall_fog_u8', 'vacuum_u8', 'gex_abs_u8', 'hole_u8'] as const;
  return Array.from({ length: 14 }, () => ({
    plane: planes[Math.floor(next() * planes.length)]!, relTicks: Math.floor(next() * 40) - 20, u8: Math.floor(next() * 256),
  }));
}

/** A page's life in miniature: seconds mostly; gaps, seeks, older parts, pans, zooms, other sizes now and then. */
class Life {
  readonly history = new History();
  view = new Viewport({
    widthPx: 180, heightPx: 90, dpr: 1, pxPerTick: 3, pxPerSecond: 1.4, leftPx: 0, topPx: -27_000 * 3 - 45, followTime: true, followPrice: true,
  });
  opacity = DEFAULT_SETTINGS.layers;
  private now = FIRST;
  private spot = 27_000;

  constructor(private readonly next: () => number) {
    for (let k = 0; k < 40; k++) this.second();
  }

  private second(): void {
    this.now++;
    if (this.next() < 0.1) this.spot += this.next() < 0.5 ? 1 : -1;
    this.history.push(windowRow(this.now, this.spot, cells(this.next), { windowValid: this.next() > 0.05, phase: this.next() > 0.03 ? 2 : 1 }));
    if (this.view.followTime) this.view = this.view.with({ leftPx: leftOfHead(this.view, this.now as WindowNo, 20) });
  }

  /** Returns the slots that changed, 'all' after a jump. */
  step(): readonly number[] | 'all' {
    const { next, history, view } = this;
    const kind = next();
    if (kind < 0.78) {
      const before = this.now;
      if (next() < 0.06) this.now += Math.floor(next() * 4); // seconds left out
      const count = next() < 0.1 ? 3 : 1;
      for (let k = 0; k < count; k++) this.second();
      return Array.from({ length: this.now - before }, (_, k) => (before + 1 + k) % 1800);
    }
    if (kind < 0.82) {
      this.now = Math.max(FIRST + 1, this.now - Math.floor(next() * 30));
      history.rewind(this.now as WindowNo);
      if (history.isEmpty) this.second();
      this.view = view.with({ leftPx: leftOfHead(view, history.head, 20), followTime: true });
      return 'all';
    }
    if (kind < 0.87) this.view = view.with({ leftPx: view.leftPx + Math.floor((next() - 0.5) * 300), followTime: false });
    else if (kind < 0.9) this.view = view.with({ topPx: view.topPx + Math.floor((next() - 0.5) * 40) });
    else if (kind < 0.93) this.view = view.with({ pxPerSecond: [0.4, 1, 1.4, 3.3][Math.floor(next() * 4)]!, followTime: true });
    else if (kind < 0.95) {
      const pxPerTick = [0.5, 3, 6][Math.floor(next() * 3)]!;
      this.view = view.with({ pxPerTick, topPx: -27_000 * pxPerTick - 40 });
    } else if (kind < 0.97) this.view = view.with({ widthPx: 120 + Math.floor(next() * 120), heightPx: 60 + Math.floor(next() * 60) });
    else this.opacity = { ...this.opacity, walls: next(), gammaBands: next() < 0.5 ? 0 : 0.6 };
    if (this.view.followTime) this.view = this.view.with({ leftPx: leftOfHead(this.view, history.head, 20) });
    return [];
  }

  frame(columns: Int32Array, rows: Int32Array, fresh: FieldFrame['fresh']): FieldFrame {
    const { view, opacity } = this;
    return {
      widthPx: view.widthPx, heightPx: view.heightPx, dpr: view.dpr, leftPx: view.leftPx, topPx: view.topPx,
      key: [view.pxPerTick, view.pxPerSecond, ...Object.values(opacity)].join(), columns, rows, fresh, opacity, warm: COLOURS.standard.warm,
    };
  }
}

function fieldOn(canvas: FakeCanvas): CanvasField {
  const field = new CanvasField(canvas as unknown as HTMLCanvasElement);
  field.setLut(LUT);
  return field;
}

describe('painting second by second', () => {
  for (const seed of [1, 2, 3]) {
    it(`equals painting afresh over random seconds, seeks, pans, zooms and sizes (${seed})`, () => {
      const life = new Life(numbers(seed));
      const canvas = new FakeCanvas();
      const field = fieldOn(canvas);
      const strips = new FrameStrips();
      field.upload(life.history, 'all');
      let moved = 0;
      for (let step = 0; step < 260; step++) {
        const slots = life.step();
        field.upload(life.history, slots);
        const { view, history } = life;
        const before = canvas.put;
        field.draw(life.frame(strips.columnsFor(view, history), strips.rowsFor(view, 4), strips.fresh));
        if (canvas.put - before < view.widthPx * view.heightPx / 2) moved++;
        const afresh = fieldOn(new FakeCanvas());
        afresh.upload(history, 'all');
        afresh.draw(life.frame(columnsOf(view, history), rowsOf(view, 4), null));
        expect(firstDifference(field.readPixels(), afresh.readPixels()), `step ${step}`).toBe(-1);
      }
      expect(moved, 'most frames paint less than half of the picture').toBeGreaterThan(150);
    });
  }

  it('keeps the columns of a view as they are made afresh, the ring full and its oldest second in sight', () => {
    const life = new Life(numbers(7));
    const strips = new FrameStrips();
    life.view = life.view.with({ widthPx: 900, pxPerSecond: 0.45 });
    let past = 0;
    for (let step = 0; step < 2600; step++) {
      life.step();
      const { view, history } = life;
      const kept = strips.columnsFor(view, history);
      if (step % 3 === 0 || step > 2300) expect(firstDifference(kept, columnsOf(view, history)), `step ${step}`).toBe(-1);
      if (history.oldest > view.leftSecond) past++;
    }
    expect(past).toBeGreaterThan(100);
  }, 60_000);
});

describe('a strip', () => {
  it('is pushed along while its spare pixels last, and begun anew after', () => {
    const strip = new Strip();
    expect(strip.show(1000, 300)).toBe(false);
    expect(strip.canvasPx).toBeGreaterThan(300);
    expect(strip.show(1007, 300)).toBe(true);
    expect(strip.offsetPx).toBe(7);
    expect(strip.show(999, 300), 'nothing lies left of its origin').toBe(false);
    expect(strip.offsetPx).toBe(0);
    const room = strip.canvasPx - 300;
    expect(strip.show(999 + room, 300)).toBe(true);
    expect(strip.show(1000 + room, 300)).toBe(false);
    expect(strip.show(1000 + room, 301), 'another size').toBe(false);
  });
});
