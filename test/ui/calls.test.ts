import { beforeEach, expect, test } from 'vitest';
import { Calls } from '../../ui/calls.js';
import { Rounds } from '../../ui/rounds.js';

type Event = Parameters<Calls['take']>[0];

let calls: Calls;
let rounds: Rounds;
let now: number;
beforeEach(() => {
  calls = new Calls();
  rounds = new Rounds();
  now = 1000;
});

/** Takes in entries; returns the containers whose rounds changed. */
function take(...events: Event[]): (string | undefined)[] {
  return events.map((event) => rounds.take(event, calls.take(event, now)));
}

const call = (seq: number, name: string, more: object = {}): Event => ({
  seq,
  kind: 'call',
  container: 'c0',
  call: Object.assign({ call: name, container: 'c0' }, more),
});
const answer = (cause: number, how = 'returned', errno: string | null = null): Event => ({
  seq: 900 + cause,
  kind: 'answer',
  cause,
  call: 'unmap-dma',
  container: 'c0',
  how,
  errno,
});
const callback = (cause: number, iova: string, attempt: number, device = 'd0'): Event => ({
  seq: 500 + cause,
  kind: 'invalidation',
  cause,
  call: 'unmap-dma',
  container: 'c0',
  device,
  iova,
  length: '0x1000',
  attempt,
  round: 1,
});

test('a call is under way until its answer, and knows how it ended', () => {
  take(call(1, 'map-dma', { iova: '0x0', size: '0x1000' }));
  const [known] = calls.pending(now, 0);
  expect(known).toMatchObject({ seq: 1, name: 'map-dma', args: { iova: '0x0', size: '0x1000' }, end: null });
  take(answer(1, 'returned', 'EEXIST'));
  expect(calls.pending(now, 0)).toEqual([]);
  expect(known!.end).toBe('EEXIST');
});

test('pending lists what waits long enough, the longest first', () => {
  take(call(1, 'unmap-dma'));
  now = 1400;
  take(call(2, 'map-dma'), call(3, 'pin-pages'), answer(3));
  expect(calls.pending(1600, 500).map(({ seq }) => seq)).toEqual([1]);
  expect(calls.pending(2000, 500).map(({ seq }) => seq)).toEqual([1, 2]);
});

test('a call that the server says is waiting counts from when it began to wait', () => {
  const line = { seq: 7, call: { call: 'unmap-dma' }, container: 'c0', waitingMs: 90_000 };
  const known = calls.know(line, now);
  take(call(7, 'unmap-dma'));
  expect(calls.pending(now, 500)).toEqual([known]);
  expect(now - known.since).toBe(90_000);
});

test('an answer to a call that nobody knows changes nothing', () => {
  expect(take(answer(4), callback(4, '0x0', 1))).toEqual([undefined, undefined]);
  expect(rounds.of('c0')).toEqual([]);
});

test('a round is at the mapping visited last, and counts attempts, devices and mappings', () => {
  expect(take(call(1, 'unmap-dma'))).toEqual([undefined]);
  const visits = [
    callback(1, '0x1000', 1),
    callback(1, '0x1000', 1, 'd1'),
    callback(1, '0x1000', 2),
    callback(1, '0x4000', 1, 'd1'),
  ];
  expect(take(...visits)).toEqual(['c0', 'c0', 'c0', 'c0']);
  const [known] = rounds.of('c0');
  expect(known?.round).toEqual({
    iova: '0x4000',
    length: '0x1000',
    attempt: 1,
    visited: 2,
    devices: ['d1'],
    last: 'd1',
    fatal: null,
  });
});

test('a container shows the rounds under way and the two newest that are done', () => {
  for (const seq of [1, 2, 3, 4]) take(call(seq, 'unmap-dma'), callback(seq, '0x1000', 1));
  take(answer(1), answer(3), answer(4));
  expect(rounds.of('c0').map(({ seq }) => seq)).toEqual([2, 4, 3]);
  rounds.clear();
  expect(rounds.of('c0')).toEqual([]);
});

test.each(['BUG_ON', 'DEADLOCK'])('a %s ends a round for ever', (kind) => {
  take(call(1, 'unmap-dma'), callback(1, '0x1000', 11));
  expect(
    take({ seq: 9, kind: 'splat', cause: 1, call: 'unmap-dma', container: 'c0', splat: { kind } }),
  ).toEqual(['c0']);
  take(answer(1, 'killed'));
  expect(rounds.of('c0')).toMatchObject([{ end: 'killed', round: { fatal: kind } }]);
});

test('a WARN_ON ends none', () => {
  take(call(1, 'unmap-dma'), callback(1, '0x1000', 1));
  expect(
    take({ seq: 9, kind: 'splat', cause: 1, call: 'unmap-dma', container: 'c0', splat: { kind: 'WARN_ON' } }),
  ).toEqual([undefined]);
  expect(rounds.of('c0')).toMatchObject([{ end: null, round: { fatal: null } }]);
});

test('a round whose callbacks have left the journal is at what the server says', () => {
  const at = { device: 'd3', iova: '0x8000', length: '0x2000', attempt: 5 };
  const line = {
    seq: 7,
    call: { call: 'unmap-dma' },
    container: 'c0',
    waitsFor: '',
    waitingMs: 1,
    callback: at,
  };
  rounds.know(line, calls.know(line, now));
  expect(rounds.of('c0')).toMatchObject([
    { seq: 7, end: null, round: { iova: '0x8000', attempt: 5, last: 'd3' } },
  ]);
});
