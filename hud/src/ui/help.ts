/** All keys, from the table that binds them. */
import { element as el } from './dom';
import { keyName, KEYS } from './keymap';
import type { Panel } from './panel';

export const help: Panel = {
  id: 'help',
  mount(host) {
    const dialog = host as HTMLDialogElement;
    dialog.setAttribute('aria-labelledby', 'help-title');
    const groups = [...new Set(KEYS.map((binding) => binding.group))];
    dialog.append(
      el('header', {}, el('h2', { id: 'help-title' }, 'Keys'),
        el('button', { type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, '×')),
      el('p', {}, 'Bright bands are orders that rest: bids blue to green below, offers red to orange above; white is price. '
        + 'The dot on the line at the lower right leans to the side that is thinner than in the last half hour. '
        + 'That describes the book; it is no forecast. The legend (L) explains the rest.'),
      el('div', { class: 'key-groups' }, ...groups.map((group) => el('section', {}, el('h3', {}, group),
        el('dl', {}, ...KEYS.filter((binding) => binding.group === group).flatMap((binding) => [
          el('dt', {}, ...binding.keys.flatMap((key, i) => [i > 0 ? ' ' : '', el('kbd', {}, keyName(key))])),
          el('dd', {}, binding.title),
        ]))))),
      el('p', {}, 'Pointer: wheel zooms prices, Shift and wheel zooms time, drag moves and locks the picture, Shift and drag measures. '
        + 'Tab walks through buttons, sliders and fields.'),
    );
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  },
  draw() {},
};
