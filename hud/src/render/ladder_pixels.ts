/**
 * The rungs of the ladder as pixels. A rung has cells; a cell is painted again when its number, its bar or its ground
 * differs from what is painted, and only then.
 */
import { setNumber, type GlyphSet, type Pixels } from './glyphs';

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

export class LadderPixels implements Pixels {
  width = 0;
  height = 0;
  bytes: Uint8ClampedArray = new Uint8ClampedArray(0);
  private words: Uint32Array = new Uint32Array(0);
  private look: LadderLook | null = null;
  private place: LadderPlace | null = null;
  private values = new Float64Array(0);
  private bars = new Int32Array(0);
  private spot = -1;

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
    this.spot = -1;
    this.fill(0, width, 0, height, look.ground);
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
        this.values[at] = values[at]!;
        this.bars[at] = bars[at]!;
        this.cell(rung, column, values[at]!, bars[at]!, rung === spot);
        first = Math.min(first, top[rung]!);
        last = Math.max(last, bottom[rung]!);
      }
    }
    this.spot = spot;
    return { top: first, bottom: last };
  }

  private cell(rung: number, column: number, value: number, bar: number, isSpot: boolean): void {
    const look = this.look!;
    const { columns, top, bottom, middle } = this.place!;
    const { x0, x1, rightPx, ink, inkBelow, text } = columns[column]!;
    const ground = isSpot ? look.raised : look.ground;
    this.fill(x0, x1, top[rung]!, bottom[rung]!, ground);
    if (bar > 0) {
      const colour = look.bars[column]!;
      const mixed = ground.map((level, k) => level + (colour[k]! - level) * look.barOpacity) as unknown as Rgb;
      // a line of ground between two rungs
      this.fill(x0, Math.min(x1, x0 + bar), top[rung]!, Math.max(top[rung]! + 1, bottom[rung]! - 1), mixed);
    }
    if (value !== 0) setNumber(this, look.glyphs, text(value), value < 0 ? inkBelow : ink, rightPx, middle[rung]!, x0, x1);
  }

  private fill(x0: number, x1: number, top: number, bottom: number, [red, green, blue]: Rgb): void {
    const { bytes, words, width } = this;
    const first = top * width + x0;
    if (x1 <= x0 || bottom <= top) return;
    bytes[4 * first] = red;
    bytes[4 * first + 1] = green;
    bytes[4 * first + 2] = blue;
    bytes[4 * first + 3] = 255;
    // in whatever order this machine keeps the bytes of a word
    const colour = words[first]!;
    for (let y = top, at = first; y < bottom; y++, at += width) words.fill(colour, at, at + x1 - x0);
  }
}
