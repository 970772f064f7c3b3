/** A canvas of a panel: fills its host, has a name, and takes colours and fonts from the stylesheet. */
import { Made } from '../model/made';
import type { ViewportView } from '../model/viewport';
import { FittedCanvas, setAttribute, type Room } from './dom';

export interface Sheet {
  readonly g: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
}

export class Sketch {
  private readonly fitted: FittedCanvas;
  private readonly colours = new Map<string, string>();
  private palette = '';
  private fontSize = 12;
  private fontSizeOf = -1;
  private readonly made = new Made();

  /** `label` is what the canvas is called by those who do not see it. */
  constructor(private readonly host: HTMLElement, label: string) {
    this.fitted = new FittedCanvas(host);
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', label);
  }

  get canvas(): HTMLCanvasElement {
    return this.fitted.canvas;
  }

  /** CSS pixels of the host, the same object while they are; null while it is not shown. */
  get room(): Room | null {
    return this.fitted.room;
  }

  /** Say in words what is drawn: asked for when it is written, see `writeDescriptions`. */
  describe(text: () => string): void {
    describe(this.canvas, text);
  }

  /**
   * A clean sheet of the host's size; null while the host is not shown, and when the drawing on it was made from the
   * same `parts`: everything it depends on besides size and palette.
   */
  begin(...parts: readonly unknown[]): Sheet | null {
    const sheet = this.resume(...parts);
    if (sheet !== null && !sheet.isBare) sheet.g.clearRect(0, 0, sheet.width, sheet.height);
    return sheet;
  }

  /**
   * As `begin`, with what is drawn left on the sheet: for a drawing that changes what differs. `isBare` when nothing
   * of it can stay: another size, another palette, or the first time.
   */
  resume(...parts: readonly unknown[]): (Sheet & { readonly isBare: boolean }) | null {
    const palette = paletteShown;
    if (this.made.isFrom(palette, this.fitted.generation, window.devicePixelRatio, ...parts)) return null;
    const size = this.fitted.keep();
    if (size === null) {
      this.made.isFrom();
      return null;
    }
    const { context } = this.fitted;
    let { isBare } = size;
    if (isBare) {
      context.textBaseline = 'middle';
      this.fontSet = '';
    }
    if (palette !== this.palette) {
      this.palette = palette;
      this.colours.clear();
      isBare = true;
    }
    if (this.generation !== this.fitted.generation) {
      // the stylesheet may give another size of type at another size of the page
      this.generation = this.fitted.generation;
      isBare = true;
    }
    if (isBare) context.clearRect(0, 0, size.width, size.height);
    return { g: context, width: size.width, height: size.height, isBare };
  }
  private generation = -1;
  private fontSet = '';

  /** Use the font of the page at a share of its size. */
  useFont(share = 1): void {
    const font = this.font(share);
    if (font === this.fontSet) return;
    this.fontSet = font;
    this.fitted.context.font = font;
  }

  /** Colour of a variable of the stylesheet, of the palette in use. */
  colour(name: string): string {
    let value = this.colours.get(name);
    if (value === undefined) {
      value = getComputedStyle(this.host).getPropertyValue(`--${name}`).trim();
      this.colours.set(name, value);
    }
    return value;
  }

  /** Font size of the host in CSS pixels; asked for once per size of the host. */
  get size(): number {
    if (this.fontSizeOf !== this.fitted.generation) {
      this.fontSize = parseFloat(getComputedStyle(this.host).fontSize);
      this.fontSizeOf = this.fitted.generation;
    }
    return this.fontSize;
  }

  /** Font of the page at a share of its size, weight optional. */
  font(share = 1, weight = 400): string {
    const size = this.size;
    if (this.fontOf.size !== size || this.fontOf.share !== share || this.fontOf.weight !== weight) {
      this.fontOf = { size, share, weight, text: `${weight} ${Math.max(10, size * share)}px ${this.colour('font')}` };
    }
    return this.fontOf.text;
  }
  private fontOf = { size: -1, share: 1, weight: 400, text: '' };
}

const unwritten = new Map<Element, () => string>();
let writtenMs = Number.NEGATIVE_INFINITY;
/** A name that changes every second cannot be read to anybody; this often it is renewed while the clock runs. */
const WORDS_EVERY_MS = 5000;

/** What an element is called by those who do not see it: asked for when it is written. */
export function describe(element: Element, text: () => string): void {
  unwritten.set(element, text);
}

/** The same at once, whatever waits to be written. */
export function describeNow(element: Element, text: string): void {
  unwritten.delete(element);
  setAttribute(element, 'aria-label', text);
}

/** Write what canvases and bars say of themselves: at once where the clock stands, every few seconds where it runs. */
export function writeDescriptions(isRunning: boolean): void {
  const nowMs = performance.now();
  if (unwritten.size === 0 || (isRunning && nowMs - writtenMs < WORDS_EVERY_MS)) return;
  writtenMs = nowMs;
  for (const [canvas, text] of unwritten) setAttribute(canvas, 'aria-label', text());
  unwritten.clear();
}

/** Palette of the stylesheet, which every drawing reads: remembered, because the document is slow to ask. */
let paletteShown = '';

export function showPalette(palette: string): void {
  if (palette === paletteShown) return;
  paletteShown = palette;
  document.documentElement.dataset['palette'] = palette;
}

/** Of a view, what drawings beside the picture depend on. */
export function priceKey(view: ViewportView): readonly unknown[] {
  return [view.topPx, view.heightPx, view.pxPerTick, view.dpr];
}

/** Of a view, what drawings below the picture depend on. */
export function timeKey(view: ViewportView): readonly unknown[] {
  return [view.leftPx, view.widthPx, view.pxPerSecond, view.dpr];
}

/** 1, 2 or 5 times a power of ten, the smallest not below `value`: a scale that hops seldom. */
export function roundUp125(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 5]) if (factor * power >= value) return factor * power;
  return 10 * power;
}
