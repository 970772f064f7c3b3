/** Connects the rooms: store, session, panels, frames. Decides nothing. */
import { InvalidateLevel } from './model/invalidate';
import { PageStore } from './model/page_store';
import { Session } from './session';
import { readBookmark } from './ui/bookmarks';
import { Frames } from './ui/frames';
import { Heatmap } from './ui/heatmap';
import { bindKeys } from './ui/keyboard';
import { Minimap } from './ui/minimap';
import type { Panel, PanelContext } from './ui/panel';
import { PANELS } from './ui/panels';
import { TransportBar } from './ui/transport_bar';
import { HttpApi } from './wire/http';

const page = new URL(location.href);
const store = new PageStore();
const api = new HttpApi('');
const opening = readBookmark(page);
store.open(opening);

// asked for before anything is built: the answer travels meanwhile
const session = new Session(store, api, {
  connect: (url) => new WebSocket(url),
  after: (ms, run) => window.setTimeout(run, ms),
  cancel: (timer) => window.clearTimeout(timer),
}, opening, () => performance.now());
void session.run();

const heatmap = new Heatmap(store, page.searchParams.get('renderer') === 'canvas2d');
const panels: readonly Panel[] = [heatmap, new TransportBar(), new Minimap(), ...PANELS];
const frames = new Frames((level, nowMs) => {
  const more = store.animate(nowMs);
  for (const panel of panels) panel.draw(more ? InvalidateLevel.Full : level);
  return more;
}, (run) => requestAnimationFrame(run));

const context: PanelContext = { store, api, redraw: (level) => frames.request(level) };
for (const panel of panels) {
  const host = document.getElementById(`panel-${panel.id}`);
  if (!host) throw new Error(`index.html has no panel-${panel.id}`);
  panel.mount(host, context);
}
bindKeys(context);
store.subscribe((level) => frames.request(level));
window.addEventListener('online', () => session.hurry());
// a page that comes back from the background shows the present at once
document.addEventListener('visibilitychange', () => frames.request(InvalidateLevel.Full));

// For tests and for the curious: what the page knows and what the renderer holds. Nothing in the page uses it.
declare global {
  interface Window { spymaster: { store: PageStore; heatmap: Heatmap; frames: Frames } }
}
window.spymaster = { store, heatmap, frames };
