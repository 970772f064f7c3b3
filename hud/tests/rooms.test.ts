/** Imports go down: which room may name which (hud/README.md). */
import { describe, expect, it } from 'vitest';

const sources = import.meta.glob<string>('../src/**/*.ts', { query: '?raw', import: 'default', eager: true });

const MAY_IMPORT: Readonly<Record<string, readonly RegExp[]>> = {
  units: [/^units\//],
  // what a window and a snapshot are, the wire has to know: it makes them
  wire: [/^units\//, /^wire\//, /^model\/(history|planes|snapshot)$/],
  model: [/^units\//, /^model\//, /^wire\/schema\.gen$/],
  render: [/^units\//, /^model\//, /^render\//],
  ui: [/^units\//, /^model\//, /^render\//, /^ui\//, /^wire\/(api|schema\.gen)$/],
};

/** Path below src that a relative import names. */
function resolve(from: string, target: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

describe('rooms', () => {
  const files = Object.entries(sources).map(([path, text]) => [path.replace('../src/', ''), text] as const);

  for (const [room, allowed] of Object.entries(MAY_IMPORT)) {
    it(`${room} imports downwards only`, () => {
      const wrong: string[] = [];
      let seen = 0;
      for (const [path, text] of files.filter(([name]) => name.startsWith(`${room}/`))) {
        for (const [, target] of text.matchAll(/from '(\.[^']+)'/g)) {
          const named = resolve(path, target!).replace(/\?raw$/, '');
          seen++;
          if (!allowed.some((rule) => rule.test(named))) wrong.push(`${path} imports ${named}`);
        }
      }
      expect(wrong).toEqual([]);
      expect(seen).toBeGreaterThan(room === 'units' ? 0 : 3);
    });
  }

  it('touch the document only in ui, and the network only in wire', () => {
    const wrong = files
      .filter(([path, text]) => (
        (/^(units|wire|model)\//.test(path) && /\b(document|window)\.[a-zA-Z]/.test(text))
        || (/^(units|model|render|ui)\//.test(path) && /\bfetch\([`'"]|new WebSocket/.test(text))
      ))
      .map(([path]) => path);
    expect(wrong).toEqual([]);
  });
});
