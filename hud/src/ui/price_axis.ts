/** Prices at the right edge of the picture: labels that fit, tags for spot, best prices and the crosshair. */
import { InvalidateLevel } from '../model/invalidate';
import { priceKey, Sketch } from './canvas';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { priceText } from './text';

/** Ticks between labels, from fine to coarse: 1, 2 ticks, then 1, 2, 5, 10 .. points. */
function labelStep(pxPerTick: number, ticksPerPoint: number, minPx: number): number {
  for (const ticks of [1, 2]) if (ticks * pxPerTick >= minPx) return ticks;
  for (const points of [1, 2, 5, 10, 25, 50]) if (points * ticksPerPoint * pxPerTick >= minPx) return points * ticksPerPoint;
  return 100 * ticksPerPoint;
}

let page: PanelContext;
let sketch: Sketch;

export const priceAxis: Panel = {
  id: 'price-axis',
  mount(host, context) {
    page = context;
    sketch = new Sketch(host, 'Price axis');
  },
  draw(level) {
    if (level === InvalidateLevel.None) return;
    const { source, viewport, history, cursor, measure } = page.store.snapshot;
    if (source === null || viewport.heightPx <= 1) return;
    const slot = history.slotOf(history.head);
    const touch = slot < 0 ? [] : [history.spot[slot], history.bestBid[slot], history.bestAsk[slot]];
    const sheet = sketch.begin(
      source, cursor?.ticks, measure?.from.ticks, feedsOf(page).profile?.volume.pointOfControl, ...touch, ...priceKey(viewport),
    );
    if (sheet === null) return;
    const { g, width, height } = sheet;
    const { tick } = source;
    const pxPerTick = viewport.pxPerTick / viewport.dpr;
    const fontSize = sketch.size;
    g.font = sketch.font();
    g.textAlign = 'left';
    const step = labelStep(pxPerTick, Math.round(1 / tick.points), fontSize * 1.9);
    const first = Math.ceil(viewport.bottomTicks / step) * step;
    g.fillStyle = sketch.colour('dim');
    // a tag hides what stands beside it: a price half covered is none
    const tags = [touch[0], measure?.from.ticks, cursor?.ticks].filter((ticks) => ticks !== undefined && !Number.isNaN(ticks));
    for (let ticks = first; ticks <= viewport.topTicks; ticks += step) {
      const y = viewport.yOfTicks(ticks);
      g.fillRect(0, Math.round(y), 4, 1);
      if (tags.every((other) => Math.abs(viewport.yOfTicks(other!) - y) >= fontSize * 1.4)) g.fillText(priceText(ticks, tick), 7, y);
    }
    const tag = (ticks: number, fill: string, ink: string, text = priceText(ticks, tick)): void => {
      if (Number.isNaN(ticks)) return;
      const y = Math.min(height - fontSize * 0.75, Math.max(fontSize * 0.75, viewport.yOfTicks(ticks)));
      g.fillStyle = fill;
      g.fillRect(0, y - fontSize * 0.75, width, fontSize * 1.5);
      g.fillStyle = ink;
      g.fillText(text, 7, y + 0.5);
    };
    if (slot >= 0) {
      const [bid, ask] = [history.bestBid[slot]!, history.bestAsk[slot]!];
      for (const [ticks, colour] of [[bid, 'bid'], [ask, 'ask']] as const) {
        if (Number.isNaN(ticks)) continue;
        g.fillStyle = sketch.colour(colour);
        g.fillRect(0, viewport.yOfTicks(ticks) - pxPerTick / 2, 3, Math.max(2, pxPerTick));
      }
      const profile = feedsOf(page).profile;
      if (profile !== null && profile.volume.peakQty > 0) {
        g.fillStyle = sketch.colour('text');
        g.fillRect(width - 4, viewport.yOfTicks(profile.volume.pointOfControl) - 1, 4, 2);
      }
      tag(history.spot[slot]!, sketch.colour('bright'), sketch.colour('bg'));
      sketch.describe(`Price axis, spot ${priceText(history.spot[slot]!, tick)}, best bid ${priceText(bid, tick)}, best ask ${priceText(ask, tick)}`);
    }
    if (measure !== null) tag(measure.from.ticks, sketch.colour('line'), sketch.colour('text'));
    if (cursor !== null) tag(cursor.ticks, sketch.colour('raised'), sketch.colour('bright'));
  },
};
