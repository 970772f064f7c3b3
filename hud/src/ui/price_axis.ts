/** Prices at the right edge of the picture: labels that fit, tags for spot, best prices and the crosshair. */
import { InvalidateLevel } from '../model/invalidate';
import { Made } from '../model/made';
import { priceKey, Sketch, type Sheet } from './canvas';
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
    const isHeld = slot >= 0;
    const [spot, bid, ask] = isHeld ? [history.spot[slot]!, history.bestBid[slot]!, history.bestAsk[slot]!] : [Number.NaN, Number.NaN, Number.NaN];
    const volume = feedsOf(page).profile?.volume;
    const pointOfControl = isHeld && volume !== undefined && volume.peakQty > 0 ? volume.pointOfControl : Number.NaN;
    // what stands on the axis besides its labels, each at its price; NaN: not there
    const marks = [spot, bid, ask, pointOfControl, measure?.from.ticks ?? Number.NaN, cursor?.ticks ?? Number.NaN];
    const sheet = sketch.resume(source, isHeld, ...marks, ...priceKey(viewport));
    if (sheet === null) return;
    const { g, height } = sheet;
    const fontSize = sketch.size;
    sketch.useFont();
    g.textAlign = 'left';
    if (!placed.isFrom(source, ...priceKey(viewport)) || sheet.isBare) {
      drawBetween(sheet, marks, -Infinity, Infinity);
    } else {
      // a mark that came, went or moved concerns its own surroundings: its tag, and the labels it hides
      const far = Math.max(fontSize * 2.5, viewport.pxPerTick / viewport.dpr);
      const stretches: [number, number][] = [];
      for (let i = 0; i < marks.length; i++) {
        if (Object.is(marks[i], marksDrawn[i])) continue;
        for (const ticks of [marksDrawn[i]!, marks[i]!]) {
          if (Number.isNaN(ticks)) continue;
          // a tag beyond the edge stands at the edge
          const y = Math.min(height, Math.max(0, viewport.yOfTicks(ticks)));
          stretches.push([Math.floor(y - far), Math.ceil(y + far)]);
        }
      }
      for (const [from, to] of merged(stretches)) drawBetween(sheet, marks, from, to);
    }
    marksDrawn = marks;
    if (isHeld) sketch.describe(() => `Price axis, spot ${priceText(spot, source.tick)}, best bid ${priceText(bid, source.tick)}, best ask ${priceText(ask, source.tick)}`);
  },
};

const placed = new Made();
let marksDrawn: readonly number[] = [];

/** Stretches that touch, together. */
export function merged(stretches: readonly (readonly [from: number, to: number])[]): [from: number, to: number][] {
  const found: [number, number][] = [];
  for (const [from, to] of [...stretches].sort((a, b) => a[0] - b[0])) {
    const last = found.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else found.push([from, to]);
  }
  return found;
}

/** Everything that touches the stretch [from, to) of the axis, CSS pixels, on an empty ground and clipped to it. */
function drawBetween({ g, width, height }: Sheet, marks: readonly number[], from: number, to: number): void {
  const { source, viewport } = page.store.snapshot;
  const { tick } = source!;
  const [spot, bid, ask, pointOfControl, measured, pointed] = marks as [number, number, number, number, number, number];
  const pxPerTick = viewport.pxPerTick / viewport.dpr;
  const fontSize = sketch.size;
  const top = Math.max(0, from);
  const bottom = Math.min(height, to);
  const touches = (y: number, half: number): boolean => y + half > top && y - half < bottom;
  g.save();
  g.beginPath();
  g.rect(0, top, width, bottom - top);
  g.clip();
  g.clearRect(0, top, width, bottom - top);
  const step = labelStep(pxPerTick, Math.round(1 / tick.points), fontSize * 1.9);
  g.fillStyle = sketch.colour('dim');
  // a tag hides what stands beside it: a price half covered is none
  const tags = [spot, measured, pointed].filter((ticks) => !Number.isNaN(ticks));
  for (let ticks = Math.ceil(viewport.bottomTicks / step) * step; ticks <= viewport.topTicks; ticks += step) {
    const y = viewport.yOfTicks(ticks);
    if (!touches(y, fontSize)) continue;
    g.fillRect(0, Math.round(y), 4, 1);
    if (tags.every((other) => Math.abs(viewport.yOfTicks(other) - y) >= fontSize * 1.4)) g.fillText(priceText(ticks, tick), 7, y);
  }
  for (const [ticks, colour] of [[bid, 'bid'], [ask, 'ask']] as const) {
    const y = viewport.yOfTicks(ticks);
    if (Number.isNaN(ticks) || !touches(y, pxPerTick + 2)) continue;
    g.fillStyle = sketch.colour(colour);
    g.fillRect(0, y - pxPerTick / 2, 3, Math.max(2, pxPerTick));
  }
  if (!Number.isNaN(pointOfControl)) {
    g.fillStyle = sketch.colour('text');
    g.fillRect(width - 4, viewport.yOfTicks(pointOfControl) - 1, 4, 2);
  }
  const tag = (ticks: number, fill: string, ink: string): void => {
    const y = Math.min(height - fontSize * 0.75, Math.max(fontSize * 0.75, viewport.yOfTicks(ticks)));
    if (Number.isNaN(ticks) || !touches(y, fontSize)) return;
    g.fillStyle = sketch.colour(fill);
    g.fillRect(0, y - fontSize * 0.75, width, fontSize * 1.5);
    g.fillStyle = sketch.colour(ink);
    g.fillText(priceText(ticks, tick), 7, y + 0.5);
  };
  tag(spot, 'bright', 'bg');
  tag(measured, 'line', 'text');
  tag(pointed, 'raised', 'bright');
  g.restore();
}
