import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../src/wire/messages';
import { helloText, stateText } from '../samples/sockets';

const parse = (message: object): ReturnType<typeof parseMessage> => parseMessage(JSON.stringify(message));

describe('control messages', () => {
  it('say hello', () => {
    expect(parse(helloText())).toMatchObject({
      type: 'hello', epoch: 'e1', origin: 'simulated', firstWindow: 10_001, lastWindow: 14_000, tickInt: 250_000_000n,
      lookahead: true, clock: 'private', calibrationBounds: { wall_strength_log: { q05: 1.4, q95: 5.9 } },
    });
  });

  it('tell the state with a speed that may be max', () => {
    expect(parse(stateText('seek', { speed: 'max', playing: false }))).toEqual({
      type: 'state', cause: 'seek', playing: false, speed: 'max', position: { window: 12_000, seq: 1999n },
    });
  });

  it('count the windows of a gap', () => {
    expect(parse({ type: 'gap', from_seq: '5', to_seq: '7', count: '3' })).toEqual({ type: 'gap', count: 3 });
  });

  it('keep the sentence of an error', () => {
    expect(parse({ type: 'error', code: 'not_paused', detail: 'step works while paused', fatal: false })).toMatchObject({
      detail: 'step works while paused', fatal: false,
    });
  });

  for (const [what, text] of Object.entries({
    'no JSON': '{',
    'no object': '[]',
    'an unknown type': '{"type":"surprise"}',
    'a tick as a number': JSON.stringify(helloText({ tick_int: 250_000_000 })),
    'an origin nobody knows': JSON.stringify(helloText({ origin: 'dreamt' })),
    'a window that is no second': JSON.stringify(helloText({ first_window: { ts_ns: '10001000000001', seq: '0' } })),
    'bounds that fall': JSON.stringify(helloText({ calibration_bounds: { wall_strength_log: { q05: 5, q95: 5 } } })),
  })) {
    it(`are refused with a sentence: ${what}`, () => {
      expect(() => parseMessage(text)).toThrow(RangeError);
    });
  }
});
