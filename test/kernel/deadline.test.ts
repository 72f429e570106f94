import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadline } from '../../src/deadline.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('the signal is aborted when the time is over, not before', () => {
  const deadline = new Deadline(100);
  vi.advanceTimersByTime(99);
  expect([deadline.expired, deadline.signal.aborted]).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect([deadline.expired, (deadline.signal.reason as Error).name]).toEqual([true, 'TimeoutError']);
});

test('a given signal aborts it with its own reason, and it has not expired', () => {
  const given = new AbortController();
  const deadline = new Deadline(100, given.signal);
  given.abort('enough');
  expect([deadline.expired, deadline.signal.reason]).toEqual([false, 'enough']);
});

test('a signal that is aborted already counts at once', () => {
  expect(new Deadline(100, AbortSignal.abort('early')).signal.reason).toBe('early');
});

test('after end() neither the time nor the given signal count', () => {
  const given = new AbortController();
  const deadline = new Deadline(100, given.signal);
  deadline.end();
  given.abort();
  vi.advanceTimersByTime(200);
  expect([deadline.expired, deadline.signal.aborted, vi.getTimerCount()]).toEqual([false, false, 0]);
});

test('after stopClock() the given signal still counts', () => {
  const given = new AbortController();
  const deadline = new Deadline(100, given.signal);
  deadline.stopClock();
  vi.advanceTimersByTime(200);
  expect(deadline.signal.aborted).toBe(false);
  given.abort();
  expect(deadline.signal.aborted).toBe(true);
});
