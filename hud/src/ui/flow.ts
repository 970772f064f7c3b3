/** Below the picture: volume by aggressor per second, and cumulative delta since the trade date's start. */
import { busyQty } from '../model/busy';
import { InvalidateLevel } from '../model/invalidate';
import type { Snapshot } from '../model/snapshot';
import type { WindowNo } from '../units/time';
import { roundUp125, Sketch, timeKey, type Sheet } from './canvas';
import type { Panel, PanelContext } from './panel';
import { StripSketch } from './strip_sketch';
import { lotsText, shortLotsText, signedText } from './text';

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
  sketch.useFont(0.86);
  g.fillStyle = sketch.colour('shade');
  g.fillRect(0, y - 7, sketch.widthOf(text) + 8, 14);
  g.fillStyle = sketch.colour('dim');
  g.fillText(text, 4, y);
}

function flowPanel(): Panel {
  let page: PanelContext;
  let sketch: Sketch;
  let bars: StripSketch;
  return {
    id: 'flow',
    mount(host, context) {
      page = context;
      sketch = new Sketch(host, 'Volume by aggressor');
      bars = new StripSketch(host);
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
      // one burst must not flatten the rest: the largest hundredth may touch the edge, where a bright cap says so
      const scale = roundUp125(busyQty(history, first, last));
      const bar = Math.max(1, pxPerSecond - (pxPerSecond > 3 ? 1 : 0));
      const middle = Math.round(height / 2);
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
      drawCursor(sheet, sketch, snapshot);
      const slot = history.slotOf(readAt(snapshot));
      const [buy, sell] = slot < 0 ? [Number.NaN, Number.NaN] : [history.buyQty[slot]!, history.sellQty[slot]!];
      label(sheet, sketch, `lots/s  buy ${lotsText(buy)}  sell ${lotsText(sell)}`, 8);
      g.textAlign = 'right';
      g.fillText(`±${shortLotsText(scale)}`, width - 3, 8);
      sketch.describe(() => `Volume by aggressor, this second ${lotsText(buy)} lots bought, ${lotsText(sell)} sold`);
    },
  };
}

function deltaPanel(): Panel {
  let page: PanelContext;
  let sketch: Sketch;
  let line: StripSketch;
  return {
    id: 'delta',
    mount(host, context) {
      page = context;
      sketch = new Sketch(host, 'Cumulative delta');
      line = new StripSketch(host);
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
      const { width, height } = sheet;
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
      drawCursor(sheet, sketch, snapshot);
      const text = signedText(at(readAt(snapshot)), lotsText);
      label(sheet, sketch, `cum. delta  ${text}`, 8);
      sketch.describe(() => `Cumulative delta ${text} lots`);
    },
  };
}

export const flow: Panel = flowPanel();
export const delta: Panel = deltaPanel();
