/** Every key the page knows, once: what binds them and the help that lists them both read this table. */

export type Command =
  | 'toggle' | 'step_back' | 'step_on' | 'minute_back' | 'minute_on' | 'slower' | 'faster' | 'realtime' | 'to_start' | 'to_end'
  | 'goto' | 'recentre' | 'minutes_5' | 'minutes_10' | 'minutes_30' | 'price_in' | 'price_out' | 'time_in' | 'time_out'
  | 'price_up' | 'price_down' | 'pan_back' | 'pan_on' | 'crosshair' | 'measure' | 'explain' | 'legend' | 'alerts' | 'palette'
  | 'contrast_up' | 'contrast_down' | 'walls' | 'fog' | 'erosion' | 'holes' | 'trades' | 'gamma' | 'gamma_bands' | 'vwap'
  | 'levels' | 'picture' | 'link' | 'help' | 'close';

export interface KeyBinding {
  readonly command: Command;
  /** Keys as `KeyboardEvent.key` names them, with `Shift+` before when shift is part of the meaning. */
  readonly keys: readonly string[];
  readonly group: 'Time' | 'View' | 'Reading' | 'Layers' | 'Page';
  readonly title: string;
}

export const KEYS: readonly KeyBinding[] = [
  { command: 'toggle', keys: [' '], group: 'Time', title: 'Play or pause' },
  { command: 'step_back', keys: ['ArrowLeft'], group: 'Time', title: 'One second back (pauses)' },
  { command: 'step_on', keys: ['ArrowRight'], group: 'Time', title: 'One second on (pauses)' },
  { command: 'minute_back', keys: ['Shift+ArrowLeft'], group: 'Time', title: 'One minute back' },
  { command: 'minute_on', keys: ['Shift+ArrowRight'], group: 'Time', title: 'One minute on' },
  { command: 'slower', keys: ['['], group: 'Time', title: 'Slower' },
  { command: 'faster', keys: [']'], group: 'Time', title: 'Faster' },
  { command: 'realtime', keys: ['\\'], group: 'Time', title: 'Real time (1x)' },
  { command: 'to_start', keys: ['Shift+Home'], group: 'Time', title: 'Start of the day' },
  { command: 'to_end', keys: ['Shift+End'], group: 'Time', title: 'End of the day' },
  { command: 'goto', keys: ['g'], group: 'Time', title: 'Go to a time' },

  { command: 'recentre', keys: ['Home'], group: 'View', title: 'Follow time and price again' },
  { command: 'minutes_5', keys: ['5'], group: 'View', title: '5 minutes across' },
  { command: 'minutes_10', keys: ['1'], group: 'View', title: '10 minutes across' },
  { command: 'minutes_30', keys: ['3'], group: 'View', title: '30 minutes across' },
  { command: 'price_in', keys: ['+', '='], group: 'View', title: 'Fewer prices, larger' },
  { command: 'price_out', keys: ['-'], group: 'View', title: 'More prices, smaller' },
  { command: 'time_in', keys: ['.'], group: 'View', title: 'Less time, wider seconds' },
  { command: 'time_out', keys: [','], group: 'View', title: 'More time, narrower seconds' },
  { command: 'price_up', keys: ['ArrowUp'], group: 'View', title: 'Look higher' },
  { command: 'price_down', keys: ['ArrowDown'], group: 'View', title: 'Look lower' },
  { command: 'pan_back', keys: ['PageUp'], group: 'View', title: 'Look back in time' },
  { command: 'pan_on', keys: ['PageDown'], group: 'View', title: 'Look forward in time' },

  { command: 'crosshair', keys: ['x'], group: 'Reading', title: 'Crosshair by keyboard: arrows move it, with Shift ten at a time' },
  { command: 'measure', keys: ['m'], group: 'Reading', title: 'Measure from the crosshair; again to end' },
  { command: 'explain', keys: ['e'], group: 'Reading', title: 'Terms of the scores under the crosshair' },
  { command: 'alerts', keys: ['a'], group: 'Reading', title: 'Alerts' },
  { command: 'legend', keys: ['l'], group: 'Reading', title: 'Legend, layers and settings' },

  { command: 'walls', keys: ['w'], group: 'Layers', title: 'Resting walls' },
  { command: 'fog', keys: ['f'], group: 'Layers', title: 'Fleeting depth' },
  { command: 'erosion', keys: ['r'], group: 'Layers', title: 'Erosion' },
  { command: 'holes', keys: ['h'], group: 'Layers', title: 'Holes' },
  { command: 'trades', keys: ['t'], group: 'Layers', title: 'Trades' },
  { command: 'gamma', keys: ['n'], group: 'Layers', title: 'Gamma lines' },
  { command: 'gamma_bands', keys: ['b'], group: 'Layers', title: 'Gamma bands' },
  { command: 'vwap', keys: ['v'], group: 'Layers', title: 'VWAP' },
  { command: 'levels', keys: ['k'], group: 'Layers', title: 'Reference levels' },
  { command: 'palette', keys: ['p'], group: 'Layers', title: 'Other palette' },
  { command: 'contrast_up', keys: ['}'], group: 'Layers', title: 'More contrast' },
  { command: 'contrast_down', keys: ['{'], group: 'Layers', title: 'Less contrast' },

  { command: 'picture', keys: ['s'], group: 'Page', title: 'Save the picture' },
  { command: 'link', keys: ['c'], group: 'Page', title: 'Copy a link to this second and view' },
  { command: 'help', keys: ['?'], group: 'Page', title: 'This help' },
  { command: 'close', keys: ['Escape'], group: 'Page', title: 'Close, and leave crosshair and measure' },
];

export interface KeyPress {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

const byKey = new Map(KEYS.flatMap((binding) => binding.keys.map((key) => [key, binding.command] as const)));

/** Command of a key press, null for none. Shift counts for named keys only: letters stay letters under caps lock. */
export function commandOf(press: KeyPress): Command | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (press.key.length > 1) return byKey.get(press.shiftKey ? `Shift+${press.key}` : press.key) ?? null;
  return byKey.get(press.key) ?? byKey.get(press.key.toLowerCase()) ?? null;
}

const NAMES: Readonly<Record<string, string>> = {
  ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc', PageUp: 'Page up', PageDown: 'Page down',
};

/** A key as the help shows it. */
export function keyName(key: string): string {
  const [shift, bare] = key.startsWith('Shift+') ? ['Shift ', key.slice(6)] : ['', key];
  return shift + (NAMES[bare] ?? (bare.length === 1 ? bare.toUpperCase() : bare));
}
