/**
 * Numbers of the look that both renderers share. The WebGL shader gets them as defines, the Canvas2D twin reads
 * them here, so the two cannot drift apart.
 */

export type Rgb = readonly [number, number, number];

export const BACKGROUND: Rgb = [10, 14, 20];
/** Seconds that are not held: before the half hour, or skipped by the stream. */
export const NO_DATA: Rgb = [16, 19, 24];
export const HATCH: Rgb = [74, 80, 88];
export const GRID: Rgb = [92, 108, 128];
export const WARM: Rgb = [255, 184, 108];
export const WARM_COLOUR_BLIND: Rgb = [255, 240, 150];
export const HOLE: Rgb = [228, 236, 244];

/** Opacity of grid lines. */
export const GRID_TICK = 0.15;
export const GRID_FIVE = 0.34;
export const GRID_MINUTE = 0.1;
export const GRID_FIVE_MINUTES = 0.26;
export const GRID_LANDMARK = 0.75;

/** Lower pixel row of a cell of `GAP_FROM` px or more lets the ground through, so that ticks can be counted. */
export const GAP_FROM = 5;
export const GAP_OPACITY = 0.8;

/** Fog is a weave: every second pixel full, the others at this share. */
export const FOG_WEAVE = 0.35;
export const GAMMA_BAND = 0.3;

/** Erosion: height of the notch as a share of the cell; its opacity is the score to this power. */
export const NOTCH_POWER = 1.25;
export const NOTCH_SHARE = 0.55;
export const HOLE_LINE = 0.55;
export const HOLE_SMALL = 0.35;

/** Invalid seconds: how far colours go to grey, how bright the grey is, and the hatching over it. */
export const GREY_MIX = 0.8;
export const GREY_LIGHT = 0.6;
export const HATCH_MIX = 0.3;
export const HATCH_NO_DATA = 0.16;

/** Bits of a column (one device pixel of time). */
export const COL_NO_DATA = 1;
export const COL_INVALID = 2;
export const COL_MINUTE = 4;
export const COL_FIVE_MINUTES = 8;
export const COL_LANDMARK = 16;
export const COL_FUTURE = 32;
/** The low four bits of the world pixel, for dashes, weave and hatching that stand still while panning. */
export const COL_PHASE_SHIFT = 8;

/** Bits of a row (one device pixel of price). */
export const ROW_CENTRE = 1;
export const ROW_POINT = 2;
export const ROW_FIVE_POINTS = 4;
export const ROW_PHASE_SHIFT = 8;

/** Spot of a slot without one: so far away that no tick finds a row. */
export const NO_SPOT = -1_000_000_000;

/** Rows of the colour table. */
export const LUT_BID = 0;
export const LUT_ASK = 1;
export const LUT_BID_FOG = 2;
export const LUT_ASK_FOG = 3;
export const LUT_CALL = 4;
export const LUT_PUT = 5;
export const LUT_ROWS = 6;

/** Rec. 709 weights of light. */
export const LUMA: Rgb = [0.2126, 0.7152, 0.0722];
