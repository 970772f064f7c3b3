/** Bands as people see them (spec 1). */
import type { Band } from '../model/history';

/** Ticks from spot. */
export const BAND_TICKS: Readonly<Record<Band, string>> = { at: '0-2', near: '3-5', mid: '6-14', far: '15-20' };
