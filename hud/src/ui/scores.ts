/**
 * The scores: which way is easier, calmly. Bars show how far the smoothed value lies from the half hour's median,
 * outward for easier; a thin mark is the second's raw value. Words, not colours, say what is EMPTY or stale.
 */
import { BANDS, COMPONENTS, DIRECTIONS, type Band, type BandComponentName, type Direction } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { Made } from '../model/made';
import { DEAD_ZONE, FULL_DEVIATION, MEDIAN_MIN_WINDOWS, ScoreReader, SMOOTHING_SECONDS, verdict, type Reading } from '../model/scores';
import { BAND_TICKS } from './bands';
import { describe } from './canvas';
import { element as el, setClass, setHidden, setText } from './dom';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { scoreText, signedText } from './text';

type RowKey = 'spot' | 'touch' | Band;
const ROWS: readonly RowKey[] = ['spot', 'touch', ...BANDS];
const ROW_LABELS: Readonly<Record<RowKey, string>> = {
  spot: 'SCORE', touch: 'TOUCH', at: `AT ${BAND_TICKS.at}`, near: `NEAR ${BAND_TICKS.near}`, mid: `MID ${BAND_TICKS.mid}`, far: `FAR ${BAND_TICKS.far}`,
};
const ROW_TITLES: Readonly<Record<RowKey, string>> = {
  spot: 'Stored score, AT and NEAR weighted 60:40, distances from the last trade',
  touch: 'The same with distances from the side\'s own best price: it does not jump with the bounce between bid and ask',
  at: 'Ease 0-2 ticks from spot', near: 'Ease 3-5 ticks from spot', mid: 'Ease 6-14 ticks from spot, not in the score',
  far: 'Ease 15-20 ticks from spot, not in the score',
};

interface Bar {
  readonly cell: HTMLElement;
  readonly fill: HTMLElement;
  readonly ghost: HTMLElement;
  readonly empty: HTMLElement;
  readonly value: HTMLElement;
  /** What is shown: the reading, in words, and as shares of the cell. */
  reading: Reading | null;
  isEmpty: boolean;
  readonly words: () => string;
  readonly name: () => string;
  left: number;
  wide: number;
  ghostLeft: number;
}

let page: PanelContext;
let host: HTMLElement;
let stale: HTMLElement;
let tug: { readonly marker: HTMLElement; readonly ghost: HTMLElement; readonly text: HTMLElement; readonly words: HTMLElement };
const bars: Record<Direction, Partial<Record<RowKey, Bar>>> = { above: {}, below: {} };
const reader = new ScoreReader();
const made = new Made();

/** Names of what the ease of a band is made of. */
const partsOf = (direction: Direction): Readonly<Record<Band, readonly BandComponentName[]>> => {
  const parts = (band: Band): readonly BandComponentName[] => COMPONENTS.map((what) => `${direction}_${band}_${what}` as const);
  return { at: parts('at'), near: parts('near'), mid: parts('mid'), far: parts('far') };
};
const PARTS = { above: partsOf('above'), below: partsOf('below') };

/** Share of half a bar, -1 .. 1. */
const shareOf = (deviation: number): number => Math.max(-1, Math.min(1, deviation / FULL_DEVIATION));

/** Place on the tug's line, -1 .. 1. */
function setPlace(mark: HTMLElement, share: number): void {
  const place = inSteps(share);
  if (places.get(mark) === place) return;
  places.set(mark, place);
  mark.style.left = `${50 + 50 * place}%`;
}
const places = new Map<HTMLElement, number>();

function makeBar(direction: Direction, row: RowKey, name: string): Bar {
  const fill = el('i', { class: 'fill' });
  const ghost = el('i', { class: 'ghost' });
  const empty = el('span', { class: 'empty', hidden: true }, 'EMPTY');
  const cell = el('div', { class: `bar ${direction}` }, el('i', { class: 'zero' }), fill, ghost, empty);
  const value = el('output', { class: `value ${direction}`, id: `score-${direction}-${row}` });
  const words = (): string => {
    const { reading, isEmpty } = bar;
    if (reading === null) return '';
    return isEmpty ? 'EMPTY, no level holds depth'
      : `${scoreText(reading.mean)} smoothed, ${scoreText(reading.raw)} this second, median ${scoreText(reading.median)}`;
  };
  const bar: Bar = {
    cell, fill, ghost, empty, value, words, name: () => `${name} ${direction}: ${words()}`, reading: null, isEmpty: false,
    left: Number.NaN, wide: Number.NaN, ghostLeft: Number.NaN,
  };
  // the bar says in words what it shows to whoever points at it; nobody else reads a title
  cell.addEventListener('pointerenter', () => { cell.title = bar.words(); });
  return bar;
}

/** Share of a bar in steps that are finer than a pixel of it. */
const inSteps = (share: number): number => Math.round(share * 1000) / 1000;

function drawBar(bar: Bar, direction: Direction, reading: Reading, isEmpty: boolean): void {
  bar.reading = reading;
  bar.isEmpty = isEmpty;
  // outward is easier: to the right above, to the left below
  const sign = direction === 'above' ? 1 : -1;
  const share = isEmpty || Number.isNaN(reading.deviation) ? 0 : shareOf(reading.deviation) * sign;
  const raw = reading.raw - reading.median;
  const left = inSteps(0.5 + Math.min(0, share) / 2);
  const wide = inSteps(Math.abs(share) / 2);
  if (left !== bar.left) bar.fill.style.left = `${(bar.left = left) * 100}%`;
  if (wide !== bar.wide) bar.fill.style.width = `${(bar.wide = wide) * 100}%`;
  setClass(bar.fill, 'easier', reading.deviation > 0);
  const isGhost = !isEmpty && !Number.isNaN(raw);
  setHidden(bar.ghost, !isGhost);
  const ghostLeft = isGhost ? inSteps(0.5 + shareOf(raw) * sign / 2) : bar.ghostLeft;
  if (ghostLeft !== bar.ghostLeft) bar.ghost.style.left = `${(bar.ghostLeft = ghostLeft) * 100}%`;
  setHidden(bar.empty, !isEmpty);
  setText(bar.value, isEmpty ? '–' : scoreText(reading.mean));
  describe(bar.value, bar.name);
}

export const scores: Panel = {
  id: 'scores',
  mount(element, context) {
    page = context;
    host = element;
    host.setAttribute('aria-label', 'Scores');
    stale = el('span', { class: 'stale', role: 'status' });
    const marker = el('i', { class: 'marker' });
    const ghost = el('i', { class: 'ghost' });
    const text = el('output', { id: 'score-tug', class: 'tug-text' });
    const words = el('span', { class: 'verdict' }, 'ease of up against down');
    tug = { marker, ghost, text, words };
    const grid = el('div', { class: 'score-grid' });
    for (const row of ROWS) {
      const name = row === 'spot' ? 'Score' : row === 'touch' ? 'Touch score' : ROW_LABELS[row];
      const [below, above] = [makeBar('below', row, name), makeBar('above', row, name)];
      bars.below[row] = below;
      bars.above[row] = above;
      grid.append(below.value, below.cell, el('span', { class: 'row-label', title: ROW_TITLES[row] }, ROW_LABELS[row]), above.cell, above.value);
    }
    host.append(
      el('header', { title: `Ease: how little stands in the way, 0 thick to 1 thin. Mean over ${SMOOTHING_SECONDS} s against the half hour's median; differences under ${DEAD_ZONE} are not shown. It describes the book; it is not a forecast.` },
        words, stale),
      el('div', { class: 'tug' }, el('span', { class: 'end below' }, '◂ down easier'),
        el('div', { class: 'tug-line' }, el('div', { class: 'tug-room' }, el('i', { class: 'zero' }), ghost, marker)),
        el('span', { class: 'end above' }, 'up easier ▸'), text),
      grid,
    );
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { history, stage } = page.store.snapshot;
    if (stage !== 'ready' || history.isEmpty) return;
    const { context } = feedsOf(page);
    if (made.isFrom(history.version, context)) return;
    const readings = reader.readingsAt(history, history.head);
    setClass(host, 'is-stale', readings.stale !== null);
    const young = Number.isNaN(readings.above.median) ? `no median in the first ${MEDIAN_MIN_WINDOWS} s` : '';
    setText(stale, readings.stale === null ? young : `stale: ${readings.stale}`);

    const { tug: pull } = readings;
    const share = Number.isNaN(pull.deviation) ? 0 : shareOf(pull.deviation);
    setPlace(tug.marker, share);
    setHidden(tug.marker, Number.isNaN(pull.deviation));
    const hasGhost = !Number.isNaN(pull.raw - pull.median);
    setHidden(tug.ghost, !hasGhost);
    if (hasGhost) setPlace(tug.ghost, shareOf(pull.raw - pull.median));
    setText(tug.words, readings.stale === null && !Number.isNaN(pull.deviation) ? verdict(pull.deviation) : 'ease of up against down');
    const mean = signedText(pull.mean, scoreText);
    setText(tug.text, mean);
    describe(tug.text, () => `Ease above less ease below ${mean} smoothed, ${signedText(pull.raw, scoreText)} this second`);

    for (const direction of DIRECTIONS) {
      const rows = bars[direction];
      drawBar(rows.spot!, direction, readings[direction], false);
      drawBar(rows.touch!, direction, direction === 'above' ? readings.aboveTouch : readings.belowTouch, false);
      for (const band of BANDS) drawBar(rows[band]!, direction, readings.bands[direction][band], isEmpty(direction, band));
    }

    function isEmpty(direction: Direction, band: Band): boolean {
      // the count of the head when it is here; while it is on its way, three zeros mean that no row is present
      if (context !== null && context.window === history.head) return context.levelCount[direction][band] === 0;
      const slot = history.slotOf(history.head);
      return slot >= 0 && PARTS[direction][band].every((name) => history.bands[name][slot] === 0);
    }
  },
};
