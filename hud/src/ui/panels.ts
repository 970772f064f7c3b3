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

/** `legend` first, because it sets the palette of the stylesheet; `readout` last, because it saves the finished frame. */
export const PANELS: readonly Panel[] = [
  legend, ladder, priceAxis, timeAxis, profile, gamma, flow, delta, scores, explain, crosshair, alerts, badges, noticePanel, help, readout,
];
