/** Sentences over the picture: loading, what failed and its cure, what the connection missed, the last alert. */
import { InvalidateLevel } from '../model/invalidate';
import { Made } from '../model/made';
import { element as el, setText } from './dom';
import type { Panel, PanelContext } from './panel';

/** A notice that reports something past goes by itself. */
const NOTICE_MS = 9000;

const made = new Made();
let page: PanelContext;
let loading: HTMLElement;
let error: HTMLElement;
let errorText: HTMLElement;
let notice: HTMLElement;
let noticeText: HTMLElement;
let timer = 0;

export const noticePanel: Panel = {
  id: 'notice',
  mount(host, context) {
    page = context;
    loading = host.querySelector('.loading')!; // stands in index.html: the page says it before its script is here
    errorText = el('span', {});
    error = el('div', { class: 'sentence bad', role: 'alert', hidden: true }, errorText,
      el('button', { type: 'button', onclick: () => location.reload() }, 'Reload'));
    noticeText = el('span', {});
    notice = el('div', { class: 'sentence', role: 'status', hidden: true }, noticeText,
      el('button', { type: 'button', 'aria-label': 'Close this message', onclick: () => page.store.actions.setNotice(null) }, '×'));
    host.append(error, notice);
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { stage, error: text, connection } = page.store.snapshot;
    if (made.isFrom(stage, text, connection.notice)) return;
    loading.hidden = stage !== 'loading' || text !== null;
    error.hidden = text === null;
    if (text !== null) setText(errorText, text);
    notice.hidden = connection.notice === null;
    if (connection.notice !== null && noticeText.textContent !== connection.notice) {
      setText(noticeText, connection.notice);
      window.clearTimeout(timer);
      const shown = connection.notice;
      timer = window.setTimeout(() => {
        if (page.store.snapshot.connection.notice === shown) page.store.actions.setNotice(null);
      }, NOTICE_MS);
    } else if (connection.notice === null) setText(noticeText, '');
  },
};
