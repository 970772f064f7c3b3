import { describe, expect, it } from 'vitest';
import { History, HISTORY_WINDOWS } from '../../src/model/history';
import { DEFAULT_SETTINGS } from '../../src/model/settings';
import { Viewport } from '../../src/model/viewport';
import { spotTick, type FieldFrame } from '../../src/render/field';
import { paintField } from '../../src/render/field_canvas';
import { columnsOf, rowsOf } from '../../src/render/geometry';
import { NO_SPOT } from '../../src/render/look';
import { buildLut, COLOURS } from '../../src/render/palette';
import { Torus, wrap } from '../../src/render/torus';
import { firstDifference, numbers, windowRow, type Cell } from '../samples/rows';

const FIRST = 1_767_708_900;
const LUT = buildLut('standard', { q05: 2, q95: 5 }, 0.5);

function frameOf(view: Viewport, history: History): FieldFrame {
  return {
    widthPx: view.widthPx, heightPx: view.heightPx, dpr: 1, leftPx: view.leftPx, topPx: view.topPx,
    key: `${view.pxPerTick} ${view.pxPerSecond}`, columns: columnsOf(view, history), rows: rowsOf(view, 4), fresh: null,
    opacity: DEFAULT_SETTINGS.layers, warm: COLOURS.standard.warm,
  };
}

const spotsOf = (history: History): Int32Array => (
  Int32Array.from({ length: HISTORY_WINDOWS }, (_, slot) => spotTick(history, slot, NO_SPOT))
);

/** The whole frame, painted without memory. */
function plain(frame: FieldFrame, history: History): Uint8ClampedArray {
  const out = new Uint8ClampedArray(frame.widthPx * frame.heightPx * 4);
  paintField(out, { x0: 0, x1: frame.widthPx, y0: 0, y1: frame.heightPx }, frame, frame, history, spotsOf(history), LUT);
  return out;
}

describe('the torus', () => {
  it('wraps to places from 0 on', () => {
    expect([wrap(-1, 7), wrap(7, 7), wrap(-700_000_000_003, 7)]).toEqual([6, 0, wrap(-700_000_000_003 + 7e11 + 7, 7)]);
  });

  for (const [pxPerTick, pxPerSecond] of [[6, 1.4], [0.4, 0.6], [3, 5]] as const) {
    it(`shows what a painter without memory shows, at ${pxPerTick} x ${pxPerSecond}`, () => {
      const next = numbers(3);
      const history = new History();
      let head = FIRST;
      const push = (): number[] => {
        head += next() < 0.05 ? 4 : 1;
        const cells: Cell[] = [];
        for (let k = 0; k < 40; k++) {
          const plane = (['wall_core_u8', 'wall_fog_u8', 'vacuum_u8', 'hole_u8', 'gex_abs_u8', 'side_u8'] as const)[Math.floor(next() * 6)]!;
          const u8 = plane === 'side_u8' ? 2 : plane === 'hole_u8' ? 255 : Math.floor(next() * 256);
          cells.push({ plane, relTicks: Math.floor(next() * 40) - 20, u8 });
        }
        return history.push(windowRow(head, 1000 + Math.floor(next() * 3), cells, { windowValid: next() > 0.1 }));
      };
      for (let k = 0; k < 300; k++) push();
      const torus = new Torus();
      let view = new Viewport({
        widthPx: 90, heightPx: 60, dpr: 1, pxPerTick, pxPerSecond, leftPx: Math.round(head * pxPerSecond) - 70,
        topPx: Math.round(-1000 * pxPerTick) - 30, followTime: true, followPrice: true,
      });
      const held = new Uint8ClampedArray(90 * 60 * 4);
      let repainted = 0;
      for (let step = 0; step < 60; step++) {
        const roll = next();
        if (roll < 0.5) torus.changed(push(), history.planes.hole_u8);
        else if (roll < 0.9) view = view.with({ leftPx: view.leftPx + Math.floor(next() * 9) - 4, topPx: view.topPx + Math.floor(next() * 7) - 3 });
        else if (roll < 0.95) view = view.with({ pxPerSecond: view.pxPerSecond === pxPerSecond ? pxPerSecond * 2 : pxPerSecond });
        else { history.rewind((head -= 5) as typeof history.head); torus.changed('all', history.planes.hole_u8); }
        const frame = frameOf(view, history);
        const rects = torus.update(frame);
        for (const rect of rects) {
          paintField(held, rect, torus, frame, history, spotsOf(history), LUT);
          repainted += (rect.x1 - rect.x0) * (rect.y1 - rect.y0);
        }
        const wanted = plain(frame, history);
        const shown = new Uint8ClampedArray(wanted.length);
        for (let y = 0; y < 60; y++) {
          for (let x = 0; x < 90; x++) {
            const from = (wrap(view.topPx + y, 60) * 90 + wrap(view.leftPx + x, 90)) * 4;
            shown.set(held.subarray(from, from + 4), (y * 90 + x) * 4);
          }
        }
        expect(firstDifference(shown, wanted), `step ${step}`).toBe(-1);
      }
      expect(repainted).toBeLessThan(60 * 90 * 60 * 0.6);
    });
  }
});
