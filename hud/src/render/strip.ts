/**
 * A picture that is wider than its view: when the view moves on, the picture is pushed to the left under it and only
 * what is new is painted. When the spare pixels are used up it is painted anew from the left edge of the view.
 */

/** Spare device pixels: minutes of a running clock, and little memory. */
const ROOM_PX = 256;

export class Strip {
  private originPx = Number.NaN;
  private leftPx = Number.NaN;
  private widthPx = 0;

  /** Device pixels of the whole picture. */
  get canvasPx(): number {
    return this.widthPx + ROOM_PX;
  }

  /** Device pixels from the picture's left edge to the view's. */
  get offsetPx(): number {
    return this.leftPx - this.originPx;
  }

  /** Look at a view whose left edge is this pixel of the world; whether it lies on the picture as painted. */
  show(leftPx: number, widthPx: number): boolean {
    const isKept = widthPx === this.widthPx && leftPx >= this.originPx && leftPx - this.originPx <= ROOM_PX;
    if (isKept) this.leftPx = leftPx;
    else this.restart(leftPx, widthPx);
    return isKept;
  }

  /** Paint anew: the view's left edge becomes the picture's. */
  restart(leftPx: number, widthPx: number): void {
    this.originPx = this.leftPx = leftPx;
    this.widthPx = widthPx;
  }
}

interface Shown {
  offsetPx: number;
  widthPx: number;
  dpr: number;
}
const shown = new WeakMap<HTMLCanvasElement, Shown>();

const moved = new Map<HTMLCanvasElement, Shown & { readonly canvasPx: number; readonly isOther: boolean }>();

/** Put the canvas of a strip where its view is, at the end of the frame. @param canvasPx its width in device pixels, 0 to leave it */
export function placeStrip(canvas: HTMLCanvasElement, strip: Strip, widthPx: number, dpr: number, canvasPx = strip.canvasPx): void {
  const before = shown.get(canvas);
  const { offsetPx } = strip;
  if (before?.offsetPx === offsetPx && before.widthPx === widthPx && before.dpr === dpr) return;
  const isOther = before?.widthPx !== widthPx || before.dpr !== dpr || (moved.get(canvas)?.isOther ?? false);
  const now = { offsetPx, widthPx, dpr, canvasPx, isOther };
  shown.set(canvas, now);
  moved.set(canvas, now);
}

/**
 * Move the canvases of this frame. After everything is drawn: a canvas that sets a text after an element was moved
 * makes the browser work out all styles at once.
 */
export function moveStrips(): void {
  for (const [canvas, { offsetPx, dpr, canvasPx, isOther }] of moved) {
    if (isOther && canvasPx > 0) canvas.style.width = `${canvasPx / dpr}px`;
    canvas.style.transform = `translateX(${-offsetPx / dpr}px)`;
  }
  moved.clear();
}

/** Which pixels of a canvas are seen: all of them, unless it is a strip. */
export function shownPart(canvas: HTMLCanvasElement): { readonly x: number; readonly width: number } {
  const part = shown.get(canvas);
  return part === undefined ? { x: 0, width: canvas.width } : { x: part.offsetPx, width: part.widthPx };
}
