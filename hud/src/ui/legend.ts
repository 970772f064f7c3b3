/** The drawer that says what everything means, switches layers, and repeats in words what the badges say in short. */
import { InvalidateLevel } from '../model/invalidate';
import { LAYER_TITLES, LAYERS, PALETTES, type Layer, type Palette } from '../model/settings';
import { badgeStates } from './badges';
import { showPalette } from './canvas';
import { deskOf } from './desk';
import { element as el, setText } from './dom';
import { feedsOf } from './feeds';
import { KEYS, keyName, type Command } from './keymap';
import type { Panel, PanelContext } from './panel';
import { lotsText, NONE, priceText } from './text';

const READING: readonly string[] = [
  'Spymaster describes the book. It does not forecast: nobody has shown that a thin side is where price will go.',
  'The picture is one-second data: depth is the depth at the second\'s end. A large order that comes and goes within a second leaves flow, but no wall.',
  'Colours and scores compare within one calibration, whatever is on screen; not across calibrations.',
  'Gamma is that of one ES weekly chain on previous-day open interest. It is not anyone\'s position, and no convention of its sign is called the truth.',
  'Lower right: the dot leans to the side that is easier than usual, the mean of 7 s against the half hour\'s median; the thin mark is this second alone. A bar per distance from spot says the same: outward and coloured is easier than usual, inward and grey is harder.',
  'Ease runs from 0, thick, to 1, thin. A level that trades eat erodes like one that is pulled; pulls count from orders that rested half a second, adds at any age.',
];

/** What a layer looks like and means; the swatch takes its colour from the stylesheet. */
const LAYER_NOTES: Readonly<Record<Layer, string>> = {
  grid: 'each point, stronger each five points',
  gamma: 'dashed lines at strikes: violet calls, amber puts',
  gammaBands: 'the same as filled bands',
  walls: 'lots that stood half a second or longer; bids blue to green, asks red to orange',
  fog: 'lots younger than half a second',
  erosion: 'warm notch: pulled faster than added, or eaten',
  holes: 'outline: depth was here within ten seconds and is gone',
  trades: 'dots by aggressor, area by lots',
  bestPrices: 'best bid and best ask',
  spot: 'white: last trade; thin: mid',
  vwap: 'volume-weighted price since the trade date\'s start',
  levels: 'settlement, overnight, premarket and opening ranges',
};

const LAYER_COMMANDS: Partial<Record<Layer, Command>> = {
  walls: 'walls', fog: 'fog', erosion: 'erosion', holes: 'holes', trades: 'trades', gamma: 'gamma', gammaBands: 'gamma_bands',
  vwap: 'vwap', levels: 'levels',
};

const PALETTE_TITLES: Readonly<Record<Palette, string>> = { standard: 'Standard', 'colour-blind': 'Colour-blind safe' };

let page: PanelContext;
const opacity = new Map<Layer, { box: HTMLInputElement; range: HTMLInputElement }>();
const palettes = new Map<Palette, HTMLInputElement>();
let contrast: HTMLInputElement;
let room: HTMLInputElement;
let roomText: HTMLElement;
let levelList: HTMLElement;
let aboutList: HTMLElement;
let levelsShown = '';
let aboutShown = '';

function range(label: string, max: string, step: string, onInput: (value: number) => void): HTMLInputElement {
  const input = el('input', { type: 'range', min: '0', max, step, 'aria-label': label });
  input.addEventListener('input', () => onInput(Number(input.value)));
  return input;
}

function layerRow(layer: Layer): HTMLElement {
  const { actions } = page.store;
  const title = LAYER_TITLES[layer];
  const box = el('input', { type: 'checkbox', 'aria-label': title, id: `layer-${layer}` });
  const slider = range(`Opacity of ${title.toLowerCase()}`, '1', '0.05', (value) => actions.setLayer(layer, value));
  slider.id = `opacity-${layer}`;
  box.addEventListener('change', () => actions.setLayer(layer, box.checked ? 1 : 0));
  opacity.set(layer, { box, range: slider });
  const command = LAYER_COMMANDS[layer];
  const key = command === undefined ? null : KEYS.find((binding) => binding.command === command)!.keys[0]!;
  return el('div', { class: 'layer-row' },
    el('label', {}, box, el('i', { class: `swatch swatch-${layer}` }), title, key === null ? null : el('kbd', {}, keyName(key))),
    slider, el('span', { class: 'note' }, LAYER_NOTES[layer]));
}

export const legend: Panel = {
  id: 'legend',
  mount(host, context) {
    page = context;
    const { actions } = context.store;
    host.setAttribute('aria-label', 'Legend, layers and settings');
    contrast = range('Contrast', '1', '0.05', (value) => actions.setContrast(value));
    contrast.id = 'contrast';
    room = range('Room ahead, seconds', '300', '5', (value) => actions.setRoomSeconds(value));
    room.id = 'room-ahead';
    roomText = el('output', {});
    levelList = el('dl', { class: 'pairs' });
    aboutList = el('dl', { class: 'pairs' });
    host.append(
      el('header', {}, el('h2', {}, 'Legend'),
        el('button', { type: 'button', 'aria-label': 'Close legend', onclick: () => deskOf(page).setOpen('legend', false) }, '×')),
      el('section', {}, el('ul', { class: 'reading' }, ...READING.map((text) => el('li', {}, text)))),
      el('section', {}, el('h3', {}, 'Layers'), ...LAYERS.map(layerRow)),
      el('section', {}, el('h3', {}, 'Look'),
        el('fieldset', {}, el('legend', {}, 'Palette'), ...PALETTES.map((palette) => {
          const radio = el('input', { type: 'radio', name: 'palette', value: palette, id: `palette-${palette}` });
          radio.addEventListener('change', () => actions.setPalette(palette));
          palettes.set(palette, radio);
          return el('label', {}, radio, PALETTE_TITLES[palette]);
        })),
        el('div', { class: 'slider-row' }, el('span', {}, 'Contrast'), contrast, el('span', { class: 'note' }, 'middle: the calibration\'s bounds')),
        el('div', { class: 'slider-row' }, el('span', {}, 'Room ahead'), room, roomText),
        el('p', { class: 'note' }, 'Black is quiet. Grey hatching is a second that is invalid or missing: nothing is known there.')),
      el('section', {}, el('h3', {}, 'Reference levels'), levelList),
      el('section', {}, el('h3', {}, 'These data'), aboutList),
    );
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { snapshot } = page.store;
    // the stylesheet's colours follow; this panel draws before those that read them
    showPalette(snapshot.settings.palette);
    if (!deskOf(page).isOpen('legend')) return;
    const { settings } = snapshot;
    for (const layer of LAYERS) {
      const { box, range: slider } = opacity.get(layer)!;
      const value = settings.layers[layer];
      box.checked = value > 0;
      if (Number(slider.value) !== value) slider.value = String(value);
    }
    for (const [palette, radio] of palettes) radio.checked = palette === settings.palette;
    if (Number(contrast.value) !== settings.contrast) contrast.value = String(settings.contrast);
    if (Number(room.value) !== settings.roomSeconds) room.value = String(settings.roomSeconds);
    setText(roomText, `${settings.roomSeconds} s`);
    drawLevels();
    drawAbout();
  },
};

function replacePairs(list: HTMLElement, pairs: readonly (readonly [string, string])[]): void {
  list.replaceChildren(...pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

function drawLevels(): void {
  const { levels, source } = page.store.snapshot;
  const pairs = levels.map((level) => [
    level.name.replaceAll('_', ' '),
    `${level.unavailable !== null || source === null ? `n/a: ${level.unavailable ?? 'no data'}` : priceText(level.ticks, source.tick)} (${level.definition})`,
  ] as const);
  const key = JSON.stringify(pairs);
  if (key === levelsShown) return;
  levelsShown = key;
  replacePairs(levelList, pairs.length > 0 ? pairs : [['levels', NONE]]);
}

function drawAbout(): void {
  const { snapshot } = page.store;
  const states = badgeStates(snapshot, feedsOf(page).refusal, Number.NaN);
  const pairs: (readonly [string, string])[] = Object.entries(states)
    .flatMap(([name, state]) => (state === null || name === 'day' ? [] : [[name, `${state.text}. ${state.title}`] as const]));
  const { source } = snapshot;
  if (source !== null) {
    pairs.push(['warnings', source.warnings.length > 0 ? source.warnings.join('; ') : 'none']);
    pairs.push(['verified', source.verified === null ? 'not said' : source.verified ? 'yes' : 'no: the raw file could not be verified']);
    for (const [name, count] of Object.entries(source.counters)) pairs.push([name.replaceAll('_', ' '), lotsText(count)]);
  }
  const key = JSON.stringify(pairs);
  if (key === aboutShown) return;
  aboutShown = key;
  replacePairs(aboutList, pairs);
}
