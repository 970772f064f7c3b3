/** A strip below the picture: bars or a line per second, pushed along with the head; a second more draws its own end. */
import { Made } from '../model/made';
import type { ViewportView } from '../model/viewport';
import { placeStrip, Strip } from '../render/strip';

/** What has to be drawn: everything in sight of the clip, in CSS pixels from the view's left edge. */
export interface StripPart {
  readonly g: CanvasRenderingContext2D;
  /** First and last second whose bars or lines may touch the part. */
  readonly first: number;
  readonly last: number;
}

/** Neighbours that are drawn again with the newest second: they share a pixel or a joint with it. */
const AGAIN = 3;

export class StripSketch {
  private readonly canvas = document.createElement('canvas');
  private readonly g: CanvasRenderingContext2D;
  private readonly strip = new Strip();
  private readonly made = new Made();
  private drawnTo = Number.NaN;

  constructor(host: HTMLElement) {
    const g = this.canvas.getContext('2d');
    if (!g) throw new Error('the browser gives no 2d canvas; the picture cannot be drawn');
    this.g = g;
    this.canvas.setAttribute('aria-hidden', 'true');
    host.prepend(this.canvas);
  }

  /**
   * Show seconds `first` to `last` of a view. `parts`: what the drawing depends on besides time; when one of them
   * differs everything is drawn again. `draw` is called with what is missing, on an empty ground and clipped to it.
   */
  show(view: ViewportView, heightCss: number, first: number, last: number, parts: readonly unknown[], draw: (part: StripPart) => void): void {
    const { g, canvas, strip } = this;
    const { dpr, widthPx, leftPx, pxPerSecond } = view;
    const heightPx = Math.round(heightCss * dpr);
    const isSame = this.made.isFrom(dpr, heightPx, pxPerSecond, ...parts);
    const isKept = strip.show(leftPx, widthPx) && isSame;
    if (!isKept) {
      strip.restart(leftPx, widthPx);
      if (canvas.width !== strip.canvasPx || canvas.height !== heightPx) {
        canvas.width = strip.canvasPx;
        canvas.height = heightPx;
      }
    }
    if (!isKept || last > this.drawnTo) {
      const again = AGAIN + Math.ceil(2 * dpr / pxPerSecond);
      // whole pixels, so that the seam is none
      const fromPx = isKept ? Math.floor((this.drawnTo - AGAIN) * pxPerSecond) - leftPx : -strip.offsetPx;
      g.setTransform(1, 0, 0, 1, strip.offsetPx, 0);
      g.save();
      g.beginPath();
      g.rect(fromPx, 0, strip.canvasPx, heightPx);
      g.clip();
      g.clearRect(fromPx, 0, strip.canvasPx, heightPx);
      g.scale(dpr, dpr);
      draw({ g, first: isKept ? Math.max(first, Math.floor(this.drawnTo) - AGAIN - again) : first, last });
      g.restore();
      this.drawnTo = last;
    }
    placeStrip(canvas, strip, widthPx, dpr);
  }
}
