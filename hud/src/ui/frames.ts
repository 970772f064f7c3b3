/** Draw on change: requests merge into one frame with the highest level; without a request nothing runs. */
import { InvalidateLevel } from '../model/invalidate';

export class Frames {
  private pending: InvalidateLevel = InvalidateLevel.None;
  private scheduled = false;
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
