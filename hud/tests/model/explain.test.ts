import { describe, expect, it } from 'vitest';
import { explain } from '../../src/model/explain';

// the score as spec 5.5 states it, from the components
function stated(c: (band: string, what: string) => number): number {
  const ease = (band: string): number =>
    0.5 * c(band, 'vacuum_norm') + 0.35 * c(band, 'wall_erosion_norm') + 0.15 * (1 - c(band, 'wall_strength_norm'));
  return 0.6 * ease('at') + 0.4 * ease('near');
}

describe('explanation', () => {
  it('adds up to the score within 1e-12 for any components', () => {
    let state = 12345;
    const random = (): number => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
    for (let i = 0; i < 500; i++) {
      const values: Record<string, number> = {};
      const c = (band: string, what: string): number => (values[`${band} ${what}`] ??= random());
      const explanation = explain('above', c);
      expect(explanation.terms).toHaveLength(6);
      expect(Math.abs(explanation.score - stated(c))).toBeLessThan(1e-12);
    }
  });

  it('has terms whose most adds up to 1, and none above its most', () => {
    const all = explain('below', (_, what) => (what === 'wall_strength_norm' ? 0 : 1));
    expect(all.terms.reduce((sum, term) => sum + term.most, 0)).toBeCloseTo(1, 12);
    for (const term of all.terms) expect(term.value).toBeCloseTo(term.most, 12);
  });

  it('is nothing without a spot', () => {
    expect(explain('above', () => 0.4, false).terms.every((term) => term.value === 0)).toBe(true);
  });
});
