/** A canvas of a panel: fills its host, has a name, and takes colours and fonts from the stylesheet. */
import { FittedCanvas } from './dom';

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

  /** A clean sheet of the host's size; null while the host is not shown. */
  begin(): Sheet | null {
    const size = this.fitted.fit();
    if (size === null) return null;
    this.fitted.context.textBaseline = 'middle';
    return { g: this.fitted.context, ...size };
  }

  /** Colour of a variable of the stylesheet, of the palette in use. */
  colour(name: string): string {
    const palette = document.documentElement.dataset['palette'] ?? '';
    if (palette !== this.palette) {
      this.palette = palette;
      this.colours.clear();
    }
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

/** 1, 2 or 5 times a power of ten, the smallest not below `value`: a scale that hops seldom. */
export function roundUp125(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 5]) if (factor * power >= value) return factor * power;
  return 10 * power;
}
