/** The panels around the heatmap, in the order they draw. */
import type { Panel } from './panel';

export const PANELS: readonly Panel[] = [];
