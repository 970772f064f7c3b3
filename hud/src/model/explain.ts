/**
 * The additive explanation of a score (spec 5.5): six terms, two bands by three measures, whose sum is the score.
 * MID and FAR are shown by the bars and do not enter.
 */
import type { Band, Component, Direction } from './history';
import { EASE } from './scores';

/** Bands that enter the score, and their weights. */
export const SCORED_BANDS = [['at', 0.6], ['near', 0.4]] as const;

export type TermName = 'vacuum' | 'erosion' | 'wall';

/** What a term says, for a person. */
export const TERM_WORDS: Readonly<Record<TermName, string>> = {
  vacuum: 'pulled faster than added',
  erosion: 'depth lost this second',
  wall: 'little depth resting',
};

export interface Term {
  readonly band: Band;
  readonly name: TermName;
  readonly value: number;
  /** The most this term can be. */
  readonly most: number;
}

export interface Explanation {
  readonly direction: Direction;
  readonly terms: readonly Term[];
  /** Sum of the terms: the score. */
  readonly score: number;
}

/** Value of a component, for example `(band, what) => physics.at_vacuum_norm`. */
export type ComponentOf = (band: Band, what: Component) => number;

/** Terms of one direction. `hasSpot` false: all terms are 0, as the score is. */
export function explain(direction: Direction, component: ComponentOf, hasSpot = true): Explanation {
  const terms = SCORED_BANDS.flatMap(([band, weight]): Term[] => {
    const values: readonly (readonly [TermName, number, number])[] = [
      ['vacuum', EASE.vacuum, component(band, 'vacuum_norm')],
      ['erosion', EASE.erosion, component(band, 'wall_erosion_norm')],
      ['wall', EASE.wall, 1 - component(band, 'wall_strength_norm')],
    ];
    return values.map(([name, share, value]) => ({
      band, name, value: hasSpot ? weight * share * value : 0, most: weight * share,
    }));
  });
  return { direction, terms, score: terms.reduce((sum, term) => sum + term.value, 0) };
}
