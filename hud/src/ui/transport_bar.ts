/** Play, pause, step, speed, go to a time, and the time on screen. */
import { InvalidateLevel } from '../model/invalidate';
import { Made } from '../model/made';
import type { Snapshot } from '../model/snapshot';
import { atNewYork, newYorkDate, newYorkTime, type WindowNo } from '../units/time';
import { element, icon, setClass, setText } from './dom';
import type { Panel, PanelContext } from './panel';

const ICONS = {
  play: 'M4 2.5v11l9.5-5.5z',
  pause: 'M3.500 2.500h3.200v11H3.500zM9.300 2.500h3.200v11H9.300z',
  back: 'M12.500 3v10L6 8zM3.500 3h1.800v10H3.500z',
  ahead: 'M3.500 3v10L10 8zM10.700 3h1.800v10h-1.800z',
  backMinute: 'M13.500 3v10L8 8zM7.500 3v10L2 8z',
  aheadMinute: 'M2.500 3v10L8 8zM8.500 3v10L14 8z',
} as const;

export const SPEEDS: readonly (number | 'max')[] = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 'max'];
const SPANS = [5, 10, 30];

/**
 * Seconds since midnight of what a person types as a time: "9:30", "0930", "09:30:15", "930". null: no time.
 */
export function parseTime(text: string): number | null {
  const trimmed = text.trim();
  const parts = /^\d{3,6}$/.test(trimmed)
    ? [trimmed.length % 2 ? trimmed.slice(0, 1) : trimmed.slice(0, 2), trimmed.slice(trimmed.length % 2 ? 1 : 2).slice(0, 2),
      trimmed.slice(trimmed.length % 2 ? 3 : 4) || '0']
    : trimmed.split(':');
  if (parts.length < 2 || parts.length > 3 || !parts.every((part) => /^\d{1,2}$/.test(part))) return null;
  const [h = 0, m = 0, s = 0] = parts.map(Number);
  return h < 24 && m < 60 && s < 60 ? h * 3600 + m * 60 + s : null;
}

/** The neighbour of a speed in the list of speeds. */
export function nextSpeed(speed: number | 'max', step: 1 | -1): number | 'max' {
  const value = (s: number | 'max'): number => (s === 'max' ? Infinity : s);
  const list = step > 0 ? SPEEDS : [...SPEEDS].reverse();
  return list.find((s) => (step > 0 ? value(s) > value(speed) : value(s) < value(speed))) ?? list.at(-1)!;
}

/**
 * The window of a time of day, on whichever calendar day of the loaded stretch holds it; null when none does.
 * The overnight session begins the evening before, so a time may lie on two calendar days.
 */
export function windowOfTime(secondOfDay: number, first: WindowNo, last: WindowNo, near: WindowNo): WindowNo | null {
  const today = atNewYork(secondOfDay, near);
  const fitting = [today, today - 86_400, today + 86_400].find((w) => w >= first && w <= last);
  return fitting === undefined ? null : fitting as WindowNo;
}

export class TransportBar implements Panel {
  readonly id = 'transport';
  private context!: PanelContext;
  private play!: HTMLButtonElement;
  private speed!: HTMLSelectElement;
  private time!: HTMLElement;
  private date!: HTMLElement;
  private goTo!: HTMLInputElement;
  private spans: HTMLButtonElement[] = [];
  private follow!: HTMLButtonElement;
  private shown: 'play' | 'pause' | null = null;
  private shownSpeed: number | 'max' | null = null;
  private readonly made = new Made();

  mount(host: HTMLElement, context: PanelContext): void {
    this.context = context;
    const { actions } = context.store;
    const button = (name: keyof typeof ICONS, title: string, run: () => void): HTMLButtonElement => {
      const made = element('button', { type: 'button', title, 'aria-label': title, 'data-action': name }, icon(ICONS[name]));
      made.addEventListener('click', run);
      return made;
    };
    this.play = button('play', 'Play or pause (space)', () => actions.toggle());
    this.play.classList.add('play');
    this.speed = element('select', { title: 'Speed (+ and -)', 'aria-label': 'Speed' });
    for (const speed of SPEEDS) {
      this.speed.append(element('option', { value: String(speed) }, speed === 'max' ? 'max' : `${speed}×`));
    }
    this.speed.addEventListener('change', () => {
      const { value } = this.speed;
      this.shownSpeed = null; // what the person chose stands there, whatever the service makes of it
      actions.setSpeed(value === 'max' ? 'max' : Number(value));
      this.speed.blur();
    });
    this.time = element('output', { class: 'clock', title: 'New York time of the newest second' });
    this.date = element('span', { class: 'date' });
    this.goTo = element('input', {
      type: 'text', class: 'goto', placeholder: 'go to 09:30', 'aria-label': 'Go to a New York time', size: '9',
      autocomplete: 'off', spellcheck: 'false',
    });
    const form = element('form', {}, this.goTo);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.goToTime();
    });
    this.goTo.addEventListener('input', () => this.goTo.setCustomValidity(''));
    this.spans = SPANS.map((minutes) => {
      const made = element('button', { type: 'button', class: 'span', title: `Show ${minutes} minutes` }, `${minutes} min`);
      made.addEventListener('click', () => actions.setMinutes(minutes));
      return made;
    });
    this.follow = element('button', { type: 'button', class: 'span follow', title: 'Follow price and time (Home)' }, 'follow');
    this.follow.addEventListener('click', () => actions.recentre());
    host.append(
      element('div', { class: 'group' },
        button('backMinute', 'Back one minute (shift+left)', () => this.jump(-60)),
        button('back', 'Back one second (left)', () => actions.step(-1)),
        this.play,
        button('ahead', 'On one second (right)', () => actions.step(1)),
        button('aheadMinute', 'On one minute (shift+right)', () => this.jump(60)),
        this.speed),
      element('div', { class: 'group now' }, this.time, this.date),
      element('div', { class: 'group' }, form, ...this.spans, this.follow),
    );
  }

  private jump(seconds: number): void {
    const { history } = this.context.store.snapshot;
    if (!history.isEmpty) this.context.store.actions.seek((history.head + seconds) as WindowNo);
  }

  private goToTime(): void {
    const { source, history } = this.context.store.snapshot;
    if (!source) return;
    const second = parseTime(this.goTo.value);
    const window = second === null ? null : windowOfTime(second, source.firstWindow, source.lastWindow, history.head);
    if (window === null) {
      const range = `${newYorkTime(source.firstWindow)} to ${newYorkTime(source.lastWindow)}`;
      this.goTo.setCustomValidity(second === null
        ? 'Type a New York time such as 09:30 or 09:30:15.' : `This day holds ${range} New York time.`);
      this.goTo.reportValidity();
      return;
    }
    this.context.store.actions.seek(window);
    this.context.store.actions.recentre();
    this.goTo.value = '';
    this.goTo.blur();
  }

  draw(level: InvalidateLevel): void {
    if (level < InvalidateLevel.Light) return;
    const state = this.context.store.snapshot;
    const { transport, viewport, settings, source, history } = state;
    if (this.made.isFrom(transport, viewport, settings, source, history.head)) return;
    const running = transport.playing && !transport.ended;
    const wanted = running ? 'pause' : 'play';
    if (wanted !== this.shown) {
      this.play.replaceChildren(icon(ICONS[wanted]));
      this.play.dataset.state = running ? 'playing' : 'paused';
      this.shown = wanted;
    }
    this.showSpeed(transport.speed);
    this.showTime(state);
    setClass(this.follow, 'on', viewport.followTime && viewport.followPrice);
    const minutes = viewport.widthPx / viewport.pxPerSecond / 60 - state.settings.roomSeconds / 60;
    this.spans.forEach((span, i) => setClass(span, 'on', Math.abs(minutes - SPANS[i]!) < 0.4));
  }

  private showSpeed(speed: number | 'max'): void {
    if (speed === this.shownSpeed) return;
    this.shownSpeed = speed;
    const value = String(speed);
    if (![...this.speed.options].some((option) => option.value === value)) {
      this.speed.append(element('option', { value }, `${value}×`));
    }
    this.speed.value = value;
  }

  private showTime({ transport, source, history }: Snapshot): void {
    const at = transport.seeking ?? history.head;
    setText(this.time, Number.isNaN(at) ? '--:--:--' : newYorkTime(at));
    setClass(this.time, 'seeking', transport.seeking !== null);
    const end = transport.ended ? ' · end of the data' : '';
    setText(this.date, source && !Number.isNaN(at) ? `${newYorkDate(at)} New York${end}` : '');
  }
}
