/** The whole day in a strip: price, volume by aggressor, what is on screen, and a handle to go anywhere. */
import { InvalidateLevel } from '../model/invalidate';
import { PHASE_OPEN } from '../model/history';
import { Made } from '../model/made';
import type { DayOverview, Snapshot } from '../model/snapshot';
import { COLOURS, css } from '../render/palette';
import { newYorkMinute, newYorkSecondOfDay, newYorkTime, type WindowNo } from '../units/time';
import { LANDMARKS } from '../render/geometry';
import { FittedCanvas } from './dom';
import type { Panel, PanelContext } from './panel';

/** Day per pixel column: extremes of price and sums of volume. */
interface Columns {
  readonly width: number;
  readonly day: DayOverview;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly buy: Float64Array;
  readonly sell: Float64Array;
  /** Share of seconds that are open and valid. */
  readonly valid: Float64Array;
}

export class Minimap implements Panel {
  readonly id = 'minimap';
  private context!: PanelContext;
  private surface!: FittedCanvas;
  private ground!: HTMLCanvasElement;
  private columns: Columns | null = null;
  private groundKey = '';
  private hoverX: number | null = null;
  private hovered = false;
  private readonly made = new Made();

  mount(host: HTMLElement, context: PanelContext): void {
    this.context = context;
    this.surface = new FittedCanvas(host);
    this.ground = document.createElement('canvas');
    host.setAttribute('title', '');
    let dragging = false;
    const x = (event: PointerEvent): number => event.clientX - host.getBoundingClientRect().left;
    host.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      host.setPointerCapture(event.pointerId);
      dragging = true;
      this.seekTo(x(event));
    });
    host.addEventListener('pointermove', (event) => {
      this.hoverX = x(event);
      this.hovered = true;
      if (dragging) this.seekTo(this.hoverX);
      context.redraw(InvalidateLevel.Cursor);
    });
    const drop = (): void => { dragging = false; };
    host.addEventListener('pointerup', drop);
    host.addEventListener('pointercancel', drop);
    host.addEventListener('pointerleave', () => { this.hoverX = null; context.redraw(InvalidateLevel.Cursor); });
    new ResizeObserver(() => context.redraw(InvalidateLevel.Full)).observe(host);
  }

  private seekTo(cssX: number): void {
    const { day } = this.context.store.snapshot;
    if (day) this.context.store.actions.seek(this.windowAt(cssX, day));
  }

  private windowAt(cssX: number, day: DayOverview): WindowNo {
    const share = Math.min(1, Math.max(0, cssX / this.surface.canvas.clientWidth));
    return (day.firstWindow + Math.round(share * (day.windows - 1))) as WindowNo;
  }

  draw(level: InvalidateLevel): void {
    // the pointer over the picture is nothing to the mini-map; its own pointer asks for a frame itself
    if (level < InvalidateLevel.Light && !this.hovered) return;
    this.hovered = this.hoverX !== null;
    const state = this.context.store.snapshot;
    const { day, transport, history, viewport, settings } = state;
    const at = transport.seeking ?? history.head;
    // whole device pixels: a second of a long day moves nothing
    const dpr = window.devicePixelRatio || 1;
    const pxPerWindow = day === null ? 0 : (this.surface.room?.width ?? 0) / Math.max(1, day.windows - 1);
    const xOf = (second: number): number => Math.round((second - (day?.firstWindow ?? 0)) * pxPerWindow * dpr) / dpr;
    const [now, left, right] = [xOf(at), Math.max(0, xOf(viewport.leftSecond)), xOf(Math.min(viewport.rightSecond, at))];
    if (this.made.isFrom(
      day, transport.seeking === null, now, left, right, settings.palette, this.hoverX, this.surface.generation, dpr,
    )) return;
    const size = this.surface.fit();
    if (!size) return;
    const { width, height } = size;
    const { context } = this.surface;
    context.fillStyle = '#0b1017';
    context.fillRect(0, 0, width, height);
    if (!day || day.windows < 2) return;
    this.drawGround(day, width, height, settings.palette);
    context.drawImage(this.ground, 0, 0, width, height);

    if (Number.isNaN(at)) return;
    // what has not happened yet on this clock is dimmed: a replay should not give the day away
    context.fillStyle = 'rgb(8 11 16 / 0.66)';
    context.fillRect(now, 0, width - now, height);
    if (right > left) {
      context.fillStyle = 'rgb(150 190 235 / 0.13)';
      context.fillRect(left, 0, right - left, height);
      context.strokeStyle = 'rgb(150 190 235 / 0.4)';
      context.strokeRect(left + 0.5, 0.5, right - left - 1, height - 1);
    }
    context.fillStyle = transport.seeking === null ? '#fff' : '#f5c04a';
    context.fillRect(Math.round(now) - 1, 0, 2, height);
    this.drawHover(state, day, width, height);
  }

  private drawHover(state: Snapshot, day: DayOverview, width: number, height: number): void {
    if (this.hoverX === null) return;
    const { context } = this.surface;
    const x = Math.min(width - 1, Math.max(0, this.hoverX));
    context.fillStyle = 'rgb(255 255 255 / 0.5)';
    context.fillRect(Math.round(x), 0, 1, height);
    const text = newYorkTime(this.windowAt(x, day));
    context.font = '600 12px system-ui, sans-serif';
    context.textBaseline = 'middle';
    const wide = context.measureText(text).width + 10;
    const from = Math.min(width - wide - 2, Math.max(2, x + 8 + wide > width ? x - wide - 8 : x + 8));
    context.fillStyle = 'rgb(14 19 27 / 0.92)';
    context.fillRect(from, height / 2 - 10, wide, 20);
    context.fillStyle = state.transport.seeking === null ? '#f2f6fa' : '#f5c04a';
    context.fillText(text, from + 5, height / 2);
  }

  /** Price, volume and time marks; redrawn only when the day, the size or the palette changes. */
  private drawGround(day: DayOverview, width: number, height: number, palette: Snapshot['settings']['palette']): void {
    const dpr = window.devicePixelRatio || 1;
    const key = [width, height, dpr, palette, day.firstWindow, day.windows].join();
    if (key === this.groundKey && this.columns?.day === day) return;
    this.groundKey = key;
    this.ground.width = Math.round(width * dpr);
    this.ground.height = Math.round(height * dpr);
    const context = this.ground.getContext('2d')!;
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    // a short day has fewer seconds than the strip has pixels
    const columns = columnsOfDay(day, Math.max(1, Math.min(day.windows, Math.floor(width))));
    const step = width / columns.width;
    this.columns = columns;
    const colours = COLOURS[palette];
    const most = columns.buy.reduce((max, buy, i) => Math.max(max, buy, columns.sell[i]!), 1);
    let top = -Infinity;
    let bottom = Infinity;
    columns.high.forEach((high, i) => {
      if (!Number.isNaN(high)) { top = Math.max(top, high); bottom = Math.min(bottom, columns.low[i]!); }
    });
    const pad = 4;
    const yOf = (ticks: number): number => pad + ((top - ticks) / Math.max(1, top - bottom)) * (height - 2 * pad);
    for (let x = 0; x < columns.width; x++) {
      if (columns.valid[x]! < 0.5) {
        context.fillStyle = 'rgb(120 128 138 / 0.2)';
        context.fillRect(x * step, 0, step, height);
      }
      const half = height * 0.42;
      context.fillStyle = css(colours.bestBid, 0.32);
      const buy = (columns.buy[x]! / most) * half;
      context.fillRect(x * step, height - buy, step, buy);
      context.fillStyle = css(colours.bestAsk, 0.32);
      const sell = (columns.sell[x]! / most) * half;
      context.fillRect(x * step, height - buy - sell, step, sell);
    }
    context.fillStyle = '#d5dee8';
    for (let x = 0; x < columns.width; x++) {
      if (Number.isNaN(columns.high[x]!)) continue;
      const y = yOf(columns.high[x]!);
      context.fillRect(x * step, y - 0.6, step, Math.max(1.2, yOf(columns.low[x]!) - y + 1.2));
    }
    this.drawMarks(context, day, width, height);
  }

  private drawMarks(context: CanvasRenderingContext2D, day: DayOverview, width: number, height: number): void {
    const span = day.windows;
    const every = [60, 300, 600, 1800, 3600, 7200, 14_400].find((s) => (s / span) * width > 70) ?? 14_400;
    context.font = '10px system-ui, sans-serif';
    context.textBaseline = 'top';
    const first = day.firstWindow - newYorkSecondOfDay(day.firstWindow) % every;
    for (let at = first; at <= day.firstWindow + span; at += every) {
      const x = ((at - day.firstWindow) / (span - 1)) * width;
      if (x < 0) continue;
      const landmark = LANDMARKS.includes(newYorkSecondOfDay(at));
      context.fillStyle = landmark ? 'rgb(180 196 214 / 0.7)' : 'rgb(120 136 154 / 0.35)';
      context.fillRect(Math.round(x), 0, 1, height);
      context.fillStyle = landmark ? 'rgb(214 224 236 / 0.95)' : 'rgb(140 154 170 / 0.9)';
      if (x < width - 34) context.fillText(newYorkMinute(at), Math.round(x) + 4, 2);
    }
  }
}

/** Fold the day into `width` columns: no trade's extreme is lost. */
export function columnsOfDay(day: DayOverview, width: number): Columns {
  const make = (): Float64Array => new Float64Array(width);
  const high = make().fill(Number.NaN);
  const low = make().fill(Number.NaN);
  const buy = make();
  const sell = make();
  const valid = make();
  const seconds = make();
  for (let i = 0; i < day.windows; i++) {
    const x = Math.min(width - 1, Math.floor((i / Math.max(1, day.windows - 1)) * width));
    const top = Number.isNaN(day.high[i]!) ? day.spot[i]! : day.high[i]!;
    const bottom = Number.isNaN(day.low[i]!) ? day.spot[i]! : day.low[i]!;
    if (!Number.isNaN(top) && !(high[x]! >= top)) high[x] = top;
    if (!Number.isNaN(bottom) && !(low[x]! <= bottom)) low[x] = bottom;
    buy[x] = buy[x]! + day.buyQty[i]!;
    sell[x] = sell[x]! + day.sellQty[i]!;
    seconds[x] = seconds[x]! + 1;
    if (day.bookValid[i] && day.phase[i] === PHASE_OPEN) valid[x] = valid[x]! + 1;
  }
  for (let x = 0; x < width; x++) valid[x] = seconds[x]! > 0 ? valid[x]! / seconds[x]! : 1;
  return { width, day, high, low, buy, sell, valid };
}
