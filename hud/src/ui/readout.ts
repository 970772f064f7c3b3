/** Right half of the head: the second, the touch, and the buttons. */
import { InvalidateLevel } from '../model/invalidate';
import { rowAt } from '../model/ladder';
import { Made } from '../model/made';
import { followBookmark } from './bookmarks';
import { deskOf, type DrawerId } from './desk';
import { element as el, setAttribute, setText } from './dom';
import { feedsOf } from './feeds';
import type { Command } from './keymap';
import type { Panel, PanelContext } from './panel';
import { composePicture, savePicture } from './picture';
import { lotsText, priceText } from './text';

const made = new Made();
let page: PanelContext;
let parts: Readonly<Record<'spot' | 'bid' | 'ask' | 'spread', HTMLElement>>;
const drawerButtons = new Map<DrawerId, HTMLElement>();

const BUTTONS: readonly { command: Command; text: string; title: string; drawer?: DrawerId }[] = [
  { command: 'explain', text: 'Terms', title: 'Terms of the scores under the crosshair (E)', drawer: 'explain' },
  { command: 'alerts', text: 'Alerts', title: 'Alerts (A)', drawer: 'alerts' },
  { command: 'legend', text: 'Legend', title: 'Legend, layers and settings (L)', drawer: 'legend' },
  { command: 'picture', text: 'Save', title: 'Save the picture (S)' },
  { command: 'link', text: 'Link', title: 'Copy a link to this second and view (C)' },
  { command: 'help', text: '?', title: 'Keys (?)' },
];

/** Spread in ticks; a book whose bid stands above its offer says so. */
export function spreadText(ticks: number): string {
  if (Number.isNaN(ticks)) return '';
  return ticks < 0 ? `crossed ${-ticks}` : `${ticks} tick${ticks === 1 ? '' : 's'}`;
}

export const readout: Panel = {
  id: 'readout',
  mount(host, context) {
    page = context;
    followBookmark(context.store);
    const part = (name: string, title: string): HTMLElement => el('output', { class: name, title });
    parts = {
      spot: part('spot', 'Spot: the last trade'),
      bid: part('bid', 'Best bid and its lots at the second\'s end'),
      ask: part('ask', 'Best offer and its lots at the second\'s end'),
      spread: part('spread', 'Spread'),
    };
    const nav = el('nav', { 'aria-label': 'Page' });
    for (const { command, text, title, drawer } of BUTTONS) {
      const button = el('button', { type: 'button', title, 'aria-label': title, id: `button-${command}`, onclick: () => deskOf(page).run(command) }, text);
      if (drawer !== undefined) {
        setAttribute(button, 'aria-expanded', 'false');
        button.setAttribute('aria-controls', `panel-${drawer}`);
        drawerButtons.set(drawer, button);
      }
      nav.append(button);
    }
    host.append(parts.bid, parts.spot, parts.ask, parts.spread, nav);
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const desk = deskOf(page);
    if (desk.savePicture) {
      // this panel draws last: the frame is whole, and WebGL still holds its pixels
      desk.savePicture = false;
      const style = getComputedStyle(parts.spot);
      savePicture(composePicture(page.store.snapshot, style.getPropertyValue('--bg'), style.color, `12px ${style.fontFamily}`), page.store.snapshot);
    }
    for (const [drawer, button] of drawerButtons) setAttribute(button, 'aria-expanded', String(desk.isOpen(drawer)));
    const { history, source } = page.store.snapshot;
    const slot = history.slotOf(history.head);
    if (source === null || slot < 0) return;
    const [bid, ask] = [history.bestBid[slot]!, history.bestAsk[slot]!];
    if (made.isFrom(source, history.spot[slot], bid, ask, history.version, feedsOf(page).walls.version)) return;
    // the newest second whose numbers are here: at most a moment behind
    const { walls } = feedsOf(page);
    const wall = walls.get(walls.newest(history.head));
    const lots = (side: 'bid' | 'ask', ticks: number): string => {
      const row = wall === undefined || Number.isNaN(ticks) ? -1 : rowAt(wall, side, ticks);
      return row < 0 ? '' : lotsText(wall!.end[row]!);
    };
    setText(parts.spot, priceText(history.spot[slot]!, source.tick));
    const both = (...texts: readonly string[]): string => texts.filter((text) => text !== '').join(' × ');
    setText(parts.bid, both(lots('bid', bid), priceText(bid, source.tick)));
    setText(parts.ask, both(priceText(ask, source.tick), lots('ask', ask)));
    const spread = ask - bid;
    setText(parts.spread, spreadText(spread));
  },
};
