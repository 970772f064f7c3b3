/** A canvas that fills its host, drawn in CSS pixels. */

export interface Sheet {
  readonly g: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
}

export class Sketch {
  readonly canvas = document.createElement('canvas');
  private readonly g: CanvasRenderingContext2D;
  private readonly colours = new Map<string, string>();
  private palette = '';

  /** `label` is what the canvas is called by those who do not see it. */
  constructor(private readonly host: HTMLElement, label: string) {
    const g = this.canvas.getContext('2d');
    if (g === null) throw new Error('this browser gives no 2D canvas');
    this.g = g;
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', label);
    host.append(this.canvas);
  }

  /** Say in words what is drawn. */
  describe(text: string): void {
    if (this.canvas.getAttribute('aria-label') !== text) this.canvas.setAttribute('aria-label', text);
  }

  /** A clean sheet of the host's size; null while the host is not shown. */
  begin(): Sheet | null {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width === 0 || height === 0) return null;
    const dpr = window.devicePixelRatio || 1;
    const w = Math.round(width * dpr);
    const h = Math.round(height * dpr);
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
    this.g.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.g.clearRect(0, 0, width, height);
    this.g.textBaseline = 'middle';
    return { g: this.g, width, height };
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

  /** Font of the page at a share of its size, weight optional. */
  font(share = 1, weight = 400): string {
    const size = Math.max(10, parseFloat(getComputedStyle(this.host).fontSize) * share);
    return `${weight} ${size}px ${this.colour('font')}`;
  }
}

/** 1, 2 or 5 times a power of ten, the smallest not below `value`: a scale that hops seldom. */
export function roundUp125(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 5]) if (factor * power >= value) return factor * power;
  return 10 * power;
}
