import { describe, expect, it } from 'vitest';
import { commandOf, KEYS, keyName } from '../../src/ui/keymap';

const press = (key: string, more = {}) => commandOf({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...more });

describe('keys', () => {
  it('name one command each, and every command once', () => {
    const keys = KEYS.flatMap((binding) => binding.keys);
    expect(new Set(keys).size).toBe(keys.length);
    const commands = KEYS.map((binding) => binding.command);
    expect(new Set(commands).size).toBe(commands.length);
  });
  it('tell Shift with an arrow from an arrow, and take letters in either case', () => {
    expect(press('ArrowLeft')).toBe('step_back');
    expect(press('ArrowLeft', { shiftKey: true })).toBe('minute_back');
    expect(press('W', { shiftKey: true })).toBe('walls');
    expect(press('?', { shiftKey: true })).toBe('help');
  });
  it('leave the keys of the browser alone', () => {
    expect(press('f', { ctrlKey: true })).toBeNull();
    expect(press('s', { metaKey: true })).toBeNull();
    expect(press('ArrowLeft', { altKey: true })).toBeNull();
    expect(press('Tab')).toBeNull();
    expect(press('ArrowUp', { shiftKey: true })).toBeNull();
  });
  it('have names a person can read', () => {
    expect(keyName(' ')).toBe('Space');
    expect(keyName('Shift+ArrowLeft')).toBe('Shift ←');
    expect(keyName('w')).toBe('W');
  });
});
