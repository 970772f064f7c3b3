/**
 * A link that reopens the same second, view and layers. Only what differs from the defaults is written, so that
 * a link stays readable:
 *
 *   ?symbol=ESH6&dt=2026-01-06&at=2026-01-06T14:31:05Z&paused=1&minutes=10&half=40&layers=fog:0,walls:0.8
 */
import type { PriceInt } from '../units/price';
import { priceIntOf } from '../units/price';
import type { WindowNo } from '../units/time';
import { DEFAULT_SETTINGS, LAYERS, PALETTES, type Layer, type Palette, type Settings } from './settings';
import type { Opening, Snapshot } from './snapshot';

const MIN_SPEED = 0.1;
const MAX_SPEED = 1000;

function utcText(epochSecond: number): string {
  return new Date(epochSecond * 1000).toISOString().replace('.000Z', 'Z');
}

/** Epoch second of a time as a link holds it; undefined when it is none. */
function secondOf(text: string | null): number | undefined {
  if (text === null || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms / 1000;
}

function numberWithin(text: string | null, low: number, high: number): number | undefined {
  if (text === null || !/^-?\d+(\.\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return value >= low && value <= high ? value : undefined;
}

/** Digits that a person would write. */
const short = (value: number): string => String(Math.round(value * 1000) / 1000);

/** What a link asks for. Words it does not know, and values out of range, are left out: the page opens anyway. */
export function readBookmark(url: URL): Opening {
  const query = url.searchParams;
  const opening: { -readonly [K in keyof Opening]: Opening[K] } = {};
  const symbol = query.get('symbol');
  if (symbol !== null && /^[A-Z0-9]{1,8}$/.test(symbol)) opening.symbol = symbol;
  const dt = query.get('dt');
  if (dt !== null && /^\d{4}-\d\d-\d\d$/.test(dt)) opening.dt = dt;
  const window = secondOf(query.get('at'));
  if (window !== undefined) opening.window = window as WindowNo;
  if (query.get('paused') === '1') opening.playing = false;
  const speed = query.get('speed');
  const x = speed === 'max' ? 'max' : numberWithin(speed, MIN_SPEED, MAX_SPEED);
  if (x !== undefined) opening.speed = x;
  const minutes = numberWithin(query.get('minutes'), 0.5, 60);
  if (minutes !== undefined) opening.minutes = minutes;
  const halfTicks = numberWithin(query.get('half'), 2, 600);
  if (halfTicks !== undefined) opening.halfTicks = halfTicks;
  const centre = query.get('centre');
  if (centre !== null && /^\d{1,18}$/.test(centre)) opening.centrePriceInt = BigInt(centre) as PriceInt;
  const right = secondOf(query.get('right'));
  if (right !== undefined) opening.rightSecond = right;
  const settings = readSettings(query);
  if (Object.keys(settings).length > 0) opening.settings = settings;
  return opening;
}

function readSettings(query: URLSearchParams): Partial<Settings> {
  const settings: { -readonly [K in keyof Settings]?: Settings[K] } = {};
  const palette = query.get('palette');
  if (PALETTES.includes(palette as Palette)) settings.palette = palette as Palette;
  const contrast = numberWithin(query.get('contrast'), 0, 1);
  if (contrast !== undefined) settings.contrast = contrast;
  const room = numberWithin(query.get('room'), 0, 300);
  if (room !== undefined) settings.roomSeconds = room;
  const layers: Partial<Record<Layer, number>> = {};
  for (const part of (query.get('layers') ?? '').split(',')) {
    const [name = '', opacity = ''] = part.split(':');
    const value = numberWithin(opacity, 0, 1);
    if (LAYERS.includes(name as Layer) && value !== undefined) layers[name as Layer] = value;
  }
  if (Object.keys(layers).length > 0) settings.layers = { ...DEFAULT_SETTINGS.layers, ...layers };
  return settings;
}

/** Query of the link to what `snapshot` shows, with its question mark. */
export function bookmarkQuery(snapshot: Snapshot): string {
  const query = new URLSearchParams();
  const { source, transport, viewport, settings } = snapshot;
  if (source !== null) {
    query.set('symbol', source.symbol);
    query.set('dt', source.dt);
  }
  if (!Number.isNaN(transport.position)) query.set('at', utcText(transport.position));
  if (!transport.playing) query.set('paused', '1');
  if (transport.speed !== 1) query.set('speed', String(transport.speed));
  if (viewport.widthPx > 0 && viewport.heightPx > 0) {
    const minutes = viewport.widthPx / viewport.pxPerSecond / 60 - settings.roomSeconds / 60;
    query.set('minutes', short(Math.max(0.5, minutes)));
    query.set('half', short(viewport.heightPx / viewport.pxPerTick / 2));
    if (!viewport.followPrice && source !== null) {
      const middle = Math.round((viewport.topTicks + viewport.bottomTicks) / 2);
      query.set('centre', String(priceIntOf(middle as Parameters<typeof priceIntOf>[0], source.tick)));
    }
    if (!viewport.followTime) query.set('right', utcText(Math.round(viewport.rightSecond)));
  }
  if (settings.palette !== DEFAULT_SETTINGS.palette) query.set('palette', settings.palette);
  if (settings.contrast !== DEFAULT_SETTINGS.contrast) query.set('contrast', short(settings.contrast));
  if (settings.roomSeconds !== DEFAULT_SETTINGS.roomSeconds) query.set('room', short(settings.roomSeconds));
  const layers = LAYERS.filter((layer) => settings.layers[layer] !== DEFAULT_SETTINGS.layers[layer])
    .map((layer) => `${layer}:${short(settings.layers[layer])}`);
  if (layers.length > 0) query.set('layers', layers.join(','));
  // colons and commas are legal in a query and read better bare
  return `?${query.toString().replaceAll('%3A', ':').replaceAll('%2C', ',')}`;
}
