/**
 * The rungs of the ladder as pixels. A rung has cells; a cell is painted again when its number, its bar or its ground
 * differs from what is painted, and only then.
 */
import { setNumber, tintOf, type GlyphSet, type Pixels, type Tint } from './glyphs';

type Rgb = readonly [number, number, number];

export interface LadderLook {
  readonly glyphs: GlyphSet;
  readonly ground: Rgb;
  /** Ground of the rung that spot lies in. */
  readonly raised: Rgb;
  /** Bars of the first columns, laid over the ground. */
  readonly bars: readonly Rgb[];
  readonly barOpacity: number;
}

export interface LadderColumn {
  /** Edges of the cell, and where its numbers end. */
  readonly x0: number;
  readonly x1: number;
  readonly rightPx: number;
  /** Inks of a number, and of one below zero. */
  readonly ink: number;
  readonly inkBelow: number;
  readonly text: (value: number) => string;
}

/** Where the rungs stand: as many as there are, from the lowest up. Device pixels, rows half-open. */
export interface LadderPlace {
  readonly columns: readonly LadderColumn[];
  readonly top: Int32Array;
  readonly bottom: Int32Array;
  /** Row of the middle of the numbers. */
  readonly middle: Int32Array;
}

/** Rows that were painted, half-open; empty when top >= bottom. */
export interface PaintedRows {
  readonly top: number;
  readonly bottom: number;
}

/** What is no number of a cell. */
const UNPAINTED = -1e300;

/** What the cells of a column are painted with, on a common rung and on that of spot. */
interface Paint {
  /** Words of the ground, and of the bar over it; the ground again where the column has none. */
  readonly ground: number;
  readonly bar: number;
  /** Of the ink, and of that of numbers below zero, on ground and bar. */
  readonly tints: readonly [Tint, Tint];
  readonly tintsBelow: readonly [Tint, Tint];
}

export class LadderPixels implements Pixels {
  width = 0;
  height = 0;
  bytes: Uint8ClampedArray = new Uint8ClampedArray(0);
  words: Uint32Array = new Uint32Array(0);
  private look: LadderLook | null = null;
  private place: LadderPlace | null = null;
  private values = new Float64Array(0);
  private bars = new Int32Array(0);
  /** Per cell the first column of its number, its right edge where there is none. */
  private lefts = new Int32Array(0);
  private spot = -1;
  private readonly tints = new Map<string, Tint>();
  private paints: readonly (readonly [common: Paint, spot: Paint])[] = [];

  /** Begin afresh on `bytes`, width x height x 4: nothing of what was painted counts. */
  begin(bytes: Uint8ClampedArray, width: number, height: number, look: LadderLook, place: LadderPlace): void {
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.width = width;
    this.height = height;
    this.look = look;
    this.place = place;
    this.values = new Float64Array(place.top.length * place.columns.length).fill(UNPAINTED);
    this.bars = new Int32Array(this.values.length);
    this.lefts = new Int32Array(this.values.length).map((_, at) => place.columns[at % place.columns.length]!.x1);
    this.spot = -1;
    this.paints = place.columns.map(({ ink, inkBelow }, column) => {
      const paint = (ground: Rgb): Paint => {
        const colour = look.bars[column] ?? ground;
        const bar = ground.map((level, k) => Math.round(level + (colour[k]! - level) * look.barOpacity)) as unknown as Rgb;
        const tints = (k: number): [Tint, Tint] => [this.tintFor(ground, look.glyphs.inks[k]!), this.tintFor(bar, look.glyphs.inks[k]!)];
        const [onGround, onBar] = tints(ink);
        return { ground: onGround.ground, bar: onBar.ground, tints: [onGround, onBar], tintsBelow: tints(inkBelow) };
      };
      return [paint(look.ground), paint(look.raised)];
    });
    this.words.fill(this.paints[0]![0].ground);
  }

  /** Columns share most of them, and so does the same ladder at another place. */
  private tintFor(ground: Rgb, ink: Rgb): Tint {
    const key = `${ground.join()} ${ink.join()}`;
    let tint = this.tints.get(key);
    if (tint === undefined) this.tints.set(key, tint = tintOf(ground, ink));
    return tint;
  }

  /**
   * Show these numbers, rung by rung, column by column; 0 shows nothing.
   * @param bars width of the cell's bar in device pixels, 0 for none
   * @param spot the rung that spot lies in, -1 for none
   */
  show(values: Float64Array, bars: Int32Array, spot: number): PaintedRows {
    const { columns, top, bottom } = this.place!;
    let [first, last] = [this.height, 0];
    for (let rung = 0; rung < top.length; rung++) {
      if (top[rung]! >= bottom[rung]!) continue;
      const isOther = (rung === spot) !== (rung === this.spot);
      for (let column = 0; column < columns.length; column++) {
        const at = rung * columns.length + column;
        if (!isOther && values[at] === this.values[at] && bars[at] === this.bars[at]) continue;
        this.cell(rung, column, values[at]!, bars[at]!, rung === spot, isOther);
        first = Math.min(first, top[rung]!);
        last = Math.max(last, bottom[rung]!);
      }
    }
    this.spot = spot;
    return { top: first, bottom: last };
  }

  private cell(rung: number, column: number, value: number, bar: number, isSpot: boolean, isOther: boolean): void {
    const { columns, middle, top: tops, bottom: bottoms } = this.place!;
    const { glyphs } = this.look!;
    const { x0, x1, rightPx, ink, inkBelow, text } = columns[column]!;
    const at = rung * columns.length + column;
    const paint = this.paints[column]![isSpot ? 1 : 0];
    const bars = this.bars[at]!;
    const left = this.lefts[at]!;
    // what the number before covered, and where the bar is longer or shorter
    const from = isOther ? x0 : bar === bars ? left : Math.min(left, x0 + Math.min(bar, bars));
    let top = tops[rung]!;
    let bottom = bottoms[rung]!;
    // a line of ground between two rungs
    const barBottom = Math.max(top + 1, bottom - 1);
    if (!isOther && bar === bars) {
      const first = middle[rung]! - (glyphs.heightPx >> 1);
      top = Math.max(top, first);
      bottom = Math.min(bottom, first + glyphs.heightPx);
    }
    this.fill(from, x1, top, bottom, paint.ground);
    if (bar > 0) this.fill(from, Math.min(x1, x0 + bar), top, Math.min(bottom, barBottom), paint.bar);
    this.values[at] = value;
    this.bars[at] = bar;
    this.lefts[at] = value === 0 ? x1 : setNumber(
      this, glyphs, text(value), value < 0 ? inkBelow : ink, value < 0 ? paint.tintsBelow : paint.tints, rightPx, middle[rung]!, x0, x1,
    );
  }

  private fill(x0: number, x1: number, top: number, bottom: number, word: number): void {
    const { words, width } = this;
    if (x1 <= x0) return;
    for (let y = top, at = top * width + x0; y < bottom; y++, at += width) words.fill(word, at, at + x1 - x0);
  }
}
