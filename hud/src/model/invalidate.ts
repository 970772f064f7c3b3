/** How much of the picture a change touches. Requests merge: the highest level of a frame wins. */
export const InvalidateLevel = {
  /** Nothing to do. */
  None: 0,
  /** The crosshair or the measuring tool moved; data and view are as they were. */
  Cursor: 1,
  /** New data arrived or the transport changed; the geometry of the view may have moved along with time. */
  Light: 2,
  /** Everything: another view, size, palette, layer, day or position. */
  Full: 3,
} as const;
export type InvalidateLevel = (typeof InvalidateLevel)[keyof typeof InvalidateLevel];
