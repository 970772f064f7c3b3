/** The address bar as a bookmark: it follows the view quietly, and the page opens with what it says. */
import { bookmarkQuery } from '../model/bookmark';
import type { Store } from '../model/store';

export { readBookmark } from '../model/bookmark';

/** Link to what the page shows now. */
export function bookmarkUrl(store: Store): string {
  return `${location.origin}${location.pathname}${bookmarkQuery(store.snapshot)}`;
}

/**
 * The address is renewed at most so often: browsers refuse a page that does it in every frame, and while the clock
 * runs nobody reads it. A link that is copied is made anew.
 */
const FOLLOW_MS = 1500;
const FOLLOW_PLAYING_MS = 10_000;

/** Keep the address bar at the second and view shown. Does nothing while nothing changes. */
export function followBookmark(store: Store): void {
  let timer = 0;
  let wasPlaying = false;
  store.subscribe(() => {
    const { playing } = store.snapshot.transport;
    if (timer !== 0 && playing === wasPlaying) return;
    wasPlaying = playing;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      timer = 0;
      if (store.snapshot.stage !== 'ready') return;
      const query = bookmarkQuery(store.snapshot);
      if (query !== location.search) history.replaceState(null, '', `${location.pathname}${query}`);
    }, playing ? FOLLOW_PLAYING_MS : FOLLOW_MS);
  });
}
