/**
 * Over the picture: the true numbers of the cell under the crosshair, and what the measuring tool tells. The lines
 * of both are the heatmap's; a measure is drawn with Shift and the pointer, or between two presses of M.
 */
import { InvalidateLevel } from '../model/invalidate';
import { rowAt, type Side } from '../model/ladder';
import { measured } from '../model/measuring';
import type { Cursor, Snapshot } from '../model/snapshot';
import { newYorkTime } from '../units/time';
import { Sketch } from './canvas';
import { deskOf } from './desk';
import { element as el } from './dom';
import { feedsOf, type SecondNumbers } from './feeds';
import type { Panel, PanelContext } from './panel';
import { durationText, gammaText, lotsText, priceText, scoreText, signedText } from './text';

const SIDE_WORD: Readonly<Record<Side, string>> = { bid: 'bid', ask: 'offer' };

let page: PanelContext;
let sketch: Sketch;
let box: HTMLElement;
let measureBox: HTMLElement;
let boxText = '';

export const crosshair: Panel = {
  id: 'crosshair',
  mount(host, context) {
    page = context;
    sketch = new Sketch(host, 'Crosshair');
    sketch.canvas.setAttribute('aria-hidden', 'true');
    box = el('div', { class: 'cell-box', hidden: true, role: 'status', 'aria-label': 'Numbers under the crosshair' });
    measureBox = el('div', { class: 'measure-box', hidden: true, role: 'status', 'aria-label': 'Measure' });
    host.append(box, measureBox);
    bindPointer(host.parentElement!);
  },
  draw(level) {
    if (level === InvalidateLevel.None) return;
    const { snapshot } = page.store;
    const { viewport, history, source } = snapshot;
    if (source === null || history.isEmpty || viewport.widthPx <= 1) return;
    // most seconds pass without a crosshair: nothing to clear, nothing to place
    const idle = snapshot.cursor === null && snapshot.measure === null;
    const sheet = idle ? sketch.begin('idle') : sketch.begin({});
    if (sheet === null) return;
    const cursor = currentCursor(snapshot);
    const desk = deskOf(page);
    if (cursor !== null && snapshot.cursor !== null
      && (cursor.window !== snapshot.cursor.window || cursor.ticks !== snapshot.cursor.ticks || cursor.x !== snapshot.cursor.x || cursor.y !== snapshot.cursor.y)) {
      // the picture moved under the pointer: the lines follow in the next frame
      page.store.actions.setCursor(cursor);
    }
    if (desk.measuring && cursor !== null && snapshot.measure !== null
      && (snapshot.measure.to.window !== cursor.window || snapshot.measure.to.ticks !== cursor.ticks)) {
      // asks for one more frame; the same corner asks for none
      page.store.actions.setMeasure({ from: snapshot.measure.from, to: { window: cursor.window, ticks: cursor.ticks } });
    }
    placeMeasure(page.store.snapshot, sheet.width, sheet.height);
    drawCrosshair(sheet.g, cursor, snapshot, sheet.width, sheet.height);
  },
};

/** The cursor where it is now: the pointer keeps its pixel and the keyboard its second while the picture moves. */
function currentCursor({ cursor, viewport }: Snapshot): Cursor | null {
  if (cursor === null) return null;
  if (deskOf(page).keyboardCursor) {
    return { ...cursor, x: viewport.xOfSecond(cursor.window - 0.5), y: viewport.yOfTicks(cursor.ticks) };
  }
  return { ...cursor, window: viewport.windowAt(cursor.x), ticks: viewport.ticksAt(cursor.y) };
}

// ---- the crosshair

function drawCrosshair(
  g: CanvasRenderingContext2D, cursor: Cursor | null, snapshot: Snapshot, width: number, height: number,
): void {
  if (cursor === null) {
    box.hidden = true;
    return;
  }
  const { viewport, history } = snapshot;
  const x = viewport.xOfSecond(cursor.window - 0.5);
  const y = viewport.yOfTicks(cursor.ticks);
  g.strokeStyle = sketch.colour('bright');
  g.strokeRect(
    Math.round(viewport.xOfSecond(cursor.window - 1)) - 0.5, Math.round(y - viewport.pxPerTick / viewport.dpr / 2) - 0.5,
    Math.max(2, viewport.pxPerSecond / viewport.dpr) + 1, Math.max(2, viewport.pxPerTick / viewport.dpr) + 1,
  );
  const held = cursor.window >= history.oldest && cursor.window <= history.head;
  const numbers = held ? feedsOf(page).secondAt(cursor.window) : null;
  writeBox(cursor, snapshot, held, numbers);
  box.hidden = false;
  // beside the crosshair, on the side with more room
  const { offsetWidth: w, offsetHeight: h } = box;
  const left = x + 14 + w < width || x < w + 14 ? x + 14 : x - 14 - w;
  const top = y + 14 + h < height ? y + 14 : y - 14 - h;
  box.style.transform = `translate(${Math.round(Math.max(2, Math.min(width - w - 2, left)))}px, ${Math.round(Math.max(2, top))}px)`;
}

/** The rows of the read-out: a name, and a value for each side that has a row at the price. */
export function cellRows(numbers: SecondNumbers, ticks: number): readonly (readonly string[])[] {
  const { wall } = numbers;
  const sides = (['ask', 'bid'] as const).map((side) => ({ side, row: rowAt(wall, side, ticks) })).filter(({ row }) => row >= 0);
  const each = (name: string, value: (row: number) => string): string[] => [name, ...sides.map(({ row }) => value(row))];
  const words = sides.map(({ side }) => SIDE_WORD[side]);
  const rows: string[][] = sides.length === 0 ? [['depth', 'none at this price']] : [
    ...(sides.length === 2 ? [['', ...words]] : []),
    each(sides.length === 2 ? 'lots' : words[0]!, (row) => `${lotsText(wall.end[row]!)}${sides.length === 2 ? '' : ' lots'}`),
    each('resting', (row) => lotsText(wall.rest[row]!)),
    each('fleeting', (row) => lotsText(wall.end[row]! - wall.rest[row]!)),
    each('at the start', (row) => lotsText(wall.start[row]!)),
    each('added', (row) => lotsText(wall.add[row]!)),
    each('pulled', (row) => (wall.pull[row]! > 0 ? `${lotsText(wall.pull[row]!)} (${lotsText(wall.pullRest[row]!)} resting)` : '0')),
    each('filled', (row) => lotsText(wall.fill[row]!)),
    each('vacuum flow', (row) => scoreText(numbers.vacuumFlow[row]!)),
    each('vacuum', (row) => scoreText(numbers.vacuumScore[row]!)),
  ];
  const gamma = numbers.gamma.get(ticks);
  if (gamma !== undefined && gamma.call + gamma.put > 0) {
    rows.push(['gamma calls', gammaText(gamma.call)], ['gamma puts', gammaText(gamma.put)], ['imbalance', signedText(gamma.imbalance, scoreText)]);
  }
  return rows;
}

function writeBox(cursor: Cursor, snapshot: Snapshot, held: boolean, numbers: SecondNumbers | null): void {
  const { source, history } = snapshot;
  const slot = held ? history.slotOf(cursor.window) : -1;
  const spot = slot >= 0 ? history.spot[slot]! : Number.NaN;
  const away = cursor.ticks - spot;
  const title = `${priceText(cursor.ticks, source!.tick)}  ${newYorkTime(cursor.window)}`;
  const place = Number.isNaN(away) ? '' : away === 0 ? 'at spot' : `${signedText(away, String)} ticks`;
  const rows: readonly (readonly string[])[] = !held
    ? [['', cursor.window > history.head ? 'not yet' : cursor.window < source!.firstWindow ? 'before the first second of the day' : 'older than the half hour held']]
    : numbers !== null ? cellRows(numbers, cursor.ticks)
    : [['', feedsOf(page).refusal ?? '…']];
  const text = JSON.stringify([title, place, rows]);
  if (text === boxText) return;
  boxText = text;
  box.replaceChildren(
    el('div', { class: 'cell-title' }, title), el('div', { class: 'cell-place' }, place),
    el('div', { class: 'cell-rows', role: 'table' }, ...rows.map(([name, ...values]) => el('div', { role: 'row' },
      el('span', { role: 'rowheader' }, name!), ...values.map((value) => el('span', { role: 'cell' }, value))))),
  );
  box.dataset['ready'] = String(numbers !== null);
}

// ---- measuring

function placeMeasure(snapshot: Snapshot, width: number, height: number): void {
  const { measure, viewport, source, day, history } = snapshot;
  measureBox.hidden = measure === null;
  if (measure === null || source === null) return;
  const [x0, x1] = [viewport.xOfSecond(measure.from.window - 0.5), viewport.xOfSecond(measure.to.window - 0.5)];
  const [y0, y1] = [viewport.yOfTicks(measure.from.ticks), viewport.yOfTicks(measure.to.ticks)];
  const result = measured(measure, source.tick, day, history.head);
  const volume = Number.isNaN(result.buyQty) ? 'volume unknown'
    : `${lotsText(result.buyQty + result.sellQty)} lots traded, ${lotsText(result.buyQty)} bought, ${lotsText(result.sellQty)} sold`;
  const text = `${signedText(result.ticks, String)} ticks (${signedText(result.points, (points) => points.toFixed(2))} points) · `
    + `${durationText(result.seconds)} · ${volume}`;
  if (measureBox.textContent !== text) measureBox.textContent = text;
  const { offsetWidth: w, offsetHeight: h } = measureBox;
  const left = Math.max(2, Math.min(width - w - 2, (x0 + x1) / 2 - w / 2));
  const above = Math.min(y0, y1) - h - 6;
  const top = above > 2 ? above : Math.min(height - h - 2, Math.max(y0, y1) + 6);
  measureBox.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

/** While a measure follows the crosshair, a click ends it; whoever moves the pointer takes the crosshair from the keys. */
function bindPointer(picture: HTMLElement): void {
  picture.addEventListener('pointerdown', (event) => {
    const desk = deskOf(page);
    if (!desk.measuring || event.button !== 0) return;
    // not the heatmap's: it would begin a drag and take the measure away
    event.stopPropagation();
    event.preventDefault();
    desk.toggleMeasure();
  }, { capture: true });
  picture.addEventListener('pointermove', () => { deskOf(page).keyboardCursor = false; }, { capture: true });
}
