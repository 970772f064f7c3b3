/** New York time under the picture: minute marks, labels that fit, and the hours a trader waits for. */
import { InvalidateLevel } from '../model/invalidate';
import { placeStrip, Strip } from '../render/strip';
import { newYorkMinute, newYorkSecondOfDay, newYorkTime } from '../units/time';
import { Sketch } from './canvas';
import type { Panel, PanelContext } from './panel';

/** Times with a line of their own, seconds of the New York day. */
const MARKED = new Set([8.5, 9.5, 10, 14, 16].map((hour) => hour * 3600));
const LABEL_STEPS = [10, 30, 60, 300, 600, 1800, 3600];

/** Half a label, CSS pixels. */
const EDGE = 24;
const strip = new Strip();
let drawnAnew = 0;

let page: PanelContext;
let sketch: Sketch;

export const timeAxis: Panel = {
  id: 'time-axis',
  mount(host, context) {
    page = context;
    sketch = new Sketch(host, 'Time axis, New York');
  },
  draw(level) {
    if (level === InvalidateLevel.None) return;
    const { viewport, cursor, history } = page.store.snapshot;
    if (history.isEmpty || viewport.widthPx <= 1) return;
    const pxPerSecond = viewport.pxPerSecond / viewport.dpr;
    const step = LABEL_STEPS.find((seconds) => seconds * pxPerSecond >= 70) ?? 3600;
    const minor = step > 300 ? 300 : Math.min(step, 60);
    // the zone's offset is a whole number of minutes: marks on the epoch grid are marks of the clock up to 15 min
    const first = Math.ceil(viewport.leftSecond / minor) * minor;
    const last = Math.floor(viewport.rightSecond / minor) * minor;
    const width = viewport.widthPx / viewport.dpr;
    // labels that would be cut at an edge are left out
    const firstWhole = Math.ceil((viewport.leftPx / viewport.dpr + EDGE) / pxPerSecond / minor) * minor;
    const lastWhole = Math.floor((viewport.leftPx / viewport.dpr + width - EDGE) / pxPerSecond / minor) * minor;
    if (!strip.show(viewport.leftPx, viewport.widthPx) || cursor !== null) drawnAnew++;
    const sheet = sketch.begin(
      drawnAnew, cursor?.window, first, last, firstWhole, lastWhole, viewport.widthPx, viewport.pxPerSecond, viewport.dpr,
    );
    if (sheet === null) {
      // the same marks: most seconds only push them along
      placeStrip(sketch.canvas, strip, viewport.widthPx, viewport.dpr, 0);
      return;
    }
    strip.restart(viewport.leftPx, viewport.widthPx);
    placeStrip(sketch.canvas, strip, viewport.widthPx, viewport.dpr, 0);
    const { g, height } = sheet;
    sketch.useFont();
    g.textAlign = 'center';
    const showSeconds = step < 60;
    const middle = height / 2 + 1.5;
    for (let second = first; second <= last; second += minor) {
      const x = Math.round(viewport.xOfSecond(second) * viewport.dpr) / viewport.dpr;
      const ofDay = newYorkSecondOfDay(second);
      const marked = MARKED.has(ofDay);
      g.fillStyle = sketch.colour(marked ? 'bright' : 'dim');
      g.fillRect(x, 0, 1, marked || ofDay % 300 === 0 ? 5 : 3);
      if ((ofDay % step === 0 || marked) && second >= firstWhole && second <= lastWhole) {
        g.fillText(showSeconds ? newYorkTime(second) : newYorkMinute(second), x, middle);
      }
    }
    if (cursor !== null) {
      const text = newYorkTime(cursor.window);
      const half = g.measureText(text).width / 2 + 5;
      const x = Math.min(width - half, Math.max(half, viewport.xOfSecond(cursor.window - 0.5)));
      g.fillStyle = sketch.colour('raised');
      g.fillRect(x - half, 0, 2 * half, height);
      g.fillStyle = sketch.colour('bright');
      g.fillText(text, x, middle);
    }
  },
};
