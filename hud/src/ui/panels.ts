/** The panels around the heatmap, in the order they draw. */
import { alerts } from './alerts';
import { badges } from './badges';
import { crosshair } from './crosshair';
import { explain } from './explain';
import { delta, flow } from './flow';
import { gamma } from './gamma';
import { help } from './help';
import { ladder } from './ladder';
import { legend } from './legend';
import { noticePanel } from './notice';
import type { Panel } from './panel';
import { priceAxis } from './price_axis';
import { profile } from './profile';
import { readout } from './readout';
import { scores } from './scores';
import { timeAxis } from './time_axis';

/**
 * Drawn before those that write text into the page: a canvas that sets a text after the page was changed makes the
 * browser work out all styles at once. So `flow` and `delta`, which label their strips in the page, come last, and
 * `legend`, which sets the palette of the stylesheet, first.
 */
export const CANVAS_PANELS: readonly Panel[] = [legend, ladder, priceAxis, timeAxis, profile, gamma, flow, delta];

/** `crosshair` before those that show its second; `readout` last, because it saves the finished frame. */
export const TEXT_PANELS: readonly Panel[] = [crosshair, scores, explain, alerts, badges, noticePanel, help, readout];
