/**
 * What lies over the field: trades, best prices, spot and mid, VWAP, reference levels; and, on a canvas above, the
 * crosshair and the measuring tool. Lines and dots are drawn by the 2d canvas with either field renderer, so they
 * are the same pixels by construction.
 */
import { BOOK_VALID, HISTORY_WINDOWS, History, PRESENT, type HistoryView } from '../model/history';
import { Made } from '../model/made';
import { HUD_ROWS, SPOT_ROW, lotsOfFillByte } from '../model/planes';
import type { ReferenceLevel, Snapshot } from '../model/snapshot';
import type { ViewportView } from '../model/viewport';
import type { WindowNo } from '../units/time';
import { COLOURS, css } from './palette';
import { BACKGROUND, type Rgb } from './look';
import { placeStrip, Strip } from './strip';
import { wrap } from './torus';

/** Radius of a trade dot: its area grows with the lots; CSS pixels at one lot, and at most. */
const DOT_AT_ONE_LOT = 0.42;
const DOT_LEAST = 0.7;
const DOT_MOST = 12;
const FILL_LOTS = Float64Array.from({ length: 256 }, (_, u8) => lotsOfFillByte(u8));

/** Radius in CSS pixels of a dot of that many lots. */
export function dotRadius(lots: number): number {
  return Math.min(DOT_MOST, Math.max(DOT_LEAST, DOT_AT_ONE_LOT * Math.sqrt(lots)));
}

/** How far a line is seen beside its points: half its width, a joint, a rounded pixel; CSS pixels. */
const LINE_REACH = 3;

/** Seconds whose dots stand together, because they share a pixel. */
function togetherOf(view: ViewportView): number {
  return Math.max(1, Math.floor(1 / view.pxPerSecond));
}

/** Windows from first to last, both meant. */
export interface WindowRange {
  readonly first: number;
  readonly last: number;
}

/** First and last window that is held and lies in the view, one more on each side. */
export function visibleWindows(view: ViewportView, history: HistoryView): WindowRange {
  if (history.isEmpty) return { first: 0, last: -1 };
  return {
    first: Math.max(history.oldest, Math.floor(view.leftSecond)),
    last: Math.min(history.head, Math.ceil(view.rightSecond) + 1),
  };
}

/** Dots by colour and radius, painted once and then copied: a busy half hour has thousands. */
class DotSprites {
  private readonly sprites = new Map<Rgb, HTMLCanvasElement[]>();

  get(color: Rgb, radiusPx: number): HTMLCanvasElement {
    const halves = Math.max(1, Math.round(radiusPx * 2));
    let ofColor = this.sprites.get(color);
    if (!ofColor) this.sprites.set(color, ofColor = []);
    let sprite = ofColor[halves];
    if (!sprite) {
      const radius = halves / 2;
      sprite = document.createElement('canvas');
      sprite.width = sprite.height = Math.ceil(radius * 2) + 4;
      const context = sprite.getContext('2d')!;
      const middle = sprite.width / 2;
      context.beginPath();
      context.arc(middle, middle, radius, 0, 2 * Math.PI);
      context.fillStyle = css(color, radius < 2 ? 0.75 : 0.6);
      context.fill();
      if (radius >= 3) {
        // a rim keeps dots apart that lie on one another
        context.lineWidth = 1;
        context.strokeStyle = css([8, 12, 16], 0.6);
        context.stroke();
      }
      ofColor[halves] = sprite;
    }
    return sprite;
  }
}

/** What the overlay last drew, as far as it decides whether the picture may be moved instead of drawn again. */
interface Drawn {
  readonly parts: readonly unknown[];
  readonly leftPx: number;
  readonly topPx: number;
  readonly head: number;
  readonly day: Snapshot['day'];
  readonly levels: Snapshot['levels'];
}

export class Overlay {
  private readonly dots = new DotSprites();
  private readonly strip = new Strip();
  private drawn: Drawn | null = null;
  private readonly namesMade = new Made();

  /**
   * Everything that moves with the data. A second more pushes the strip along and draws its right end only.
   * @param jumped the history changed otherwise than by later seconds
   */
  draw(context: CanvasRenderingContext2D, state: Snapshot, jumped: boolean): void {
    const { viewport: view, history, settings } = state;
    const now: Drawn = {
      parts: [
        view.widthPx, view.heightPx, view.dpr, view.pxPerTick, view.pxPerSecond, view.followTime, settings.palette,
        settings.roomSeconds, settings.layers,
      ],
      leftPx: view.leftPx, topPx: view.topPx, head: history.head, day: state.day, levels: state.levels,
    };
    if (jumped) this.reachOf.fill(-1);
    const isKept = this.strip.show(view.leftPx, view.widthPx) && context.canvas.height === view.heightPx;
    const from = jumped || !isKept ? 0 : this.unchangedUpTo(now, view, history);
    this.drawn = now;
    if (from < view.widthPx) {
      if (from === 0) this.clear(context, view);
      context.save();
      context.translate(this.strip.offsetPx, 0);
      context.beginPath();
      context.rect(from, 0, view.widthPx - from, view.heightPx);
      context.clip();
      context.clearRect(from, 0, view.widthPx - from, view.heightPx);
      this.drawLayers(context, state, from);
      context.restore();
    }
    placeStrip(context.canvas, this.strip, view.widthPx, view.dpr);
  }

  /** Begin on an empty strip. */
  private clear(context: CanvasRenderingContext2D, view: ViewportView): void {
    const { canvas } = context;
    this.strip.restart(view.leftPx, view.widthPx);
    if (canvas.width !== this.strip.canvasPx || canvas.height !== view.heightPx) {
      canvas.width = this.strip.canvasPx;
      canvas.height = view.heightPx;
    } else context.clearRect(0, 0, canvas.width, canvas.height);
  }

  /** The x from which it has to be drawn again, 0 for all of it. */
  private unchangedUpTo(now: Drawn, view: ViewportView, history: HistoryView): number {
    const { drawn } = this;
    if (!drawn || now.parts.some((part, i) => part !== drawn.parts[i]) || drawn.topPx !== now.topPx || drawn.day !== now.day || drawn.levels !== now.levels) return 0;
    const moved = now.leftPx - drawn.leftPx;
    if (moved === 0 && drawn.head === now.head) return view.widthPx;
    if (!view.followTime || moved < 0 || !(now.head > drawn.head)) return 0;
    // lines go on from the old head; dots of the new seconds reach back over it, those of a shared pixel stand together
    const together = togetherOf(view);
    let from = drawn.head * view.pxPerSecond - now.leftPx - LINE_REACH * view.dpr;
    const first = drawn.head + 1 - ((drawn.head + 1) % together);
    for (let w = first; w <= now.head; w++) from = Math.min(from, (w - 1) * view.pxPerSecond - now.leftPx - this.reachPx(history, w, view));
    return Math.max(0, Math.min(Math.floor(from), view.widthPx - moved));
  }

  /** How far from the middle of its seconds the largest dot of a window reaches, its rim and rounding included. */
  private reachPx(history: HistoryView, window: number, view: ViewportView): number {
    const slot = window % HISTORY_WINDOWS;
    if (this.reachOf[slot] !== window) {
      this.reachOf[slot] = window;
      const from = slot * HUD_ROWS;
      const { buy_fill_u8: buy, sell_fill_u8: sell } = history.planes;
      let most = 0;
      for (let i = from; i < from + HUD_ROWS; i++) {
        if (buy[i]! > most) most = buy[i]!;
        if (sell[i]! > most) most = sell[i]!;
      }
      this.largestFill[slot] = most;
    }
    const most = this.largestFill[slot]!;
    return most === 0 ? 0 : dotRadius(FILL_LOTS[most]!) * view.dpr + 3 + togetherOf(view) * view.pxPerSecond;
  }
  /** Largest byte of the fills of a slot, and the window it is of. */
  private readonly largestFill = new Uint8Array(HISTORY_WINDOWS);
  private readonly reachOf = new Float64Array(HISTORY_WINDOWS).fill(-1);

  private drawLayers(context: CanvasRenderingContext2D, state: Snapshot, from: number): void {
    const { viewport: view, history, settings } = state;
    const { layers } = settings;
    const colours = COLOURS[settings.palette];
    const range = visibleWindows(view, history);
    // the first second of which something reaches into the part that is drawn
    const farthest = (DOT_MOST + 4) * view.dpr;
    let first = Math.max(range.first, Math.floor((view.leftPx + from - farthest) / view.pxPerSecond) - 1);
    const linesFrom = view.leftPx + from - LINE_REACH * view.dpr;
    while (from > 0 && first < range.last && first * view.pxPerSecond + Math.max(this.reachPx(history, first, view), LINE_REACH) < linesFrom) first++;
    if (first > range.first) first--; // a step begins with the second before
    const part = { first, last: range.last, fromPx: from };
    if (layers.levels > 0) this.drawLevels(context, state);
    if (layers.vwap > 0) this.drawVwap(context, state, colours.vwap, part);
    if (layers.bestPrices > 0) {
      context.globalAlpha = 0.8 * layers.bestPrices;
      this.drawSteps(context, view, history, history.bestAsk, css(colours.bestAsk), view.dpr, part);
      this.drawSteps(context, view, history, history.bestBid, css(colours.bestBid), view.dpr, part);
    }
    if (layers.trades > 0) {
      context.globalAlpha = layers.trades;
      this.drawTrades(context, view, history, history.planes.buy_fill_u8, colours.buyTrade, part);
      this.drawTrades(context, view, history, history.planes.sell_fill_u8, colours.sellTrade, part);
    }
    if (layers.spot > 0) {
      // the last trade bounces between bid and ask; the eye follows the mid, the bounce stays faint behind it
      context.globalAlpha = 0.35 * layers.spot;
      this.drawSteps(context, view, history, history.spot, '#fff', view.dpr, part);
      context.globalAlpha = layers.spot;
      this.drawSteps(context, view, history, history.mid, '#fff', 1.5 * view.dpr, part);
    }
    context.globalAlpha = 1;
  }

  /** Crosshair and measuring tool, on a canvas of their own. */
  drawCursor(context: CanvasRenderingContext2D, state: Snapshot): void {
    const { viewport: view, cursor, measure } = state;
    const { dpr } = view;
    context.clearRect(0, 0, view.widthPx, view.heightPx);
    if (state.settings.layers.spot > 0) this.drawHead(context, view, state.history);
    if (measure) {
      const x0 = view.xOfSecond(measure.from.window) * dpr;
      const x1 = view.xOfSecond(measure.to.window) * dpr;
      const y0 = view.yOfTicks(measure.from.ticks) * dpr;
      const y1 = view.yOfTicks(measure.to.ticks) * dpr;
      context.fillStyle = 'rgb(140 190 255 / 0.14)';
      context.fillRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
      context.strokeStyle = 'rgb(170 210 255 / 0.9)';
      context.lineWidth = dpr;
      context.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    }
    if (cursor) {
      // on the middle of the cell, so that it says which tick and second it reads
      const x = Math.round(view.xOfSecond(cursor.window - 0.5) * dpr) + 0.5;
      const y = Math.round(view.yOfTicks(cursor.ticks) * dpr) + 0.5;
      context.strokeStyle = 'rgb(226 234 244 / 0.55)';
      context.lineWidth = 1;
      context.setLineDash([4 * dpr, 4 * dpr]);
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, view.heightPx);
      context.moveTo(0, y);
      context.lineTo(view.widthPx, y);
      context.stroke();
      context.setLineDash([]);
    }
  }

  /** A step line through a column of ticks; broken where there is no price or the book is not valid. */
  private drawSteps(
    context: CanvasRenderingContext2D, view: ViewportView, history: HistoryView, ticks: Float64Array, color: string, width: number,
    { first, last }: WindowRange,
  ): void {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.lineJoin = 'round';
    context.beginPath();
    let open = false;
    let lastY = Number.NaN;
    for (let w = first; w <= last; w++) {
      const slot = History.slot(w as WindowNo);
      const value = ticks[slot]!;
      if (Number.isNaN(value) || (history.flags[slot]! & (PRESENT | BOOK_VALID)) !== (PRESENT | BOOK_VALID)) {
        open = false;
        continue;
      }
      const x0 = (w - 1) * view.pxPerSecond - view.leftPx;
      const y = Math.round(-value * view.pxPerTick - view.topPx) + 0.5;
      if (!open) context.moveTo(x0, y);
      else if (y !== lastY) {
        context.lineTo(x0, lastY);
        context.lineTo(x0, y);
      }
      context.lineTo(x0 + view.pxPerSecond, y);
      open = true;
      lastY = y;
    }
    context.stroke();
  }

  /** The newest second: a dot at spot, so that the eye finds "now". */
  private drawHead(context: CanvasRenderingContext2D, view: ViewportView, history: HistoryView): void {
    const slot = history.slotOf(history.head);
    if (slot < 0 || Number.isNaN(history.spot[slot]!)) return;
    const x = view.xOfSecond(history.head) * view.dpr;
    const y = view.yOfTicks(history.spot[slot]!) * view.dpr;
    context.fillStyle = 'rgb(255 255 255 / 0.22)';
    context.beginPath();
    context.arc(x, y, 6 * view.dpr, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = '#fff';
    context.beginPath();
    context.arc(x, y, 2.6 * view.dpr, 0, 2 * Math.PI);
    context.fill();
  }

  private drawTrades(
    context: CanvasRenderingContext2D, view: ViewportView, history: HistoryView, plane: Uint8Array, color: Rgb, { first, last, fromPx }: WindowRange & { readonly fromPx: number },
  ): void {
    // several seconds in a pixel: the largest fill of each tick stands for them
    const together = togetherOf(view);
    const highest = Math.ceil(view.topTicks) + 1;
    const lowest = Math.floor(view.bottomTicks) - 1;
    if (this.most.length <= highest - lowest) this.most = new Uint8Array(highest - lowest + 1);
    const { most } = this;
    for (let w = first - (first % together); w <= last; w += together) {
      let [low, high] = [Infinity, -Infinity];
      for (let k = Math.max(w, history.oldest); k < w + together && k <= last; k++) {
        const slot = (k % HISTORY_WINDOWS);
        const spot = history.spot[slot]!;
        if (!(history.flags[slot]! & PRESENT) || Number.isNaN(spot)) continue;
        const base = Math.round(spot) - SPOT_ROW;
        const from = Math.max(0, lowest - base);
        const to = Math.min(HUD_ROWS - 1, highest - base);
        const row0 = slot * HUD_ROWS;
        for (let row = from; row <= to; row++) {
          const u8 = plane[row0 + row]!;
          if (u8 === 0) continue;
          const at = base + row - lowest;
          if (u8 > most[at]!) most[at] = u8;
          if (at < low) low = at;
          if (at > high) high = at;
        }
      }
      const x = (w - 1 + together / 2) * view.pxPerSecond - view.leftPx;
      for (let at = low; at <= high; at++) {
        const u8 = most[at]!;
        if (u8 === 0) continue;
        most[at] = 0;
        const sprite = this.dots.get(color, dotRadius(FILL_LOTS[u8]!) * view.dpr);
        const left = Math.round(x - sprite.width / 2);
        if (left + sprite.width <= fromPx) continue; // stands where nothing is drawn again
        const y = -(lowest + at) * view.pxPerTick - view.topPx;
        context.drawImage(sprite, left, Math.round(y - sprite.height / 2));
      }
    }
  }
  /** Largest fill per tick of the seconds that are drawn together; zeros between draws. */
  private most = new Uint8Array(0);

  private drawVwap(context: CanvasRenderingContext2D, state: Snapshot, color: Rgb, { first, last }: WindowRange): void {
    const { viewport: view, history, day, settings } = state;
    if (!day || history.isEmpty) return;
    context.globalAlpha = 0.75 * settings.layers.vwap;
    context.strokeStyle = css(color);
    context.lineWidth = 1.25 * view.dpr;
    context.beginPath();
    let open = false;
    for (let w = first; w <= last; w++) {
      const value = day.vwap[w - day.firstWindow] ?? Number.NaN;
      if (Number.isNaN(value)) { open = false; continue; }
      const x = (w - 0.5) * view.pxPerSecond - view.leftPx;
      const y = -value * view.pxPerTick - view.topPx;
      if (open) context.lineTo(x, y); else context.moveTo(x, y);
      open = true;
    }
    context.stroke();
  }

  /** How many levels are known by now; of the same levels the number says which. */
  private levelsKnown({ history, levels }: Snapshot): number {
    let known = 0;
    for (const level of levels) if (!history.isEmpty && !(level.knownFrom > history.head)) known++;
    return known;
  }

  /** Levels known by now whose price is in sight, and the y each stands at. */
  private visibleLevels({ viewport: view, history, levels }: Snapshot): { readonly level: ReferenceLevel; readonly y: number }[] {
    const head = history.isEmpty ? -Infinity : history.head;
    const found: { readonly level: ReferenceLevel; readonly y: number }[] = [];
    for (const level of levels) {
      if (level.unavailable !== null || level.knownFrom > head) continue;
      const y = Math.round(-level.ticks * view.pxPerTick - view.topPx) + 0.5;
      if (y >= 0 && y <= view.heightPx) found.push({ level, y });
    }
    return found;
  }

  /** Reference levels, each from the second on in which it is known. */
  private drawLevels(context: CanvasRenderingContext2D, state: Snapshot): void {
    const { viewport: view, settings } = state;
    context.strokeStyle = 'rgb(196 206 220)';
    context.lineWidth = view.dpr;
    for (const { level, y } of this.visibleLevels(state)) {
      const from = Number.isNaN(level.knownFrom) ? 0 : Math.max(0, view.xOfSecond(level.knownFrom) * view.dpr);
      context.globalAlpha = 0.5 * settings.layers.levels;
      context.setLineDash([2 * view.dpr, 3 * view.dpr]);
      context.lineDashOffset = wrap(view.leftPx + Math.round(from), 5 * view.dpr);
      context.beginPath();
      context.moveTo(Math.round(from), y);
      context.lineTo(view.widthPx, y);
      context.stroke();
    }
    context.setLineDash([]);
  }

  /**
   * Names of the levels at the right edge, on a canvas of their own because they stay while the picture moves: over
   * everything else, on a dark ground, since the head's lines run through them.
   */
  drawNames(context: CanvasRenderingContext2D, state: Snapshot): void {
    const { viewport: view, settings } = state;
    if (this.namesMade.isFrom(
      state.levels, settings.layers.levels, view.topPx, view.pxPerTick, view.widthPx, view.heightPx, view.dpr, this.levelsKnown(state),
    )) return;
    // levels at one price share a label: "OR5 low, OR15 low"
    const names = new Map<number, string>();
    const visible = settings.layers.levels > 0 ? this.visibleLevels(state) : [];
    for (const { level: { name }, y } of visible) names.set(y, names.has(y) ? `${names.get(y)}, ${name}` : name);
    context.clearRect(0, 0, view.widthPx, view.heightPx);
    context.globalAlpha = 0.9 * settings.layers.levels;
    context.font = `${11 * view.dpr}px system-ui, sans-serif`;
    context.textBaseline = 'bottom';
    context.textAlign = 'right';
    for (const [y, text] of names) {
      const widthPx = context.measureText(text).width;
      context.fillStyle = css(BACKGROUND, 0.72);
      context.fillRect(view.widthPx - widthPx - 7 * view.dpr, y - 15 * view.dpr, widthPx + 7 * view.dpr, 14 * view.dpr);
      context.fillStyle = 'rgb(206 216 230)';
      context.fillText(text, view.widthPx - 4 * view.dpr, y - 2 * view.dpr);
    }
  }
}
