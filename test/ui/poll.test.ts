import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GONE, Poll } from '../../ui/poll.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A poll whose answers are given, and the times at which it asked. */
function polled(...answers: (number | Error)[]) {
  const asked: number[] = [];
  const end = new AbortController();
  const poll = new Poll(async () => {
    asked.push(performance.now() - begun);
    const next = answers.shift();
    if (next === undefined || next instanceof Error) throw next ?? new Error('asked too often');
    return next;
  }, end.signal);
  const begun = performance.now();
  return { poll, asked, end };
}

test('it asks at once, and not again while its answer is new enough', async () => {
  const { poll, asked } = polled(5, 9);
  poll.want(3);
  await vi.advanceTimersByTimeAsync(1000);
  poll.want(5);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([0]);
  poll.want(6);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([0, 2000]);
});

test('many wishes in a row are one question, after the least time between two', async () => {
  const { poll, asked } = polled(1, 50);
  poll.want(1);
  await vi.advanceTimersByTimeAsync(10);
  for (let seq = 2; seq <= 50; seq++) poll.want(seq);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([0, 120]);
});

test('an answer that is too old already is asked for again', async () => {
  const { poll, asked } = polled(4, 9);
  poll.want(8);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([0, 120]);
});

test('after an error it asks again, later', async () => {
  const { poll, asked } = polled(new Error('down'), 1);
  poll.want(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toEqual([0, 1500]);
});

test('nobody is asked while nobody is interested, once it is gone, or after the end', async () => {
  const { poll, asked, end } = polled(GONE, 1);
  poll.active = false;
  poll.want(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([]);
  poll.active = true;
  await vi.advanceTimersByTimeAsync(1000);
  poll.want(99);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([1000]);
  const other = polled(1);
  other.end.abort();
  other.poll.want(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(other.asked).toEqual([]);
  end.abort();
});
