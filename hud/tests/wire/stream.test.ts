import { beforeEach, describe, expect, it } from 'vitest';
import { RETRY_MS, SILENCE_MS, StreamClient } from '../../src/wire/stream';
import { FakePorts, helloText, stateText } from '../samples/sockets';

let ports: FakePorts;
let client: StreamClient;
let links: string[];
let windows: number[];
let messages: string[];
let faults: string[];

beforeEach(() => {
  ports = new FakePorts();
  links = [];
  windows = [];
  messages = [];
  faults = [];
  client = new StreamClient((resume) => `ws://here/?resume=${resume ?? ''}`, {
    hello: () => messages.push('hello'),
    message: (message) => messages.push(message.type),
    window: (bytes) => windows.push(bytes.byteLength),
    link: (state, detail) => links.push(detail === '' ? state : `${state}: ${detail}`),
    fault: (detail) => faults.push(detail),
  }, ports);
  client.start();
  ports.last.say(helloText());
});

const bytes = (n: number): ArrayBuffer => new ArrayBuffer(n);

describe('the stream', () => {
  it('passes windows and messages on', () => {
    ports.last.say(bytes(3));
    ports.last.say(stateText('pause'));
    expect([links, windows, messages]).toEqual([['open'], [3], ['hello', 'state']]);
    expect(ports.last.binaryType).toBe('arraybuffer');
  });

  it('drops windows of the old place until the seek is answered', () => {
    client.send({ type: 'seek', ts_ns: '1' });
    ports.last.say(bytes(1));
    client.send({ type: 'seek', ts_ns: '2' });
    ports.last.say(stateText('seek'));
    ports.last.say(bytes(2));
    ports.last.say(stateText('seek'));
    ports.last.say(bytes(7));
    expect(windows).toEqual([7]);
  });

  it('takes windows again after a seek that was refused', () => {
    client.send({ type: 'seek', ts_ns: '1' });
    ports.last.say({ type: 'error', code: 'out_of_range', detail: 'outside the day', fatal: false });
    ports.last.say(bytes(4));
    expect(windows).toEqual([4]);
  });

  it('is opened anew without a word, and goes on after what it took', () => {
    client.took('e1', 41n);
    const before = ports.last;
    client.reopen();
    expect(before.readyState).toBe(3);
    expect(ports.sockets).toHaveLength(2);
    expect(ports.last.url).toBe('ws://here/?resume=e1:41');
    before.say(bytes(9));
    ports.last.say(helloText());
    ports.last.say(bytes(2));
    expect([links, windows]).toEqual([['open', 'open'], [2]]);
    ports.last.end();
    client.reopen();
    expect(ports.sockets, 'the next try takes the address of then').toHaveLength(2);
  });

  it('comes back by itself, ever more patiently, and resumes after what it took', () => {
    client.took('e1', 41n);
    for (const [k, wait] of [...RETRY_MS, 5000].entries()) {
      ports.last.end();
      ports.pass(wait - 1);
      expect(ports.sockets).toHaveLength(k + 1);
      ports.pass(1);
      expect(ports.sockets).toHaveLength(k + 2);
      expect(ports.last.url).toBe('ws://here/?resume=e1:41');
    }
    ports.last.say(helloText());
    ports.last.end();
    ports.pass(RETRY_MS[0]);
    expect(ports.sockets).toHaveLength(RETRY_MS.length + 3);
    expect(links.filter((link) => link === 'open')).toHaveLength(2);
  });

  it('starts afresh when it has taken nothing', () => {
    ports.last.end();
    ports.pass(RETRY_MS[0]);
    expect(ports.last.url).toBe('ws://here/?resume=');
  });

  it('hurries when the browser is back online', () => {
    ports.last.end();
    client.hurry();
    expect(ports.sockets).toHaveLength(2);
    ports.pass(60_000 - SILENCE_MS);
  });

  it('gives up on a refusal and says why', () => {
    ports.last.say({ type: 'error', code: 'too_many', detail: 'more than 20 commands a second', fatal: true });
    ports.last.end(1008, 'policy');
    ports.pass(600_000);
    expect(ports.sockets).toHaveLength(1);
    expect(links.at(-1)).toBe('refused: more than 20 commands a second');
  });

  it('treats silence as a lost connection', () => {
    ports.pass(SILENCE_MS - 1);
    ports.last.say({ type: 'heartbeat' });
    ports.pass(SILENCE_MS - 1);
    expect(links).toEqual(['open']);
    ports.pass(1);
    expect(links.at(-1)).toMatch(/^lost: nothing was heard/);
  });

  it('sends nothing without a connection and says so', () => {
    ports.last.end();
    expect(client.send({ type: 'play' })).toBe(false);
    expect(client.isOpen).toBe(false);
  });

  it('tells what is no message instead of guessing', () => {
    ports.last.onmessage?.({ data: 'nonsense' } as MessageEvent);
    expect(faults).toEqual(['the service sent text that is no JSON']);
  });

  it('stops for good when told to', () => {
    client.stop();
    ports.pass(600_000);
    expect(ports.sockets).toHaveLength(1);
  });
});
