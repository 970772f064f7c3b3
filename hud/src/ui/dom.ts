/** Small help for making elements; text only, never HTML from data. */

type Attributes = Readonly<Record<string, string | boolean | ((event: Event) => void)>>;

/** A function under `onclick` and the like is a listener, `true` a bare attribute, `false` none; null children are left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: readonly (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** What was written to a node last: remembered here, because the document is slow to ask and slower to write. */
class Written {
  text: string | null = null;
  words: Text | null = null;
  hidden: boolean | null = null;
  readonly attributes = new Map<string, string>();
  readonly classes = new Map<string, boolean>();
}

const written = new WeakMap<Element, Written>();

function lastOf(node: Element): Written {
  let last = written.get(node);
  if (last === undefined) written.set(node, last = new Written());
  return last;
}

/** Set the text only when it changed, so that nothing is laid out for nothing. Nobody else may write into the node. */
export function setText(node: HTMLElement, text: string): void {
  const last = lastOf(node);
  if (last.text === text) return;
  last.text = text;
  // another text in the same node of the document: a new one would be styled and placed from the start
  if (last.words === null) node.replaceChildren(last.words = document.createTextNode(text));
  else last.words.data = text;
}

/** Nobody else may show or hide the node. */
export function setHidden(node: HTMLElement, hidden: boolean): void {
  const last = lastOf(node);
  if (last.hidden === hidden) return;
  last.hidden = hidden;
  node.hidden = hidden;
}

/** An attribute that nobody else writes. */
export function setAttribute(node: Element, name: string, value: string): void {
  const { attributes } = lastOf(node);
  if (attributes.get(name) === value) return;
  attributes.set(name, value);
  node.setAttribute(name, value);
}

/** A class that nobody else switches. */
export function setClass(node: HTMLElement, name: string, on: boolean): void {
  const { classes } = lastOf(node);
  if (classes.get(name) === on) return;
  classes.set(name, on);
  node.classList.toggle(name, on);
}

const SVG = 'http://www.w3.org/2000/svg';

/** An icon of 16 x 16 from one path. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** CSS pixels of a host. */
export interface Room {
  readonly width: number;
  readonly height: number;
}

/** A canvas that fills its host at device resolution; `fit` returns its size in CSS pixels, null while hidden. */
export class FittedCanvas {
  readonly canvas = document.createElement('canvas');
  readonly context: CanvasRenderingContext2D;
  /** Goes up with every change of the host's size: a key for what depends on it. */
  generation = 0;
  private measured: Room = { width: 0, height: 0 };

  constructor(private readonly host: HTMLElement) {
    const context = this.canvas.getContext('2d');
    if (!context) throw new Error('the browser gives no 2d canvas; the picture cannot be drawn');
    this.context = context;
    host.append(this.canvas);
    // observed, not asked for in every frame: asking makes the browser lay the page out again at once
    new ResizeObserver(() => this.measure()).observe(host);
  }

  private measure(): void {
    this.measured = { width: this.host.clientWidth, height: this.host.clientHeight };
    this.generation++;
  }

  /** The host's size; null while it is not shown. */
  get room(): Room | null {
    // just shown: the observer has not spoken yet
    if (this.measured.width === 0 || this.measured.height === 0) this.measure();
    return this.measured.width === 0 || this.measured.height === 0 ? null : this.measured;
  }

  /** Clear and scale to CSS pixels. */
  fit(): { width: number; height: number } | null {
    const kept = this.keep();
    if (kept !== null && !kept.isBare) this.context.clearRect(0, 0, kept.width, kept.height);
    return kept;
  }

  /** Scale to CSS pixels and leave what is drawn; `isBare` when the canvas has another size and so nothing on it. */
  keep(): { width: number; height: number; isBare: boolean } | null {
    const { room } = this;
    if (room === null) return null;
    const { width, height } = room;
    const dpr = window.devicePixelRatio || 1;
    const w = Math.round(width * dpr);
    const h = Math.round(height * dpr);
    const isBare = this.canvas.width !== w || this.canvas.height !== h || this.dpr !== dpr;
    if (isBare) {
      this.dpr = dpr;
      this.canvas.width = w;
      this.canvas.height = h;
      this.context.setTransform(dpr, 0, 0, dpr, 0, 0);
    }
    return { width, height, isBare };
  }
  private dpr = 0;
}
