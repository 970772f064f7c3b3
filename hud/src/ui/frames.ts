/** Draw on change: requests merge into one frame with the highest level; without a request nothing runs. */
import { InvalidateLevel } from '../model/invalidate';

/** Patience with numbers that may come in company; the eye does not see it. */
export const SOON_MS = 90;

export class Frames {
  private pending: InvalidateLevel = InvalidateLevel.None;
  private scheduled = false;
  private later: InvalidateLevel = InvalidateLevel.None;
  private waiting = false;
  /** Frames painted so far: for tests of idleness. */
  drawn = 0;

  /**
   * @param draw paints a frame; returns whether another is needed (an easing goes on)
   * @param schedule requestAnimationFrame
   */
  constructor(
    private readonly draw: (level: InvalidateLevel, nowMs: number) => boolean,
    private readonly schedule: (run: (nowMs: number) => void) => void,
  ) {}

  /** A frame within `SOON_MS`: numbers that panels fetched each second arrive one after the other and share one. */
  soon(level: InvalidateLevel, after: (ms: number, run: () => void) => void): void {
    if (level > this.later) this.later = level;
    if (this.waiting) return;
    this.waiting = true;
    after(SOON_MS, () => {
      this.waiting = false;
      const now = this.later;
      this.later = InvalidateLevel.None;
      this.request(now);
    });
  }

  request(level: InvalidateLevel): void {
    if (level > this.pending) this.pending = level;
    if (this.scheduled || this.pending === InvalidateLevel.None) return;
    this.scheduled = true;
    this.schedule((nowMs) => {
      this.scheduled = false;
      const now = this.pending;
      this.pending = InvalidateLevel.None;
      this.drawn++;
      if (this.draw(now, nowMs)) this.request(InvalidateLevel.Full);
    });
  }
}
