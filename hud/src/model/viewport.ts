/**
 * Which part of the world the heatmap shows, in whole device pixels.
 *
 * The world is an endless sheet of pixels: a second is `pxPerSecond` wide, a tick `pxPerTick` high, pixel (0, 0)
 * is time 0 at price 0, y runs down. The view is a rectangle of that sheet at WHOLE pixels. So a pixel of the
 * world always shows the same seconds and ticks, at any pan: walls stand still while the picture moves, also
 * where several cells share a pixel.
 *
 * Window w fills the time [w - 1, w); tick t fills the prices [t - 1/2, t + 1/2).
 */
import type { Ticks } from '../units/price';
import type { WindowNo } from '../units/time';

/** What a panel beside or below the heatmap needs to line up with it. CSS pixels from the heatmap's corner. */
export interface ViewportView {
  /** Size of the heatmap in device pixels, and device pixels per CSS pixel. */
  readonly widthPx: number;
  readonly heightPx: number;
  readonly dpr: number;
  readonly pxPerTick: number;
  readonly pxPerSecond: number;
  /** World pixel of the upper left corner. */
  readonly leftPx: number;
  readonly topPx: number;
  /** Follow the head in time, and the mid in price. A drag switches both off, Home on again. */
  readonly followTime: boolean;
  readonly followPrice: boolean;
  /** CSS y of the centre of a price. */
  yOfTicks(ticks: number): number;
  /** CSS x of an instant in epoch seconds (window w begins at w - 1 and ends at w). */
  xOfSecond(epochSecond: number): number;
  /** Price under a CSS y, rounded to the tick whose cell it is. */
  ticksAt(cssY: number): Ticks;
  /** Window under a CSS x. */
  windowAt(cssX: number): WindowNo;
  /** Prices and epoch seconds at the edges of the view. */
  readonly topTicks: number;
  readonly bottomTicks: number;
  readonly leftSecond: number;
  readonly rightSecond: number;
}

type Fields = Pick<ViewportView,
  'widthPx' | 'heightPx' | 'dpr' | 'pxPerTick' | 'pxPerSecond' | 'leftPx' | 'topPx' | 'followTime' | 'followPrice'>;

export class Viewport implements ViewportView {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly dpr: number;
  readonly pxPerTick: number;
  readonly pxPerSecond: number;
  readonly leftPx: number;
  readonly topPx: number;
  readonly followTime: boolean;
  readonly followPrice: boolean;

  constructor(fields: Fields) {
    this.widthPx = fields.widthPx;
    this.heightPx = fields.heightPx;
    this.dpr = fields.dpr;
    this.pxPerTick = fields.pxPerTick;
    this.pxPerSecond = fields.pxPerSecond;
    this.leftPx = Math.round(fields.leftPx);
    this.topPx = Math.round(fields.topPx);
    this.followTime = fields.followTime;
    this.followPrice = fields.followPrice;
  }

  with(changes: Partial<Fields>): Viewport {
    return new Viewport({ ...this, ...changes });
  }

  get topTicks(): number { return -this.topPx / this.pxPerTick; }
  get bottomTicks(): number { return -(this.topPx + this.heightPx) / this.pxPerTick; }
  get leftSecond(): number { return this.leftPx / this.pxPerSecond; }
  get rightSecond(): number { return (this.leftPx + this.widthPx) / this.pxPerSecond; }

  yOfTicks(ticks: number): number { return (-ticks * this.pxPerTick - this.topPx) / this.dpr; }
  xOfSecond(epochSecond: number): number { return (epochSecond * this.pxPerSecond - this.leftPx) / this.dpr; }
  ticksAt(cssY: number): Ticks {
    return -Math.floor((cssY * this.dpr + this.topPx) / this.pxPerTick + 0.5) as Ticks;
  }
  windowAt(cssX: number): WindowNo {
    return (Math.floor((cssX * this.dpr + this.leftPx) / this.pxPerSecond) + 1) as WindowNo;
  }
}
