/** The ladder at the head: lots now, change over 5 s, pulled and added over 30 s, traded today. Numbers from `wall`. */
import { BOOK_VALID } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { CHANGE_SECONDS, FLOW_SECONDS, groupTicksFor, rungAt, type LadderRungs } from '../model/ladder';
import { Made } from '../model/made';
import { volumeOfRungs } from '../model/profile';
import type { ViewportView } from '../model/viewport';
import { LadderPixels, type LadderLook } from '../render/ladder_pixels';
import { priceKey, Sketch, type Sheet } from './canvas';
import { feedsOf, type Feeds } from './feeds';
import { makeGlyphSet, rgbOf } from './glyph_set';
import type { Panel, PanelContext } from './panel';
import { lotsText, priceText, shortLotsText, signedText, windowText } from './text';

type Rgb = readonly [number, number, number];

/** Colours of the numbers. */
const INKS = ['bid-text', 'ask-text', 'text', 'dim', 'warn'] as const;
const FONT_SHARE = 0.92;

/** Right edge of each column as a share of the width, its head, its colour, and how its numbers are written. */
const COLUMNS = [
  { right: 0.165, head: 'bid', ink: 'bid-text', text: shortLotsText },
  { right: 0.33, head: 'ask', ink: 'ask-text', text: shortLotsText },
  { right: 0.5, head: `Δ${CHANGE_SECONDS}s`, ink: 'text', text: (qty: number) => signedText(qty, shortLotsText) },
  { right: 0.665, head: 'pull', ink: 'dim', text: shortLotsText },
  { right: 0.83, head: 'add', ink: 'dim', text: shortLotsText },
  { right: 0.985, head: 'day', ink: 'dim', text: shortLotsText },
] as const;

/** Numbers arrive a moment after their second; only when they are further behind is that worth a word. */
const USUAL_LAG = 1;

let page: PanelContext;
let sketch: Sketch;

export const ladder: Panel = {
  id: 'ladder',
  mount(host, context) {
    page = context;
    sketch = new Sketch(host, 'Ladder');
    host.title = `Lots at the second's end ("1 s"), bid and ask; change of both over ${CHANGE_SECONDS} s; pulled and added over ${FLOW_SECONDS} s; traded since the trade date's start, renewed every 5 s while the clock runs.`;
  },
  draw(level) {
    const { source, viewport, history } = page.store.snapshot;
    const feeds = feedsOf(page);
    if (level >= InvalidateLevel.Light) feeds.follow(history.head);
    if (level < InvalidateLevel.Light || source === null || history.isEmpty || viewport.heightPx <= 1) return;
    // the newest second whose numbers are here; while they are on their way the one before stays
    const at = feeds.walls.newest(history.head);
    const late = history.head - at > USUAL_LAG;
    // spot of the same second as the numbers
    const slot = history.slotOf(Number.isNaN(at) ? history.head : at);
    const spot = slot >= 0 ? history.spot[slot]! : Number.NaN;
    const bookValid = slot >= 0 && (history.flags[slot]! & BOOK_VALID) !== 0;
    const sheet = sketch.resume(source, at, late, bookValid, feeds.walls.version, spot, feeds.profile, ...priceKey(viewport));
    if (sheet === null) return;
    const size = sketch.size;
    const pxPerTick = viewport.pxPerTick / viewport.dpr;
    const group = groupTicksFor(pxPerTick, size * 0.93, Math.round(1 / source.tick.points));
    const rows = feeds.walls.rungs(at, viewport.bottomTicks, viewport.topTicks, group);
    const notes = rows === null ? 'waiting for numbers' : [
      '1 s',
      group > 1 ? `${group} ticks a row` : '',
      rows.flowSeconds < FLOW_SECONDS ? `sums over ${rows.flowSeconds} s` : '',
      late ? `of ${windowText(at)}` : '',
      bookValid ? '' : 'book invalid',
    ].filter((note) => note !== '').join(' · ');
    // another place of the rows, or other notes, is another sheet; else only cells whose numbers differ are drawn
    const isFresh = !placed.isFrom(sketch.size, rows?.firstTicks, rows?.count, group, notes, sheet.width, ...priceKey(viewport)) || sheet.isBare;
    if (isFresh) drawFrame(sheet, notes);
    if (rows === null) return;
    if (isFresh) {
      begin(sheet, viewport, rows);
      tradedOf = null;
    }
    if (tradedOf !== feeds.profile) {
      tradedOf = feeds.profile;
      const { profile } = feeds;
      traded = volumeOfRungs(profile?.volume ?? null, rows.firstTicks, rows.count, group);
    }
    drawRungs(sheet, viewport, rows, spot);
    sketch.describe(() => {
      const i = rungAt(rows, spot);
      return i < 0 ? 'Ladder' : `Ladder at ${windowText(at)}, one second data. At ${priceText(rows.firstTicks + i * group, source.tick)}`
        + `: ${lotsText(rows.bidQty[i]!)} lots bid, ${lotsText(rows.askQty[i]!)} offered, ${lotsText(rows.pulledQty[i]!)} pulled and`
        + ` ${lotsText(rows.addedQty[i]!)} added in ${rows.flowSeconds} seconds`;
    });
  },
};

const placed = new Made();
const pixels = new LadderPixels();
let image: ImageData | null = null;
let look: LadderLook | null = null;
const lookMade = new Made();
/** Per rung and column the number, and the width of its bar in device pixels. */
let cells = new Float64Array(0);
let bars = new Int32Array(0);
/** Lots traded today per rung, and the profile they are of. */
let traded: Float64Array = new Float64Array(0);
let tradedOf: Feeds['profile'] = null;

/** Heads and notes on an empty sheet. */
function drawFrame({ g, width, height }: Sheet, notes: string): void {
  const headHeight = sketch.size * 1.5;
  g.clearRect(0, 0, width, height);
  g.fillStyle = sketch.colour('panel');
  g.fillRect(0, 0, width, headHeight);
  g.fillStyle = sketch.colour('dim');
  sketch.useFont(0.86);
  g.textAlign = 'right';
  for (const column of COLUMNS) g.fillText(column.head, column.right * width, headHeight / 2);
  g.textAlign = 'left';
  g.fillText(notes, 4, height - headHeight / 2);
  g.textAlign = 'right';
}

/** Shapes and colours of the numbers, made when the type or the palette is another. */
function lookOf(dpr: number): LadderLook {
  const colours = ['panel', 'raised', 'bid', 'ask'].map((name) => sketch.colour(name));
  const inks = INKS.map((name) => sketch.colour(name));
  const font = sketch.font(FONT_SHARE);
  if (look !== null && lookMade.isFrom(font, dpr, ...colours, ...inks)) return look;
  lookMade.isFrom(font, dpr, ...colours, ...inks);
  const [ground, raised, bid, ask] = rgbOf(colours) as [Rgb, Rgb, Rgb, Rgb];
  look = { glyphs: makeGlyphSet(font, sketch.size * FONT_SHARE, dpr, inks), ground, raised, bars: [bid, ask], barOpacity: 0.28 };
  return look;
}

/** Place the rungs on an empty picture. */
function begin({ g, width, height }: Sheet, viewport: ViewportView, { firstTicks, count, groupTicks }: LadderRungs): void {
  const { dpr } = viewport;
  const [widthPx, heightPx] = [g.canvas.width, g.canvas.height];
  const headHeight = sketch.size * 1.5;
  const rungHeight = groupTicks * viewport.pxPerTick / dpr;
  const top = new Int32Array(count);
  const bottom = new Int32Array(count);
  const middle = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const y = viewport.yOfTicks(firstTicks + i * groupTicks + (groupTicks - 1) / 2);
    if (y < headHeight + rungHeight / 2 - 2 || y > height - headHeight - rungHeight / 2 + 2) continue;
    top[i] = Math.max(Math.ceil(headHeight * dpr), Math.round((y - rungHeight / 2) * dpr));
    bottom[i] = Math.min(heightPx, Math.round((y + rungHeight / 2) * dpr));
    middle[i] = Math.round((y + 0.5) * dpr);
  }
  // a pixel behind the numbers, whose last digit may stand a little over its edge
  const edges = [0, ...COLUMNS.map(({ right }, k) => (k === COLUMNS.length - 1 ? widthPx : Math.round(right * width * dpr) + 1))];
  const columns = COLUMNS.map(({ right, ink, text }, k) => ({
    x0: edges[k]!, x1: edges[k + 1]!, rightPx: right * width * dpr, ink: INKS.indexOf(ink), inkBelow: INKS.indexOf('warn'), text,
  }));
  image = g.createImageData(widthPx, heightPx);
  pixels.begin(image.data, widthPx, heightPx, lookOf(dpr), { columns, top, bottom, middle });
  cells = new Float64Array(count * COLUMNS.length);
  bars = new Int32Array(cells.length);
}

/** Cells whose number, bar or ground differs from what is drawn. */
function drawRungs({ g, width }: Sheet, { dpr }: ViewportView, rows: LadderRungs, spot: number): void {
  const { count, bidQty, askQty, changeQty, pulledQty, addedQty } = rows;
  let largest = 1;
  for (let i = 0; i < count; i++) largest = Math.max(largest, bidQty[i]!, askQty[i]!);
  const pxPerLot = 0.16 * width * dpr / largest;
  for (let i = 0, at = 0; i < count; i++, at += COLUMNS.length) {
    const [bid, ask, change] = [bidQty[i]!, askQty[i]!, changeQty[i]!];
    cells[at] = bid;
    cells[at + 1] = ask;
    cells[at + 2] = Number.isNaN(change) ? 0 : change;
    cells[at + 3] = pulledQty[i]!;
    cells[at + 4] = addedQty[i]!;
    cells[at + 5] = traded[i]!;
    bars[at] = bid > 0 ? Math.max(1, Math.round(pxPerLot * bid)) : 0;
    bars[at + 1] = ask > 0 ? Math.max(1, Math.round(pxPerLot * ask)) : 0;
  }
  const { top, bottom } = pixels.show(cells, bars, rungAt(rows, spot));
  if (top < bottom) g.putImageData(image!, 0, 0, 0, top, g.canvas.width, bottom - top);
}
