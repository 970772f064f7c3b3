/** The address bar as a bookmark: it follows the view quietly, and the page opens with what it says. */
import { bookmarkQuery } from '../model/bookmark';
import type { Store } from '../model/store';

export { readBookmark } from '../model/bookmark';

/** Link to what the page shows now. */
export function bookmarkUrl(store: Store): string {
  return `${location.origin}${location.pathname}${bookmarkQuery(store.snapshot)}`;
}

/**
 * The address is renewed at most so often: it takes the browser as long as several seconds of the market, and while
 * the clock runs nobody reads it. When the pointer leaves the page, on its way to the address perhaps, or the page is
 * left, it is renewed at once; a link that is copied is made anew.
 */
const FOLLOW_MS = 1500;
const FOLLOW_PLAYING_MS = 60_000;

/** Keep the address bar at the second and view shown. Does nothing while nothing changes. */
export function followBookmark(store: Store): void {
  let timer = 0;
  let wasPlaying = false;
  const renew = (): void => {
    if (store.snapshot.stage !== 'ready') return;
    const query = bookmarkQuery(store.snapshot);
    if (query !== location.search) history.replaceState(null, '', `${location.pathname}${query}`);
  };
  store.subscribe(() => {
    const { playing } = store.snapshot.transport;
    if (timer !== 0 && playing === wasPlaying) return;
    wasPlaying = playing;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      timer = 0;
      renew();
    }, playing ? FOLLOW_PLAYING_MS : FOLLOW_MS);
  });
  document.documentElement.addEventListener('mouseleave', renew);
  window.addEventListener('blur', renew);
  document.addEventListener('visibilitychange', renew);
}
