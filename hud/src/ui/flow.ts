/** Below the picture: volume by aggressor per second, and cumulative delta since the trade date's start. */
import { HISTORY_WINDOWS } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import type { Snapshot } from '../model/snapshot';
import type { WindowNo } from '../units/time';
import { roundUp125, Sketch, timeKey, type Sheet } from './canvas';
import type { Panel, PanelContext } from './panel';
import { lotsText, shortLotsText, signedText } from './text';

/** Lots of the seconds shown, for their 99th hundredth. */
const sizes = new Int32Array(2 * HISTORY_WINDOWS);

/** Window of the crosshair, or the head. */
function readAt({ cursor, history }: Snapshot): WindowNo {
  return cursor !== null && cursor.window <= history.head && cursor.window >= history.oldest ? cursor.window : history.head;
}

function drawCursor(sheet: Sheet, sketch: Sketch, { cursor, viewport }: Snapshot): void {
  if (cursor === null) return;
  sheet.g.fillStyle = sketch.colour('dim');
  sheet.g.fillRect(Math.round(viewport.xOfSecond(cursor.window - 0.5)), 0, 1, sheet.height);
}

function label(sheet: Sheet, sketch: Sketch, text: string, y: number): void {
  const { g } = sheet;
  g.textAlign = 'left';
  g.font = sketch.font(0.86);
  g.fillStyle = sketch.colour('shade');
  g.fillRect(0, y - 7, g.measureText(text).width + 8, 14);
  g.fillStyle = sketch.colour('dim');
  g.fillText(text, 4, y);
}

function flowPanel(): Panel {
  let page: PanelContext;
  let sketch: Sketch;
  return {
    id: 'flow',
    mount(host, context) {
      page = context;
      sketch = new Sketch(host, 'Volume by aggressor');
      host.title = 'Lots traded per second: aggressive buyers up, aggressive sellers down. Where several seconds share a pixel, their largest stands. A bright cap: beyond the scale.';
    },
    draw(level) {
      if (level === InvalidateLevel.None) return;
      const { snapshot } = page.store;
      const { history, viewport } = snapshot;
      if (history.isEmpty || viewport.widthPx <= 1) return;
      const sheet = sketch.begin(history.version, snapshot.cursor?.window, ...timeKey(viewport));
      if (sheet === null) return;
      const { g, width, height } = sheet;
      const pxPerSecond = viewport.pxPerSecond / viewport.dpr;
      const first = Math.max(history.oldest, Math.floor(viewport.leftSecond));
      const last = Math.min(history.head, Math.ceil(viewport.rightSecond) + 1);
      let count = 0;
      for (let w = first; w <= last; w++) {
        const slot = history.slotOf(w as WindowNo);
        // quiet seconds say nothing about the size of busy ones
        if (slot < 0) continue;
        for (const qty of [history.buyQty[slot]!, history.sellQty[slot]!]) if (qty > 0) sizes[count++] = qty;
      }
      const rising = sizes.subarray(0, count).sort();
      // one burst must not flatten the rest: the largest hundredth may touch the edge, where a bright cap says so
      const scale = roundUp125(rising[Math.floor((count - 1) * 0.99)] ?? 0);
      const middle = Math.round(height / 2);
      const bar = Math.max(1, pxPerSecond - (pxPerSecond > 3 ? 1 : 0));
      g.fillStyle = sketch.colour('line');
      g.fillRect(0, middle, width, 1);
      // one path per colour: a colour is slow to set
      const paths = { bid: new Path2D(), ask: new Path2D(), bright: new Path2D() };
      for (let w = first; w <= last; w++) {
        const slot = history.slotOf(w as WindowNo);
        if (slot < 0) continue;
        const [buy, sell] = [history.buyQty[slot]!, history.sellQty[slot]!];
        if (buy + sell === 0) continue;
        const x = viewport.xOfSecond(w - 1);
        const up = Math.min(1, buy / scale) * middle;
        const down = Math.min(1, sell / scale) * (height - middle - 1);
        if (buy > 0) paths.bid.rect(x, middle - up, bar, up);
        if (sell > 0) paths.ask.rect(x, middle + 1, bar, down);
        if (buy > scale) paths.bright.rect(x, 0, bar, 2);
        if (sell > scale) paths.bright.rect(x, height - 2, bar, 2);
      }
      for (const [colour, path] of Object.entries(paths)) {
        g.fillStyle = sketch.colour(colour);
        g.fill(path);
      }
      drawCursor(sheet, sketch, snapshot);
      const slot = history.slotOf(readAt(snapshot));
      const [buy, sell] = slot < 0 ? [Number.NaN, Number.NaN] : [history.buyQty[slot]!, history.sellQty[slot]!];
      label(sheet, sketch, `lots/s  buy ${lotsText(buy)}  sell ${lotsText(sell)}`, 8);
      g.textAlign = 'right';
      g.fillText(`±${shortLotsText(scale)}`, width - 3, 8);
      sketch.describe(`Volume by aggressor, this second ${lotsText(buy)} lots bought, ${lotsText(sell)} sold`);
    },
  };
}

function deltaPanel(): Panel {
  let page: PanelContext;
  let sketch: Sketch;
  return {
    id: 'delta',
    mount(host, context) {
      page = context;
      sketch = new Sketch(host, 'Cumulative delta');
      host.title = 'Lots bought less lots sold by aggressors since the trade date\'s start.';
    },
    draw(level) {
      if (level === InvalidateLevel.None) return;
      const { snapshot } = page.store;
      const { history, viewport, day } = snapshot;
      if (history.isEmpty || viewport.widthPx <= 1) return;
      const sheet = sketch.begin(history.version, day, snapshot.cursor?.window, ...timeKey(viewport));
      if (sheet === null) return;
      if (day === null) return label(sheet, sketch, 'cumulative delta: waiting for the day', 8);
      const { g, width, height } = sheet;
      // the overview knows the whole day; what a replay has not reached yet is not drawn
      const head = Math.min(history.head, day.firstWindow + day.windows - 1);
      const first = Math.max(day.firstWindow, Math.floor(viewport.leftSecond));
      const last = Math.min(head, Math.ceil(viewport.rightSecond) + 1);
      const at = (w: number): number => day.cumDelta[w - day.firstWindow] ?? Number.NaN;
      let [low, high] = [Infinity, -Infinity];
      for (let w = first; w <= last; w++) {
        low = Math.min(low, at(w));
        high = Math.max(high, at(w));
      }
      if (low <= high) {
        const span = Math.max(roundUp125((high - low) * 1.1), 10);
        const middle = (low + high) / 2;
        const y = (value: number): number => height / 2 - ((value - middle) / span) * (height - 6);
        const zero = y(0);
        if (zero > 0 && zero < height) {
          g.fillStyle = sketch.colour('line');
          g.fillRect(0, Math.round(zero), width, 1);
        }
        g.strokeStyle = sketch.colour('text');
        g.lineWidth = 1.25;
        g.beginPath();
        for (let w = first; w <= last; w++) {
          const x = viewport.xOfSecond(w - 0.5);
          if (w === first) g.moveTo(x, y(at(w)));
          else g.lineTo(x, y(at(w)));
        }
        g.stroke();
      }
      drawCursor(sheet, sketch, snapshot);
      const text = signedText(at(readAt(snapshot)), lotsText);
      label(sheet, sketch, `cum. delta  ${text}`, 8);
      sketch.describe(`Cumulative delta ${text} lots`);
    },
  };
}

export const flow: Panel = flowPanel();
export const delta: Panel = deltaPanel();
