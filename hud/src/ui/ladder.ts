/** The ladder at the head: lots now, change over 5 s, pulled and added over 30 s, traded today. Numbers from `wall`. */
import { BOOK_VALID } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { CHANGE_SECONDS, FLOW_SECONDS, groupTicksFor } from '../model/ladder';
import { volumeBetween } from '../model/profile';
import { priceKey, Sketch } from './canvas';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { lotsText, priceText, shortLotsText, signedText, windowText } from './text';

/** Right edge of each column as a share of the width, and its head. */
const COLUMNS = [
  { key: 'bid', right: 0.165, head: 'bid' },
  { key: 'ask', right: 0.33, head: 'ask' },
  { key: 'change', right: 0.5, head: `Δ${CHANGE_SECONDS}s` },
  { key: 'pulled', right: 0.665, head: 'pull' },
  { key: 'added', right: 0.83, head: 'add' },
  { key: 'traded', right: 0.985, head: 'day' },
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
    host.title = `Lots at the second's end ("1 s"), bid and ask; change of both over ${CHANGE_SECONDS} s; pulled and added over ${FLOW_SECONDS} s; traded since the trade date's start.`;
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
    const sheet = sketch.begin(source, at, late, bookValid, feeds.walls.version, spot, feeds.profile, ...priceKey(viewport));
    if (sheet === null) return;
    const { g, width, height } = sheet;
    const size = sketch.size;
    const fontShare = 0.92;
    const pxPerTick = viewport.pxPerTick / viewport.dpr;
    const group = groupTicksFor(pxPerTick, size * 0.93, Math.round(1 / source.tick.points));
    const headHeight = size * 1.5;
    const rows = feeds.walls.rungs(at, viewport.bottomTicks, viewport.topTicks, group);
    const rung = group * pxPerTick;
    g.textAlign = 'right';
    if (rows !== null) {
      const largest = rows.rungs.reduce((most, row) => Math.max(most, row.bidQty, row.askQty), 1);
      g.font = sketch.font(fontShare);
      for (const row of rows.rungs) {
        const y = viewport.yOfTicks(row.lowTicks + (group - 1) / 2);
        if (y < headHeight + rung / 2 - 2 || y > height - headHeight - rung / 2 + 2) continue;
        const hasSpot = spot >= row.lowTicks && spot < row.lowTicks + group;
        if (hasSpot) {
          g.fillStyle = sketch.colour('raised');
          g.fillRect(0, y - rung / 2, width, rung);
        }
        for (const [qty, colour, left] of [[row.bidQty, 'bid', 0], [row.askQty, 'ask', 0.17]] as const) {
          if (qty === 0) continue;
          g.globalAlpha = 0.28;
          g.fillStyle = sketch.colour(colour);
          g.fillRect(left * width, y - rung / 2 + 0.5, 0.16 * width * (qty / largest), Math.max(1, rung - 1));
          g.globalAlpha = 1;
        }
        const cell = (column: number, text: string, colour: string): void => {
          g.fillStyle = sketch.colour(colour);
          g.fillText(text, COLUMNS[column]!.right * width, y + 0.5);
        };
        if (row.bidQty > 0) cell(0, shortLotsText(row.bidQty), 'bid-text');
        if (row.askQty > 0) cell(1, shortLotsText(row.askQty), 'ask-text');
        if (row.changeQty !== 0 && !Number.isNaN(row.changeQty)) {
          cell(2, signedText(row.changeQty, shortLotsText), row.changeQty > 0 ? 'text' : 'warn');
        }
        if (row.pulledQty > 0) cell(3, shortLotsText(row.pulledQty), 'dim');
        if (row.addedQty > 0) cell(4, shortLotsText(row.addedQty), 'dim');
        if (feeds.profile !== null) {
          const traded = volumeBetween(feeds.profile.volume, row.lowTicks, row.lowTicks + group);
          if (traded > 0) cell(5, shortLotsText(traded), 'dim');
        }
      }
      const best = rows.rungs.find((row) => spot >= row.lowTicks && spot < row.lowTicks + group);
      sketch.describe(best === undefined ? 'Ladder' : `Ladder at ${windowText(at)}, one second data. At ${priceText(best.lowTicks, source.tick)}`
        + `: ${lotsText(best.bidQty)} lots bid, ${lotsText(best.askQty)} offered, ${lotsText(best.pulledQty)} pulled and`
        + ` ${lotsText(best.addedQty)} added in ${rows.flowSeconds} seconds`);
    }
    g.fillStyle = sketch.colour('panel');
    g.fillRect(0, 0, width, headHeight);
    g.fillStyle = sketch.colour('dim');
    g.font = sketch.font(0.86);
    for (const column of COLUMNS) g.fillText(column.head, column.right * width, headHeight / 2);
    const notes = rows === null ? 'waiting for numbers' : [
      '1 s',
      group > 1 ? `${group} ticks a row` : '',
      rows.flowSeconds < FLOW_SECONDS ? `sums over ${rows.flowSeconds} s` : '',
      late ? `of ${windowText(at)}` : '',
      bookValid ? '' : 'book invalid',
    ].filter((note) => note !== '').join(' · ');
    g.textAlign = 'left';
    g.fillStyle = sketch.colour('dim');
    g.fillText(notes, 4, height - headHeight / 2);
  },
};
