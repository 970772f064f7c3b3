import { describe, expect, it } from 'vitest';
import { InvalidateLevel } from '../../src/model/invalidate';
import type { WindowNo } from '../../src/units/time';
import { Frames } from '../../src/ui/frames';
import { nextSpeed, parseTime, SPEEDS, windowOfTime } from '../../src/ui/transport_bar';

describe('a typed time', () => {
  it('is read in the ways people type', () => {
    const at = 9 * 3600 + 30 * 60;
    for (const text of ['9:30', '09:30', '0930', '930', ' 09:30:00 ', '093000']) expect(parseTime(text), text).toBe(at);
    expect(parseTime('09:30:15')).toBe(at + 15);
    expect(parseTime('16:00')).toBe(57_600);
  });

  it('is refused when it is none', () => {
    for (const text of ['', 'noon', '25:00', '09:61', '9', '12:30:99', '1:2:3:4', '-1:00']) expect(parseTime(text), text).toBeNull();
  });

  it('may lie on the evening before', () => {
    // the session of 2026-01-06 from 18:00 of the evening before, New York
    const first = Date.UTC(2026, 0, 5, 23, 0) / 1000 as WindowNo;
    const last = Date.UTC(2026, 0, 6, 22, 0) / 1000 as WindowNo;
    const near = Date.UTC(2026, 0, 6, 14, 0) / 1000 as WindowNo;
    expect(windowOfTime(19 * 3600, first, last, near)).toBe(Date.UTC(2026, 0, 6, 0, 0) / 1000);
    expect(windowOfTime(9.5 * 3600, first, last, near)).toBe(Date.UTC(2026, 0, 6, 14, 30) / 1000);
    expect(windowOfTime(17.5 * 3600, first, last, near)).toBeNull();
  });
});

describe('speeds', () => {
  it('go up and down the list and stop at its ends', () => {
    expect(nextSpeed(1, 1)).toBe(2);
    expect(nextSpeed(1, -1)).toBe(0.5);
    expect(nextSpeed('max', 1)).toBe('max');
    expect(nextSpeed('max', -1)).toBe(60);
    expect(nextSpeed(0.1, -1)).toBe(0.1);
    expect(nextSpeed(7, 1)).toBe(10);
    expect(SPEEDS[0]).toBe(0.1);
  });
});

describe('frames', () => {
  it('merge requests into one frame of the highest level, and run only on request', () => {
    const queue: ((now: number) => void)[] = [];
    const drawn: number[] = [];
    const frames = new Frames((level) => { drawn.push(level); return false; }, (run) => queue.push(run));
    frames.request(InvalidateLevel.Cursor);
    frames.request(InvalidateLevel.Full);
    frames.request(InvalidateLevel.Light);
    expect(queue).toHaveLength(1);
    queue.shift()!(0);
    expect(drawn).toEqual([InvalidateLevel.Full]);
    expect(queue).toHaveLength(0);
  });

  it('go on while something eases', () => {
    const queue: ((now: number) => void)[] = [];
    let left = 3;
    const frames = new Frames(() => --left > 0, (run) => queue.push(run));
    frames.request(InvalidateLevel.Light);
    for (let k = 0; queue.length > 0; k++) queue.shift()!(16 * k);
    expect(frames.drawn).toBe(3);
  });
});
