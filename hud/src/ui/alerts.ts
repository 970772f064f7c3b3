/**
 * Alerts: runs the rules over every second that arrives, and the drawer with what fired and with the rules.
 * After a jump in time the rules start afresh at the new second: history that is loaded fires nothing.
 */
import { alertSample } from '../model/alert_sample';
import {
  AlertEngine, exportRules, importRules, RulesError, ruleText, WATCHED_SCORES, WATCHED_SIDES, type AlertRule,
} from '../model/alerts';
import { flipDistance } from '../model/gamma';
import { PHASES } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { newYorkTime, type WindowNo } from '../units/time';
import { loadFired, loadRules, loadSound, saveFired, saveRules, saveSound, withFired, type FiredAlert } from './alert_store';
import { beep } from './beep';
import { deskOf } from './desk';
import { element as el, setText } from './dom';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { priceText } from './text';

/** A gamma profile this old still speaks for the second, in windows. */
const GAMMA_AGE_WINDOWS = 10;
/** A forward jump of more than this is a seek, not a fast replay. */
const SEEK_WINDOWS = 600;

let page: PanelContext;
let host: HTMLElement;
let rules: readonly AlertRule[] = [];
let fired: readonly FiredAlert[] = [];
let soundOn = true;
let list: HTMLElement;
let ruleList: HTMLElement;
let problem: HTMLElement;
let toast: HTMLElement;
let toastTimer = 0;
let toastWindow = Number.NaN;
let unread = 0;
let listedFor = '';
const engine = new AlertEngine();
const TOAST_MS = 8000;
/** The message belongs to what is on screen: at its second, or so many seconds after it. */
const TOAST_WINDOWS = 60;

export const alerts: Panel = {
  id: 'alerts',
  mount(element, context) {
    page = context;
    host = element;
    host.setAttribute('aria-label', 'Alerts');
    rules = loadRules();
    fired = loadFired();
    soundOn = loadSound();
    engine.setRules(rules);
    list = el('ol', { class: 'fired' });
    ruleList = el('div', { class: 'rules' });
    problem = el('p', { class: 'problem', role: 'alert', hidden: true });
    toast = el('button', { type: 'button', class: 'toast', hidden: true, 'aria-live': 'polite' });
    document.getElementById('picture')!.append(toast);
    const sound = el('input', { type: 'checkbox', id: 'alert-sound' });
    sound.checked = soundOn;
    sound.addEventListener('change', () => {
      soundOn = sound.checked;
      saveSound(soundOn);
      if (soundOn) beep();
    });
    const file = el('input', { type: 'file', accept: 'application/json,.json', class: 'unseen', id: 'alert-file', tabindex: '-1', 'aria-label': 'File of rules' });
    file.addEventListener('change', () => void takeFile(file));
    const kind = el('select', { id: 'alert-kind', 'aria-label': 'Kind of the new rule' },
      ...(['score', 'wall', 'hole', 'flip', 'phase'] as const).map((name) => el('option', { value: name }, KIND_TITLES[name])));
    host.append(
      el('header', {}, el('h2', {}, 'Alerts'),
        el('button', { type: 'button', 'aria-label': 'Close alerts', onclick: () => deskOf(page).setOpen('alerts', false) }, '×')),
      el('section', {},
        el('div', { class: 'row' }, el('label', {}, sound, 'Sound'),
          el('button', { type: 'button', id: 'alert-clear', onclick: clearFired }, 'Clear list')),
        list),
      el('section', {}, el('h3', {}, 'Rules'),
        el('p', { class: 'note' }, 'Seconds are the market\'s. Rules wait while a second is invalid; gamma rules also after the chain has expired. Wall sizes are judged on the picture\'s scale, whose steps are 3 %. They describe what was seen, nothing more.'),
        problem, ruleList,
        el('div', { class: 'row' }, kind, el('button', { type: 'button', id: 'alert-add', onclick: () => addRule(kind.value as AlertRule['kind']) }, 'Add rule')),
        el('div', { class: 'row' },
          el('button', { type: 'button', id: 'alert-export', onclick: exportFile }, 'Export rules'),
          el('button', { type: 'button', id: 'alert-import', onclick: () => file.click() }, 'Import rules'), file)),
    );
    writeRules();
    writeFired();
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { source } = page.store.snapshot;
    const day = source === null ? '' : `${source.symbol} ${source.dt}`;
    if (day !== listedFor) {
      // prices and days of the list are written as seen from the day on screen
      listedFor = day;
      writeFired();
    }
    runRules();
    if (deskOf(page).isOpen('alerts') && unread > 0) {
      unread = 0;
      writeCount();
    }
  },
};

// ---- running

function runRules(): void {
  const { history, transport, source, stage } = page.store.snapshot;
  if (stage !== 'ready' || source === null || history.isEmpty) return;
  const from = engine.position;
  const jumped = transport.seeking !== null || Number.isNaN(from) || history.head < from || history.head - from > SEEK_WINDOWS;
  if (jumped) engine.reset();
  // after a seek the message may speak of a second that has not happened yet, or of long ago
  if (!toast.hidden && !(toastWindow <= history.head && history.head - toastWindow <= TOAST_WINDOWS)) toast.hidden = true;
  if (history.head === from && !jumped) return;
  for (let w = jumped ? history.head : from + 1; w <= history.head; w++) {
    const window = w as WindowNo;
    const sample = alertSample(history, window, gammaAt(window));
    if (sample === null) continue;
    for (const event of engine.step(sample)) {
      const alert: FiredAlert = {
        symbol: source.symbol, dt: source.dt, window, ruleId: event.ruleId, text: event.text,
        priceTicks: Number.isNaN(event.priceTicks) ? null : event.priceTicks,
      };
      fired = withFired(fired, alert);
      unread++;
      if (event.sound && soundOn) beep();
      showToast(alert);
      saveFired(fired);
      writeFired();
    }
  }
}

function gammaAt(window: WindowNo): { chainGone: boolean; flipDistanceTicks: number } {
  const feeds = feedsOf(page);
  const { history } = page.store.snapshot;
  const profile = feeds.gammaProfile;
  const slot = history.slotOf(window);
  const chainGone = feeds.chain(window).kind !== 'live';
  if (profile === null || slot < 0 || Math.abs(window - profile.window) > GAMMA_AGE_WINDOWS) {
    return { chainGone, flipDistanceTicks: Number.NaN };
  }
  const distance = profile.flips.length === 0 ? Infinity : flipDistance(profile.flips, history.spot[slot]!);
  return { chainGone, flipDistanceTicks: distance };
}

// ---- what fired

function alertText(alert: FiredAlert): string {
  const { source } = page.store.snapshot;
  const where = alert.priceTicks === null || source === null ? '' : ` at ${priceText(alert.priceTicks, source.tick)}`;
  return `${alert.text}${where}`;
}

/** Back to the second: within the half hour held by looking there, else by going there. */
function jumpTo(alert: FiredAlert): void {
  const { store } = page;
  const { source, history } = store.snapshot;
  if (source === null) return;
  if (alert.symbol !== source.symbol || alert.dt !== source.dt) {
    const at = new Date(alert.window * 1000).toISOString().replace('.000Z', 'Z');
    location.search = `?symbol=${encodeURIComponent(alert.symbol)}&dt=${encodeURIComponent(alert.dt)}&at=${at}&paused=1`;
    return;
  }
  if (history.slotOf(alert.window) < 0) store.actions.seek(alert.window);
  else store.actions.lookAt(alert.window, alert.priceTicks ?? undefined);
}

function clearFired(): void {
  fired = [];
  unread = 0;
  saveFired(fired);
  writeFired();
}

function writeFired(): void {
  writeCount();
  const { source } = page.store.snapshot;
  list.replaceChildren(...(fired.length === 0 ? [el('li', { class: 'note' }, 'Nothing has fired yet.')] : fired.map((alert) => {
    const day = source !== null && alert.dt === source.dt && alert.symbol === source.symbol ? '' : `${alert.symbol} ${alert.dt} `;
    return el('li', {}, el('button', { type: 'button', onclick: () => jumpTo(alert), title: 'Look at this second' },
      el('time', {}, `${day}${newYorkTime(alert.window)}`), ` ${alertText(alert)}`));
  })));
}

function writeCount(): void {
  const button = document.getElementById('button-alerts');
  if (button !== null) setText(button, unread > 0 ? `Alerts ${unread}` : 'Alerts');
}

function showToast(alert: FiredAlert): void {
  if (deskOf(page).isOpen('alerts')) return;
  setText(toast, `${newYorkTime(alert.window)} ${alertText(alert)}`);
  toast.onclick = () => {
    toast.hidden = true;
    jumpTo(alert);
  };
  toast.hidden = false;
  toastWindow = alert.window;
  window.clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => { toast.hidden = true; }, TOAST_MS);
}

// ---- rules

const KIND_TITLES: Readonly<Record<AlertRule['kind'], string>> = {
  score: 'Score', wall: 'Wall', hole: 'Hole', flip: 'Gamma flip', phase: 'Phase',
};

function useRules(changed: readonly AlertRule[]): void {
  rules = changed;
  engine.setRules(rules);
  saveRules(rules);
}

function addRule(kind: AlertRule['kind']): void {
  const taken = new Set(rules.map((rule) => rule.id));
  let n = 1;
  while (taken.has(`${kind}-${n}`)) n++;
  const base = { id: `${kind}-${n}`, enabled: true, holdSeconds: 5, coolDownSeconds: 60, sound: true };
  const rule: AlertRule =
    kind === 'score' ? { ...base, kind, score: 'tug', direction: 'above', threshold: 0.15, hysteresis: 0.05 }
    : kind === 'wall' ? { ...base, kind, side: 'either', withinTicks: 10, lots: 300, hysteresis: 60 }
    : kind === 'hole' ? { ...base, kind, side: 'either', withinTicks: 4, holdSeconds: 2 }
    : kind === 'flip' ? { ...base, kind, withinTicks: 4, hysteresis: 4 }
    : { ...base, kind, phase: 'open', holdSeconds: 1 };
  useRules([...rules, rule]);
  writeRules();
  ruleList.querySelector<HTMLElement>(`[data-rule="${rule.id}"] input`)?.focus();
}

/** Every change goes through the reader of files: a field out of range is refused with its sentence. */
function changeRule(id: string, changes: Readonly<Record<string, unknown>>): boolean {
  try {
    const changed = importRules(exportRules(rules.map((rule) => (rule.id === id ? { ...rule, ...changes } as AlertRule : rule))));
    useRules(changed);
    say(null);
    return true;
  } catch (error) {
    if (!(error instanceof RulesError)) throw error;
    say(error.message);
    return false;
  }
}

function say(text: string | null): void {
  problem.hidden = text === null;
  setText(problem, text ?? '');
}

interface Field {
  readonly name: string;
  readonly title: string;
  readonly step?: string;
  readonly words?: readonly string[];
}

const HOLD: readonly Field[] = [{ name: 'holdSeconds', title: 'for s' }, { name: 'coolDownSeconds', title: 'silent s' }];
const FIELDS: Readonly<Record<AlertRule['kind'], readonly Field[]>> = {
  score: [
    { name: 'score', title: 'score', words: WATCHED_SCORES }, { name: 'direction', title: 'is', words: ['above', 'below'] },
    { name: 'threshold', title: 'value', step: '0.01' }, { name: 'hysteresis', title: 'back by', step: '0.01' }, ...HOLD,
  ],
  wall: [
    { name: 'side', title: 'side', words: WATCHED_SIDES }, { name: 'lots', title: 'lots' }, { name: 'withinTicks', title: 'ticks' },
    { name: 'hysteresis', title: 'back by' }, ...HOLD,
  ],
  hole: [{ name: 'side', title: 'side', words: WATCHED_SIDES }, { name: 'withinTicks', title: 'ticks' }, ...HOLD],
  flip: [{ name: 'withinTicks', title: 'ticks' }, { name: 'hysteresis', title: 'back by' }, ...HOLD],
  phase: [{ name: 'phase', title: 'phase', words: PHASES }, ...HOLD],
};

function writeRules(): void {
  ruleList.replaceChildren(...rules.map(ruleRow));
}

function ruleRow(rule: AlertRule): HTMLElement {
  const text = el('span', { class: 'rule-text' }, ruleText(rule));
  const enabled = el('input', { type: 'checkbox', 'aria-label': `Rule is on: ${ruleText(rule)}` });
  enabled.checked = rule.enabled;
  enabled.addEventListener('change', () => changeRule(rule.id, { enabled: enabled.checked }));
  const sound = el('input', { type: 'checkbox' });
  sound.checked = rule.sound;
  sound.addEventListener('change', () => changeRule(rule.id, { sound: sound.checked }));
  const values = rule as unknown as Readonly<Record<string, string | number>>;
  const fields = FIELDS[rule.kind].map((field) => {
    const input = field.words !== undefined
      ? el('select', {}, ...field.words.map((word) => el('option', { value: word }, word.replaceAll('_', ' '))))
      : el('input', { type: 'number', step: field.step ?? '1' });
    input.value = String(values[field.name]);
    input.addEventListener('change', () => {
      const value = field.words !== undefined ? input.value : input.value.trim() === '' ? null : Number(input.value);
      const taken = changeRule(rule.id, { [field.name]: value });
      input.setAttribute('aria-invalid', String(!taken));
      const now = rules.find((other) => other.id === rule.id);
      if (now !== undefined) setText(text, ruleText(now));
    });
    return el('label', {}, field.title, input);
  });
  const remove = el('button', {
    type: 'button', 'aria-label': `Remove rule: ${ruleText(rule)}`,
    onclick: () => {
      useRules(rules.filter((other) => other.id !== rule.id));
      writeRules();
      document.getElementById('alert-add')?.focus();
    },
  }, '×');
  return el('details', { 'data-rule': rule.id, class: 'rule' },
    el('summary', {}, enabled, text, remove),
    el('div', { class: 'fields' }, ...fields, el('label', {}, 'sound', sound)));
}

function exportFile(): void {
  const url = URL.createObjectURL(new Blob([exportRules(rules)], { type: 'application/json' }));
  const link = el('a', { href: url, download: 'spymaster-alerts.json' });
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 1000);
}

async function takeFile(input: HTMLInputElement): Promise<void> {
  const file = input.files?.[0];
  input.value = '';
  if (file === undefined) return;
  try {
    const taken = importRules(await file.text());
    useRules(taken);
    say(null);
    writeRules();
    page.store.actions.setNotice(`Took ${taken.length} alert rules from ${file.name}.`);
  } catch (error) {
    if (!(error instanceof RulesError)) throw error;
    say(error.message);
  }
}
