/** What the bytes of a plane mean (spec 9.2). Names and scales come from the generated schema. */
import { FULL_DEPTH_LOTS, FULL_FILL_LOTS, HUD_MAX_TICKS, HUD_ROWS, PLANES } from '../wire/schema.gen';

export { FULL_DEPTH_LOTS, FULL_FILL_LOTS, HUD_MAX_TICKS, HUD_ROWS, PLANES };
export type PlaneName = (typeof PLANES)[number];

/** The row of spot in a plane. */
export const SPOT_ROW = HUD_MAX_TICKS;

/** Values of side_u8. */
export const SIDE_NONE = 0;
export const SIDE_BID = 1;
export const SIDE_ASK = 2;
/** Neutral value of gex_imbalance_u8, and its value where there is no strike. */
export const GEX_NEUTRAL = 128;

/** Lots that a wall byte stands for: for drawing only, numbers for a person come from the surfaces. */
export function lotsOfWallByte(u8: number): number {
  return Math.expm1((u8 / 255) * Math.log1p(FULL_DEPTH_LOTS));
}
/** Lots that a fill byte stands for: for drawing only. */
export function lotsOfFillByte(u8: number): number {
  return Math.expm1((u8 / 255) * Math.log1p(FULL_FILL_LOTS));
}
