/** Connects the rooms: store, session, panels, frames. Decides nothing. */
import { openingSpan } from './model/follow';
import { InvalidateLevel } from './model/invalidate';
import { PageStore } from './model/page_store';
import { Session } from './session';
import { moveStrips } from './render/strip';
import { readBookmark } from './ui/bookmarks';
import { writeDescriptions } from './ui/canvas';
import { feedsOf } from './ui/feeds';
import { Frames } from './ui/frames';
import { Heatmap } from './ui/heatmap';
import { bindKeys } from './ui/keyboard';
import { Minimap } from './ui/minimap';
import type { Panel, PanelContext } from './ui/panel';
import { CANVAS_PANELS, TEXT_PANELS } from './ui/panels';
import { TransportBar } from './ui/transport_bar';
import { HttpApi } from './wire/http';

/** Seconds beyond the view: a pan finds something. */
const SPARE_SECONDS = 60;
/** A service that is slow to name its days shall not keep the page blank, nor a page in the background its older part. */
const PATIENCE_MS = 1000;

const page = new URL(location.href);
const store = new PageStore();
const api = new HttpApi('');
const opening = readBookmark(page);
store.open(opening);

/** Seconds that the view shows, or will show once it has a size: the heatmap takes seven tenths of a window's width. */
function shownWindows(): number {
  const { viewport: { widthPx, pxPerSecond }, settings: { roomSeconds } } = store.snapshot;
  if (widthPx > 1) return widthPx / pxPerSecond - roomSeconds + SPARE_SECONDS;
  return (opening.minutes ?? openingSpan(innerWidth * 0.7, innerHeight * 0.7).minutes) * 60 + SPARE_SECONDS;
}

/** The frame after the next one begins when the next one is out; a page in the background paints nothing, and waits no longer than this. */
function painted(): Promise<void> {
  return new Promise((done) => {
    requestAnimationFrame(() => requestAnimationFrame(() => done()));
    setTimeout(done, PATIENCE_MS);
  });
}

// asked for before anything is built: the answer travels while the picture's shaders are compiled
const session = new Session(store, api, {
  connect: (url) => new WebSocket(url),
  after: (ms, run) => window.setTimeout(run, ms),
  cancel: (timer) => window.clearTimeout(timer),
  now: () => performance.now(),
}, opening, () => performance.now(), shownWindows, painted);
void session.run();
await Promise.race([session.asked, new Promise((go) => setTimeout(go, PATIENCE_MS))]);

const heatmap = new Heatmap(store, page.searchParams.get('renderer'));
const panels: readonly Panel[] = [...CANVAS_PANELS, heatmap, new Minimap(), new TransportBar(), ...TEXT_PANELS];
const frames = new Frames((level, nowMs) => {
  const more = store.animate(nowMs);
  for (const panel of panels) panel.draw(more ? InvalidateLevel.Full : level);
  moveStrips();
  const { playing, ended } = store.snapshot.transport;
  writeDescriptions(playing && !ended);
  return more;
}, (run) => requestAnimationFrame(run));

const context: PanelContext = {
  store,
  api,
  redraw(level) {
    if (level === InvalidateLevel.Light) frames.soon(level, (ms, run) => window.setTimeout(run, ms));
    else frames.request(level);
  },
};
for (const panel of panels) {
  const host = document.getElementById(`panel-${panel.id}`);
  if (!host) throw new Error(`index.html has no panel-${panel.id}`);
  panel.mount(host, context);
}
session.onNumbers = (surface, table) => feedsOf(context).take(surface, table);
bindKeys(context);
store.subscribe((level) => frames.request(level));
window.addEventListener('online', () => session.hurry());
// a page that comes back from the background shows the present at once
document.addEventListener('visibilitychange', () => frames.request(InvalidateLevel.Full));

// For tests and for the curious: what the page knows and what the renderer holds. Nothing in the page uses it.
declare global {
  interface Window { spymaster: { store: PageStore; heatmap: Heatmap; frames: Frames; panels: readonly Panel[] } }
}
window.spymaster = { store, heatmap, frames, panels };
