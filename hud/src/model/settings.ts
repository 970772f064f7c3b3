/** What the trader chose about the look. Everything here can go into a bookmark or the browser's storage. */

/** Layers of the heatmap, back to front (spec 10). */
export const LAYERS = [
  'grid', 'gamma', 'gammaBands', 'walls', 'fog', 'erosion', 'holes', 'trades', 'bestPrices', 'spot', 'vwap', 'levels',
] as const;
export type Layer = (typeof LAYERS)[number];

export const LAYER_TITLES: Readonly<Record<Layer, string>> = {
  grid: 'Grid',
  gamma: 'Gamma lines',
  gammaBands: 'Gamma bands',
  walls: 'Walls, resting',
  fog: 'Walls, fleeting',
  erosion: 'Erosion',
  holes: 'Holes',
  trades: 'Trades',
  bestPrices: 'Best bid and ask',
  spot: 'Spot and mid',
  vwap: 'VWAP',
  levels: 'Reference levels',
};

export const PALETTES = ['standard', 'colour-blind'] as const;
export type Palette = (typeof PALETTES)[number];

export interface Settings {
  readonly palette: Palette;
  /** Opacity per layer, 0 (off) .. 1. */
  readonly layers: Readonly<Record<Layer, number>>;
  /** Contrast of the walls: 0.5 is the calibration's bounds, 0 softer, 1 harder. Never depends on what is on screen. */
  readonly contrast: number;
  /** Seconds of empty room ahead of the head, 0 .. 300. */
  readonly roomSeconds: number;
}

export const DEFAULT_SETTINGS: Settings = {
  palette: 'standard',
  layers: {
    grid: 1, gamma: 1, gammaBands: 0, walls: 1, fog: 1, erosion: 1, holes: 1, trades: 1, bestPrices: 1, spot: 1, vwap: 1,
    levels: 1,
  },
  contrast: 0.5,
  roomSeconds: 40,
};
