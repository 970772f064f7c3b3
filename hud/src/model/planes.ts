/** The nine planes of a picture, in the order of gold.hud.hud_surface_1s (spec 9.2). */
export const PLANES = [
  'wall_core_u8', 'wall_fog_u8', 'vacuum_u8', 'buy_fill_u8', 'sell_fill_u8',
  'gex_abs_u8', 'gex_imbalance_u8', 'side_u8', 'hole_u8',
] as const;
export type PlaneName = (typeof PLANES)[number];

/** Values of side_u8. */
export const SIDE_NONE = 0;
export const SIDE_BID = 1;
export const SIDE_ASK = 2;
/** Neutral value of gex_imbalance_u8, and its value where there is no strike. */
export const GEX_NEUTRAL = 128;
/** Ends of the fixed log scales: 255 means so many lots (walls, fills) and so much gamma. */
export const FULL_DEPTH_LOTS = 2000;
export const FULL_FILL_LOTS = 500;

/** Lots that a wall byte stands for: for drawing only, numbers for a person come from the surfaces. */
export function lotsOfWallByte(u8: number): number {
  return Math.expm1((u8 / 255) * Math.log1p(FULL_DEPTH_LOTS));
}
/** Lots that a fill byte stands for: for drawing only. */
export function lotsOfFillByte(u8: number): number {
  return Math.expm1((u8 / 255) * Math.log1p(FULL_FILL_LOTS));
}
