/** A canvas of a panel: fills its host, has a name, and takes colours and fonts from the stylesheet. */
import type { ViewportView } from '../model/viewport';
import { FittedCanvas, Made } from './dom';

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

  /** Say in words what is drawn. */
  describe(text: string): void {
    if (this.canvas.getAttribute('aria-label') !== text) this.canvas.setAttribute('aria-label', text);
  }

  /**
   * A clean sheet of the host's size; null while the host is not shown, and when the drawing on it was made from the
   * same `parts`: everything it depends on besides size and palette.
   */
  begin(...parts: readonly unknown[]): Sheet | null {
    // looked at once per sheet: the document is slow to ask
    const palette = document.documentElement.dataset['palette'] ?? '';
    if (this.made.isFrom(palette, this.fitted.generation, window.devicePixelRatio, ...parts)) return null;
    const size = this.fitted.fit();
    if (size === null) {
      this.made.isFrom();
      return null;
    }
    this.fitted.context.textBaseline = 'middle';
    if (palette !== this.palette) {
      this.palette = palette;
      this.colours.clear();
    }
    return { g: this.fitted.context, ...size };
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
    return `${weight} ${Math.max(10, this.size * share)}px ${this.colour('font')}`;
  }
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
