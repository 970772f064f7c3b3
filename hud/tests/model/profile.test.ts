import { describe, expect, it } from 'vitest';
import { volumeOfRungs, volumeProfile } from '../../src/model/profile';

describe('volume profile', () => {
  it('adds rows of one price and finds the point of control', () => {
    const profile = volumeProfile([12, 10, 11, 10], [5, 1, 0, 7], [0, 2, 9, 3], [0, 0, 1, 0]);
    expect([...profile.ticks]).toEqual([10, 11, 12]);
    expect([...profile.buyQty]).toEqual([8, 0, 5]);
    expect([...profile.sellQty]).toEqual([5, 9, 0]);
    expect(profile.totalQty).toBe(28);
    expect(profile.pointOfControl).toBe(10);
    expect(profile.peakQty).toBe(13);
    expect([...volumeOfRungs(profile, 8, 4, 2)]).toEqual([0, 23, 5, 0]);
    expect([...volumeOfRungs(profile, 11, 1, 1)]).toEqual([10]);
    expect([...volumeOfRungs(null, 8, 2, 2)]).toEqual([0, 0]);
  });

  it('takes the lowest of several that are equal', () => {
    expect(volumeProfile([6, 5, 1], [3, 10, 10], [0, 0, 0]).pointOfControl).toBe(1);
  });

  it('has no point of control without volume', () => {
    expect(volumeProfile([], [], []).pointOfControl).toBeNaN();
    expect(volumeProfile([4], [0], [0]).pointOfControl).toBeNaN();
  });
});
