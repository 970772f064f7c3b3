/** Below the picture: volume by aggressor per second, and cumulative delta since the trade date's start. */
import { busyQty } from '../model/busy';
import { InvalidateLevel } from '../model/invalidate';
import { Made } from '../model/made';
import type { Snapshot } from '../model/snapshot';
import type { WindowNo } from '../units/time';
import { roundUp125, Sketch, timeKey } from './canvas';
import { element as el, setText } from './dom';
import type { Panel, PanelContext } from './panel';
import { StripSketch } from './strip_sketch';
import { lotsText, shortLotsText, signedText } from './text';

/** Window of the crosshair, or the head. */
function readAt({ cursor, history }: Snapshot): WindowNo {
  return cursor !== null && cursor.window <= history.head && cursor.window >= history.oldest ? cursor.window : history.head;
}

/** Over a strip: the crosshair's second, and a note at the right edge. */
function drawOver(sketch: Sketch, { cursor, viewport }: Snapshot, note: string): void {
  const x = cursor === null ? Number.NaN : Math.round(viewport.xOfSecond(cursor.window - 0.5));
  const sheet = sketch.begin(x, note);
  if (sheet === null) return;
  const { g, width, height } = sheet;
  g.fillStyle = sketch.colour('dim');
  if (!Number.isNaN(x)) g.fillRect(x, 0, 1, height);
  if (note === '') return;
  sketch.useFont(0.86);
  g.textAlign = 'right';
  g.fillText(note, width - 3, 8);
}

/** Numbers of a second over a strip. In the document, not on the canvas: a canvas works out each text anew. */
function makeLabel(host: HTMLElement): HTMLElement {
  const label = el('output', { class: 'strip-label', 'aria-hidden': 'true' }); // the canvas says it to those who do not see
  host.append(label);
  return label;
}

function flowPanel(): Panel {
  let page: PanelContext;
  let sketch: Sketch;
  let bars: StripSketch;
  let label: HTMLElement;
  const made = new Made();
  return {
    id: 'flow',
    mount(host, context) {
      page = context;
      sketch = new Sketch(host, 'Volume by aggressor');
      bars = new StripSketch(host);
      label = makeLabel(host);
      host.title = 'Lots traded per second: aggressive buyers up, aggressive sellers down. Where several seconds share a pixel, their largest stands. A bright cap: beyond the scale.';
    },
    draw(level) {
      if (level === InvalidateLevel.None) return;
      const { snapshot } = page.store;
      const { history, viewport } = snapshot;
      if (history.isEmpty || viewport.widthPx <= 1) return;
      const { room } = sketch;
      if (room === null || made.isFrom(history.version, snapshot.cursor?.window, snapshot.settings.palette, room, ...timeKey(viewport))) return;
      const { width, height } = room;
      const pxPerSecond = viewport.pxPerSecond / viewport.dpr;
      const first = Math.max(history.oldest, Math.floor(viewport.leftSecond));
      const last = Math.min(history.head, Math.ceil(viewport.rightSecond) + 1);
      // one burst must not flatten the rest: the largest hundredth may touch the edge, where a bright cap says so
      const scale = roundUp125(busyQty(history, first, last));
      const bar = Math.max(1, pxPerSecond - (pxPerSecond > 3 ? 1 : 0));
      const middle = Math.round(height / 2);
      drawOver(sketch, snapshot, `±${shortLotsText(scale)}`);
      bars.show(viewport, height, first, last, [scale, history.jumps, history.fills, snapshot.settings.palette], (part) => {
        part.g.fillStyle = sketch.colour('line');
        part.g.fillRect(-width, middle, 3 * width, 1);
        for (const colour of ['bid', 'ask', 'bright'] as const) {
          part.g.fillStyle = sketch.colour(colour);
          part.g.beginPath(); // one path per colour: a colour is slow to set
          for (let w = part.first; w <= part.last; w++) {
            const slot = history.slotOf(w as WindowNo);
            if (slot < 0) continue;
            const buy = history.buyQty[slot]!;
            const sell = history.sellQty[slot]!;
            const x = viewport.xOfSecond(w - 1);
            const up = Math.min(1, buy / scale) * middle;
            const down = Math.min(1, sell / scale) * (height - middle - 1);
            if (colour === 'bid' && buy > 0) part.g.rect(x, middle - up, bar, up);
            else if (colour === 'ask' && sell > 0) part.g.rect(x, middle + 1, bar, down);
            else if (colour === 'bright') {
              if (buy > scale) part.g.rect(x, 0, bar, 2);
              if (sell > scale) part.g.rect(x, height - 2, bar, 2);
            }
          }
          part.g.fill();
        }
      });
      const slot = history.slotOf(readAt(snapshot));
      const buy = slot < 0 ? Number.NaN : history.buyQty[slot]!;
      const sell = slot < 0 ? Number.NaN : history.sellQty[slot]!;
      setText(label, `lots/s  buy ${lotsText(buy)}  sell ${lotsText(sell)}`);
      sketch.describe(() => `Volume by aggressor, this second ${lotsText(buy)} lots bought, ${lotsText(sell)} sold`);
    },
  };
}

function deltaPanel(): Panel {
  let page: PanelContext;
  let sketch: Sketch;
  let line: StripSketch;
  let label: HTMLElement;
  const made = new Made();
  return {
    id: 'delta',
    mount(host, context) {
      page = context;
      sketch = new Sketch(host, 'Cumulative delta');
      line = new StripSketch(host);
      label = makeLabel(host);
      host.title = 'Lots bought less lots sold by aggressors since the trade date\'s start.';
    },
    draw(level) {
      if (level === InvalidateLevel.None) return;
      const { snapshot } = page.store;
      const { history, viewport, day } = snapshot;
      if (history.isEmpty || viewport.widthPx <= 1) return;
      const { room } = sketch;
      if (room === null || made.isFrom(history.version, day, snapshot.cursor?.window, snapshot.settings.palette, room, ...timeKey(viewport))) return;
      drawOver(sketch, snapshot, '');
      if (day === null) {
        // another version of the data: nothing of the one before may stand
        line.show(viewport, room.height, 0, -1, [null], () => {});
        sketch.describe(() => 'Cumulative delta, waiting for the day');
        return setText(label, 'cumulative delta: waiting for the day');
      }
      const { width, height } = room;
      // the overview knows the whole day; what a replay has not reached yet is not drawn
      const head = Math.min(history.head, day.firstWindow + day.windows - 1);
      const first = Math.max(day.firstWindow, Math.floor(viewport.leftSecond));
      const last = Math.min(head, Math.ceil(viewport.rightSecond) + 1);
      const { cumDelta, firstWindow } = day;
      const at = (w: number): number => cumDelta[w - firstWindow] ?? Number.NaN;
      let low = Infinity;
      let high = -Infinity;
      for (let i = first - firstWindow; i <= last - firstWindow; i++) {
        const value = cumDelta[i]!;
        if (value < low) low = value;
        if (value > high) high = value;
      }
      const span = Math.max(roundUp125((high - low) * 1.1), 10);
      const middle = (low + high) / 2;
      line.show(viewport, height, first, last, [low, high, day, history.jumps, snapshot.settings.palette], ({ g, ...part }) => {
        if (!(low <= high)) return;
        const y = (value: number): number => height / 2 - ((value - middle) / span) * (height - 6);
        const zero = y(0);
        if (zero > 0 && zero < height) {
          g.fillStyle = sketch.colour('line');
          g.fillRect(-width, Math.round(zero), 3 * width, 1);
        }
        g.strokeStyle = sketch.colour('text');
        g.lineWidth = 1.25;
        g.beginPath();
        for (let w = part.first; w <= part.last; w++) {
          const x = viewport.xOfSecond(w - 0.5);
          if (w === part.first) g.moveTo(x, y(at(w)));
          else g.lineTo(x, y(at(w)));
        }
        g.stroke();
      });
      const text = signedText(at(readAt(snapshot)), lotsText);
      setText(label, `cum. delta  ${text}`);
      sketch.describe(() => `Cumulative delta ${text} lots`);
    },
  };
}

export const flow: Panel = flowPanel();
export const delta: Panel = deltaPanel();
