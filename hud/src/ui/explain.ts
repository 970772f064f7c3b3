/** What the scores of one second are made of: six terms each way, which add up to the score. */
import { explain as explainScore, TERM_WORDS, type Explanation } from '../model/explain';
import { DIRECTIONS } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { newYorkTime, type WindowNo } from '../units/time';
import { BAND_TICKS } from './bands';
import { deskOf } from './desk';
import { element as el } from './dom';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { scoreText } from './text';

let page: PanelContext;
let host: HTMLElement;
let shown = '';

/** The second under the crosshair, else the head. */
function wantedWindow(): WindowNo {
  const { cursor, history } = page.store.snapshot;
  return cursor !== null && history.slotOf(cursor.window) >= 0 ? cursor.window : history.head;
}

function table(explanations: readonly [Explanation, Explanation], touch: readonly [number, number]): HTMLElement {
  const [above, below] = explanations;
  const bar = (value: number, most: number): HTMLElement => {
    const fill = el('i', {});
    fill.style.width = `${(value / most) * 100}%`;
    return el('span', { class: 'term-bar', 'aria-hidden': 'true' }, fill);
  };
  const rows = above.terms.map((term, i) => el('tr', {},
    el('th', { scope: 'row' }, `${term.band.toUpperCase()} ${BAND_TICKS[term.band]} ${TERM_WORDS[term.name]}`),
    el('td', {}, bar(below.terms[i]!.value, term.most), below.terms[i]!.value.toFixed(3)),
    el('td', {}, bar(term.value, term.most), term.value.toFixed(3))));
  const total = (name: string, low: string, high: string): HTMLElement =>
    el('tr', { class: 'total' }, el('th', { scope: 'row' }, name), el('td', {}, low), el('td', {}, high));
  return el('table', {},
    el('thead', {}, el('tr', {}, el('th', {}, ''), el('th', { scope: 'col' }, 'below'), el('th', { scope: 'col' }, 'above'))),
    el('tbody', {}, ...rows, total('sum = score', below.score.toFixed(3), above.score.toFixed(3)),
      total('touch score', scoreText(touch[1]), scoreText(touch[0]))));
}

export const explain: Panel = {
  id: 'explain',
  mount(element, context) {
    page = context;
    host = element;
    host.setAttribute('aria-label', 'Terms of the scores');
  },
  draw(level) {
    if (level === InvalidateLevel.None || !deskOf(page).isOpen('explain')) return;
    const { history, stage } = page.store.snapshot;
    if (stage !== 'ready' || history.isEmpty) return;
    const window = wantedWindow();
    const numbers = feedsOf(page).secondAt(window);
    const key = `${window} ${numbers === null}`;
    if (key === shown) return;
    // while the pointer runs the second before stays; it says which one it is
    if (numbers === null && shown !== '') return;
    shown = key;
    const slot = history.slotOf(window);
    const title = el('h2', {}, `Terms of the scores, ${newYorkTime(window)}`);
    if (numbers === null || slot < 0) {
      host.replaceChildren(title, el('p', {}, 'Waiting for numbers.'));
      return;
    }
    const [above, below] = DIRECTIONS.map((direction) =>
      explainScore(direction, (band, what) => numbers.component(direction, band, what), numbers.hasSpot)) as [Explanation, Explanation];
    const touch = [history.scores.above_touch_score[slot]!, history.scores.below_touch_score[slot]!] as const;
    host.replaceChildren(title, table([above, below], touch),
      el('p', {}, numbers.hasSpot ? 'The second itself, not smoothed. Higher is easier; it describes, it does not forecast.' : 'No spot yet, so no score.'));
    host.dataset['window'] = String(window);
  },
};
