import { describe, expect, it } from 'vitest';
import { bookmarkQuery, readBookmark } from '../../src/model/bookmark';
import { DEFAULT_SETTINGS } from '../../src/model/settings';
import type { Snapshot } from '../../src/model/snapshot';
import { Viewport } from '../../src/model/viewport';
import { tickOf } from '../../src/units/price';
import { at, T0 } from './seconds';

function shown(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    source: { symbol: 'ESH6', dt: '2026-01-06', tick: tickOf(250_000_000n) },
    transport: { playing: true, speed: 1, position: at(65) },
    viewport: new Viewport({
      widthPx: 960, heightPx: 480, dpr: 1, pxPerTick: 6, pxPerSecond: 1.5, leftPx: 1.5 * (T0 - 500), topPx: -6 * 27_840,
      followTime: true, followPrice: true,
    }),
    settings: DEFAULT_SETTINGS,
    ...changes,
  } as Snapshot;
}

const opened = (query: string): unknown => readBookmark(new URL(`http://x/${query}`));

describe('bookmark', () => {
  it('reads as a person would write it', () => {
    expect(bookmarkQuery(shown())).toBe('?symbol=ESH6&dt=2026-01-06&at=2026-01-06T14:31:05Z&minutes=10&half=40');
  });

  it('reopens the same second, view and layers', () => {
    const settings = {
      ...DEFAULT_SETTINGS, palette: 'colour-blind', contrast: 0.75, roomSeconds: 120,
      layers: { ...DEFAULT_SETTINGS.layers, fog: 0, walls: 0.8 },
    } as const;
    const viewport = shown().viewport as Viewport;
    const query = bookmarkQuery(shown({
      settings, viewport: viewport.with({ followPrice: false, followTime: false }),
      transport: { ...shown().transport, playing: false, speed: 'max' },
    }));
    expect(opened(query)).toEqual({
      symbol: 'ESH6', dt: '2026-01-06', window: at(65), playing: false, speed: 'max',
      minutes: 8.667, halfTicks: 40, centrePriceInt: 27_800n * 250_000_000n, rightSecond: T0 - 500 + 640,
      settings,
    });
  });

  it('is empty for an empty query', () => {
    expect(opened('')).toEqual({});
  });

  it('leaves out what it cannot read or must not ask for', () => {
    expect(opened('?symbol=..%2Fetc&dt=6.1.2026&at=yesterday&speed=0&minutes=1e9&half=-4&centre=4.5&right=x'
      + '&palette=pink&contrast=2&layers=walls:3,smoke:1,:&room=-1&paused=yes')).toEqual({});
    expect(opened('?at=2026-13-40T99:99:99Z')).toEqual({});
  });
});
