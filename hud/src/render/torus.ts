/**
 * Which part of the field has to be painted again.
 *
 * A pixel of the world never changes its meaning while the view pans (viewport.ts), so painted pixels are kept on a
 * torus: world pixel (X, Y) lies at (X mod width, Y mod height). Moving the picture paints what came into view, a new
 * second paints its own columns, and only another scale, size or look paints everything.
 */
import { HISTORY_WINDOWS } from '../model/history';
import { HUD_ROWS } from '../model/planes';
import type { FieldFrame } from './field';

/** A rectangle of the torus in pixels, half-open. */
export interface Rect {
  readonly x0: number;
  readonly x1: number;
  readonly y0: number;
  readonly y1: number;
}

/** Beyond this share of dirty columns or rows one rectangle of everything is cheaper. */
const TOO_MANY = 0.5;

/** a mod n, never negative; exact for world pixels, which are far below 2^53. */
export function wrap(a: number, n: number): number {
  return ((a % n) + n) % n;
}

export class Torus {
  widthPx = 0;
  heightPx = 0;
  /** Columns and rows of the frame in the order of the torus; four integers per pixel. */
  columns: Int32Array = new Int32Array(0);
  rows: Int32Array = new Int32Array(0);
  private rowsBefore: Int32Array | null = null;
  private topPx = Number.NaN;
  private key = '';
  private allDirty = true;
  /** 1 for slots that changed, and for those beside one whose pixels depend on it. */
  private readonly nearDirty = new Uint8Array(HISTORY_WINDOWS);
  private anyDirty = false;

  /** Everything has to be painted. */
  invalidate(): void {
    this.allDirty = true;
  }

  /** These slots hold other bytes than before. @param holes plane of the holes, whose outlines look at the seconds beside them */
  changed(slots: readonly number[] | 'all', holes: Uint8Array): void {
    if (slots === 'all') {
      this.allDirty = true;
      return;
    }
    for (const slot of slots) {
      this.anyDirty = true;
      this.nearDirty[slot] = 1;
      const before = (slot + HISTORY_WINDOWS - 1) % HISTORY_WINDOWS;
      const after = (slot + 1) % HISTORY_WINDOWS;
      if (hasHole(holes, before)) this.nearDirty[before] = 1;
      if (hasHole(holes, after)) this.nearDirty[after] = 1;
    }
  }

  /** Take over a frame; what has to be painted for it, in pixels of the torus. */
  update(frame: FieldFrame): Rect[] {
    const { widthPx, heightPx } = frame;
    const all = this.allDirty || frame.key !== this.key || widthPx !== this.widthPx || heightPx !== this.heightPx;
    if (widthPx !== this.widthPx || heightPx !== this.heightPx) {
      this.columns = new Int32Array(widthPx * 4);
      this.rows = new Int32Array(heightPx * 4);
    }
    this.widthPx = widthPx;
    this.heightPx = heightPx;
    this.key = frame.key;
    const columns = this.takeOver(all ? null : frame.fresh, frame.columns, this.columns, frame.leftPx, widthPx, this.anyDirty ? (at) => this.isDirty(at) : null);
    // the same rows at the same place: most seconds move the picture in time only
    const areRowsKept = !all && frame.rows === this.rowsBefore && frame.topPx === this.topPx;
    const rows = areRowsKept ? [] : this.takeOver(null, frame.rows, this.rows, frame.topPx, heightPx, null);
    this.rowsBefore = frame.rows;
    this.topPx = frame.topPx;
    this.allDirty = false;
    if (this.anyDirty) this.nearDirty.fill(0);
    this.anyDirty = false;
    if (all || columns.length > TOO_MANY * widthPx || rows.length > TOO_MANY * heightPx) {
      return [{ x0: 0, x1: widthPx, y0: 0, y1: heightPx }];
    }
    return [
      ...runs(columns).map(([x0, x1]) => ({ x0, x1, y0: 0, y1: heightPx })),
      ...runs(rows).map(([y0, y1]) => ({ x0: 0, x1: widthPx, y0, y1 })),
    ];
  }

  /** Copy ranges of a strip in screen order, null for all of it, to torus order; places that differ or are dirty. */
  private takeOver(
    ranges: readonly (readonly [from: number, to: number])[] | null,
    from: Int32Array, to: Int32Array, origin: number, size: number, isDirty: ((at: number) => boolean) | null,
  ): number[] {
    const found: number[] = [];
    for (const [first, end] of ranges ?? [[0, size]] as const) {
      let at = wrap(origin + first, size);
      for (let i = first; i < end; i++) {
        const a = 4 * i;
        const b = 4 * at;
        if (to[b] !== from[a] || to[b + 1] !== from[a + 1] || to[b + 2] !== from[a + 2] || to[b + 3] !== from[a + 3]) {
          to[b] = from[a]!; to[b + 1] = from[a + 1]!; to[b + 2] = from[a + 2]!; to[b + 3] = from[a + 3]!;
          found.push(at);
        } else if (isDirty !== null && isDirty(at)) {
          found.push(at);
        }
        if (++at === size) at = 0;
      }
    }
    return found.sort((p, q) => p - q);
  }

  /** Whether a column shows a slot whose pixels are others now. */
  private isDirty(at: number): boolean {
    const first = this.columns[4 * at]!;
    if (first < 0) return false;
    const count = this.columns[4 * at + 1]!;
    for (let k = 0; k < count; k++) if (this.nearDirty[(first + k) % HISTORY_WINDOWS] === 1) return true;
    return false;
  }
}

function hasHole(holes: Uint8Array, slot: number): boolean {
  for (let i = slot * HUD_ROWS; i < (slot + 1) * HUD_ROWS; i++) if (holes[i] !== 0) return true;
  return false;
}

/** Ascending numbers as half-open runs. */
function runs(sorted: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const at of sorted) {
    const last = found.at(-1);
    if (last && last[1] === at) last[1]++;
    else found.push([at, at + 1]);
  }
  return found;
}
