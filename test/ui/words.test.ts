import { describe, expect, test } from 'vitest';
import {
  bytesInWords,
  elapsedInWords,
  firstCommands,
  lineOf,
  rigInWords,
  taintInWords,
  wedgeInWords,
} from '../../ui/words.js';

test.each([
  [0n, '0 B'],
  [4096n, '4 KiB'],
  [0x1800n, '6 KiB'],
  [1536n * 1024n * 1024n, '≈ 1.5 GiB'],
  [1n << 64n, '16 EiB'],
])('%s bytes are %s', (bytes, words) => {
  expect(bytesInWords(bytes)).toBe(words);
});

test.each([
  [0, '0 s'],
  [59_999, '59 s'],
  [185_000, '3 min 5 s'],
  [7_800_000, '2 h 10 min'],
])('%i ms are %s', (ms, words) => {
  expect(elapsedInWords(ms)).toBe(words);
});

test('a taint says what each letter is, and shows a letter that it does not know', () => {
  expect(taintInWords(['W', 'D'])).toMatch(/W: .*WARN_ON.*D: .*BUG/);
  expect(taintInWords(['L'])).toContain('L');
});

test('a rig is said with what needs looking at, and without what does not', () => {
  const rig = { kernel: '6.1', containers: 1, wedged: 0, pendingCalls: 0, taint: [] };
  expect(rigInWords(rig)).toBe('Linux 6.1, 1 container');
  expect(rigInWords({ ...rig, containers: 3, wedged: 2, pendingCalls: 1, taint: ['W', 'D'] })).toBe(
    'Linux 6.1, 3 containers, 2 WEDGED, 1 pending, tainted WD',
  );
});

describe('a line of the log', () => {
  test('a callback names its attempt, whatever the engine allows', () => {
    const event = {
      seq: 9,
      kind: 'invalidation' as const,
      cause: 1,
      call: 'unmap-dma',
      device: 'd0',
      iova: '0x0',
      length: '0x1000',
      attempt: 55,
      round: 2,
    };
    expect(lineOf(event)).toMatchObject({
      name: 'dma_unmap',
      text: '0x0 + 0x1000',
      more: 'attempt 55 · round 2',
    });
  });

  test('a BUG_ON names its place and a DEADLOCK its locks', () => {
    const bug = { kind: 'BUG_ON', function: 'f', condition: 'x > 10', file: 'a.c', line: 3 };
    expect(lineOf({ seq: 9, kind: 'splat', cause: 1, call: 'unmap-dma', splat: bug })).toEqual({
      name: 'BUG_ON',
      text: 'x > 10',
      more: 'f() a.c:3',
      tone: 'fatal',
    });
    const d0 = { device: 'd0', count: 1 };
    const pins = [
      { iova: '0x1000', pfn: '0x1', refCount: 1, devices: [d0] },
      { iova: '0x5000', pfn: '0x2', refCount: 2, devices: [d0, { device: 'd1', count: 1 }] },
    ];
    const left = lineOf({
      seq: 9,
      kind: 'splat',
      cause: 1,
      call: 'unmap-dma',
      splat: { ...bug, pinCount: 2, pins },
    });
    expect(left.more).toBe('f() a.c:3 · 2 pins left: 0x1000 of d0; 0x5000 of d0, d1');
    expect(wedgeInWords(bug)).toBe('BUG_ON(x > 10) in f(), a.c:3');
    expect(wedgeInWords({ kind: 'DEADLOCK', condition: 'a holds b' })).toBe('DEADLOCK: a holds b');
  });
});

test('the first commands name the server, and the rig where it is not the default one', () => {
  for (const command of firstCommands('http://127.0.0.1:8080', null)) {
    expect(command).toMatch(/^curl -sX POST http:\/\/127\.0\.0\.1:8080\/v1\//);
    expect(command).not.toContain('x-rig');
  }
  for (const command of firstCommands('http://h', 'night-2'))
    expect(command).toContain("-H 'x-rig: night-2'");
});
