/** Left half of the head: what these data are and how far they can be trusted, in words. */
import { BOOK_VALID, PHASE_OPEN, PHASES, WINDOW_VALID } from '../model/history';
import { InvalidateLevel } from '../model/invalidate';
import { Made } from '../model/made';
import type { Snapshot } from '../model/snapshot';
import { describe, describeNow } from './canvas';
import { deskOf } from './desk';
import { element as el, setAttribute, setText } from './dom';
import { feedsOf } from './feeds';
import type { Panel, PanelContext } from './panel';
import { durationText, lotsText } from './text';

export interface BadgeState {
  readonly text: string;
  readonly tone: 'loud' | 'calm' | 'warn' | 'bad';
  readonly title: string;
}

/** Counters that stay at 0 while all is well; the others count what was seen. */
const ORDINARY = /^(records|events|snapshots|snapshot_records|clears|foreign_records|hidden_qty_.*|aggressor_fill.*|crossed_pre_open)$/;

/** Counters that speak against the data, with their numbers. */
export function troubles(counters: Readonly<Record<string, number>>): readonly (readonly [name: string, count: number])[] {
  return Object.entries(counters).filter(([name, count]) => count > 0 && !ORDINARY.test(name));
}

/** Every badge in order, by name. */
export function badgeStates(snapshot: Snapshot, refusal: string | null, lostSeconds: number): Readonly<Record<string, BadgeState | null>> {
  const { source, history, connection, transport, renderer, stage } = snapshot;
  if (source === null) return { connection: { text: stage === 'failed' ? 'no data' : 'loading', tone: 'warn', title: snapshot.error ?? 'Waiting for the service.' } };
  const slot = history.slotOf(history.head);
  const phase = PHASES[history.phase[slot] ?? -1];
  const flags = slot >= 0 ? history.flags[slot]! : 0;
  const found = troubles(source.counters);
  return {
    origin: source.origin === 'simulated'
      ? { text: 'SIMULATED', tone: 'loud', title: 'A make-believe exchange: none of this happened.' }
      : { text: 'recorded', tone: 'calm', title: 'Made from recorded exchange data.' },
    day: { text: `${source.symbol} ${source.dt}`, tone: 'calm', title: 'Contract and date (UTC) of the data.' },
    phase: slot < 0 ? { text: 'no data', tone: 'warn', title: 'The newest second is missing.' }
      : { text: (phase ?? 'unknown').replace('_', '-'), tone: history.phase[slot] === PHASE_OPEN ? 'calm' : 'warn', title: 'Trading phase at the end of the newest second.' },
    validity: (flags & WINDOW_VALID) !== 0 ? { text: 'valid', tone: 'calm', title: 'The book was complete and uncrossed during the whole second.' }
      : (flags & BOOK_VALID) !== 0 ? { text: 'second invalid', tone: 'warn', title: 'The book is complete now, but was not during the whole second, or the market is not open. Such seconds are greyed and enter no score.' }
      : { text: 'book invalid', tone: 'bad', title: 'The book is incomplete, inside a snapshot or crossed. Such seconds are greyed and enter no score.' },
    lookahead: source.lookahead
      ? { text: 'looks ahead', tone: 'warn', title: `Scores and contrast are scaled with the whole day's own statistics (calibration ${source.calibrationId}): nobody could have seen them live.` } : null,
    calibration: { text: `cal ${source.calibrationId.split('/')[0]}`, tone: 'calm', title: `Calibration ${source.calibrationId}. Colours and scores compare within one calibration only.` },
    quality: source.verified === false || found.length > 0 || source.warnings.length > 0
      ? {
        text: notesText(found.length + source.warnings.length + (source.verified === false ? 1 : 0)), tone: 'warn',
        title: [
          ...(source.verified === false ? ['The raw file could not be verified.'] : []), ...source.warnings,
          ...found.map(([name, count]) => `${name.replaceAll('_', ' ')}: ${lotsText(count)}`),
        ].join('; '),
      }
      : { text: 'clean', tone: 'calm', title: 'No quality counter of the engine stands above zero.' },
    connection: connectionBadge(snapshot, lostSeconds),
    gaps: connection.gapCount > 0 ? { text: `${connection.gapCount} gap${connection.gapCount === 1 ? '' : 's'}, ${lotsText(connection.windowsDropped)} s`, tone: 'warn', title: 'Seconds the service did not send because this page was too slow; they are shown as missing.' } : null,
    clock: transport.clock === 'shared' ? { text: 'shared clock', tone: 'calm', title: 'Everybody sees the same second; the transport is not yours.' } : null,
    renderer: renderer === 'canvas2d' ? { text: 'no GPU', tone: 'calm', title: 'This browser gives no WebGL2 on a GPU: the picture is drawn by the Canvas2D renderer, with the same pixels.' } : null,
    numbers: refusal !== null ? { text: 'numbers missing', tone: 'warn', title: refusal } : null,
  };
}

const notesText = (count: number): string => `${count} note${count === 1 ? '' : 's'}`;

function connectionBadge({ connection, transport }: Snapshot, lostSeconds: number): BadgeState {
  const reconnects = `${connection.reconnects} reconnects.`;
  switch (connection.link) {
    case 'open': return transport.ended
      ? { text: 'end of day', tone: 'calm', title: `The last second was sent. ${reconnects}` }
      : { text: `● ${lotsText(connection.windowsReceived)} s`, tone: 'calm', title: `Connected, seconds received. ${reconnects}` };
    case 'connecting': return { text: 'connecting', tone: 'warn', title: 'Waiting for the service.' };
    case 'lost': {
      const since = Number.isNaN(lostSeconds) ? '' : ` ${durationText(lostSeconds)}`;
      return { text: `connection lost${since}`, tone: 'bad', title: `The page tries again by itself. ${reconnects}` };
    }
    case 'refused': return { text: 'refused', tone: 'bad', title: `The service refused the connection. ${reconnects}` };
  }
}

function write(chip: HTMLElement, state: BadgeState): void {
  setAttribute(chip, 'class', `badge ${state.tone}`);
  setText(chip, state.text);
  setAttribute(chip, 'title', state.title);
  describeNow(chip, nameOf(state));
}

const nameOf = (state: BadgeState): string => `${state.text}. ${state.title}`;

const made = new Made();
let page: PanelContext;
let host: HTMLElement;
let announced: HTMLElement;
const chips = new Map<string, HTMLElement>();
let ticking = 0;
let lostSinceMs = Number.NaN;

export const badges: Panel = {
  id: 'badges',
  mount(element, context) {
    page = context;
    host = element;
    host.setAttribute('role', 'group');
    host.setAttribute('aria-label', 'State of the data');
    announced = el('span', { class: 'unseen', role: 'status' });
    host.append(announced);
  },
  draw(level) {
    if (level < InvalidateLevel.Light) return;
    const { snapshot } = page.store;
    const { connection, history, source, transport, renderer, stage, error } = snapshot;
    const { refusal } = feedsOf(page);
    const slot = history.slotOf(history.head);
    // the seconds of a lost connection tick without anything else changing
    const ticks = connection.link === 'lost' ? performance.now() : 0;
    // most seconds differ in their number only
    const isSame = made.isFrom(
      connection.link, connection.reconnects, connection.gapCount, connection.windowsDropped, source, transport.ended, transport.clock,
      renderer, stage, error, refusal, slot < 0 ? -1 : history.phase[slot], slot < 0 ? -1 : history.flags[slot], ticks,
    );
    const number = chips.get('connection');
    if (isSame && number !== undefined && connection.link === 'open') {
      const state = connectionBadge(snapshot, Number.NaN);
      setText(number, state.text);
      describe(number, () => nameOf(state));
      return;
    }
    if (snapshot.connection.link !== 'lost') lostSinceMs = Number.NaN;
    else if (Number.isNaN(lostSinceMs)) lostSinceMs = performance.now();
    const states = badgeStates(snapshot, refusal, (performance.now() - lostSinceMs) / 1000);
    for (const [name, chip] of chips) if (states[name] == null) chip.hidden = true;
    for (const [name, state] of Object.entries(states)) {
      if (state === null) continue;
      let chip = chips.get(name);
      if (chip === undefined) {
        chip = el('button', { type: 'button', class: 'badge', id: `badge-${name}`, onclick: () => deskOf(page).setOpen('legend', true) });
        chips.set(name, chip);
      }
      // in the order of the states, whatever came first
      chip.hidden = false;
      write(chip, state);
    }
    const order = Object.keys(states).flatMap((name) => chips.get(name) ?? []);
    if (order.some((chip, i) => host.children[i] !== chip)) host.prepend(...order);
    setText(announced, snapshot.connection.link === 'open' ? '' : states['connection']!.text.replace(/\d.*/, ''));
    // the seconds of a lost connection tick by the browser's clock, once a second and only then
    if (snapshot.connection.link === 'lost' && ticking === 0) {
      ticking = window.setTimeout(() => {
        ticking = 0;
        page.redraw(InvalidateLevel.Light);
      }, 1000);
    }
  },
};
