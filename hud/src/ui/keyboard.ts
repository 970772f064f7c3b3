/** Binds the keys of keymap.ts to the desk. */
import { deskOf } from './desk';
import { commandOf } from './keymap';
import type { PanelContext } from './panel';

const ARROWS: Readonly<Record<string, readonly [windows: number, ticks: number]>> = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
};

/** Does the element under focus want this key for itself? */
function isTaken(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (key === 'Escape') return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement) return true;
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) {
    // a checkbox uses the space bar only
    return !(target instanceof HTMLInputElement && target.type === 'checkbox') || key === ' ';
  }
  const operated = target.closest('button, summary, a, [role="slider"], [role="button"], [role="switch"]');
  if (operated === null) return false;
  if (key === ' ' || key === 'Enter') return true;
  return operated.getAttribute('role') === 'slider' && (key.startsWith('Arrow') || key === 'Home' || key === 'End' || key.startsWith('Page'));
}

export function bindKeys(page: PanelContext): void {
  const desk = deskOf(page);
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || isTaken(event.target, event.key)) return;
    const dialog = document.querySelector('dialog[open]');
    const command = commandOf(event);
    if (dialog !== null) {
      // Escape is the dialog's own
      if (command === 'help') {
        event.preventDefault();
        desk.run('help');
      }
      return;
    }
    const arrow = ARROWS[event.key];
    if (desk.keyboardCursor && arrow !== undefined && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      const step = event.shiftKey ? 10 : 1;
      return desk.moveCursor(arrow[0] * step, arrow[1] * step);
    }
    if (command === null) return;
    event.preventDefault();
    if (command === 'close' && event.target instanceof HTMLElement && event.target !== document.body) {
      const field = event.target.closest('#panel-transport, #panel-minimap');
      if (field !== null) return event.target.blur();
    }
    desk.run(command);
  });
}
