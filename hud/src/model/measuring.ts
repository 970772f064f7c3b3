/** The measuring tool's arithmetic: ticks, points, seconds, and what traded in them. */
import type { Tick } from '../units/price';
import type { DayOverview, Measure } from './snapshot';

export interface Measured {
  /** Signed, to minus from. */
  readonly ticks: number;
  readonly points: number;
  readonly seconds: number;
  /** Traded in the seconds after the earlier corner, up to and with the later one, at all prices; NaN when unknown. */
  readonly buyQty: number;
  readonly sellQty: number;
}

/** `head`: nothing after it is counted, the day's overview knows the future of a replay. */
export function measured(measure: Measure, tick: Tick, day: DayOverview | null, head: number): Measured {
  const ticks = measure.to.ticks - measure.from.ticks;
  const seconds = measure.to.window - measure.from.window;
  let buyQty = day === null ? Number.NaN : 0;
  let sellQty = buyQty;
  if (day !== null) {
    const first = Math.max(Math.min(measure.from.window, measure.to.window) + 1, day.firstWindow);
    const last = Math.min(Math.max(measure.from.window, measure.to.window), head, day.firstWindow + day.windows - 1);
    for (let window = first; window <= last; window++) {
      buyQty += day.buyQty[window - day.firstWindow]!;
      sellQty += day.sellQty[window - day.firstWindow]!;
    }
  }
  return { ticks, points: ticks * tick.points, seconds, buyQty, sellQty };
}
