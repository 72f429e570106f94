import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Journal } from '../../src/host/journal.ts';

// Time stands still: only what happens without a timer happens.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const entry = { seq: 0, kind: 'call' as const, call: { call: 'iommu-info' } };

/** A journal whose listener was told of one entry just now, and how often it has been told. */
async function told(): Promise<{ journal: Journal; count: () => number }> {
  const journal = new Journal(10_000);
  let count = 0;
  journal.listen(() => void count++);
  journal.append(entry);
  await turn();
  expect(count).toBe(1);
  return { journal, count: () => count };
}

/** One turn of the event loop, with what is due in it. */
const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

test('what comes within 10 ms of a telling is told together, when they are over', async () => {
  const { journal, count } = await told();
  for (let i = 0; i < 999; i++) journal.append(entry);
  await turn();
  expect(count()).toBe(1);
  vi.advanceTimersByTime(10);
  expect(count()).toBe(2);
});

test('a thousand entries are told without waiting for the 10 ms', async () => {
  const { journal, count } = await told();
  for (let i = 0; i < 1000; i++) journal.append(entry);
  await turn();
  expect(count()).toBe(2);
  vi.advanceTimersByTime(100);
  expect(count()).toBe(2);
});

test('listeners that take long have a rest ten times as long, of at most 50 ms', async () => {
  const { journal, count } = await told();
  journal.listen(() => void vi.advanceTimersByTime(3));
  vi.advanceTimersByTime(10);
  journal.append(entry);
  await turn();
  expect(count()).toBe(2);
  journal.append(entry);
  await turn();
  vi.advanceTimersByTime(26);
  expect(count()).toBe(2);
  vi.advanceTimersByTime(4);
  expect(count()).toBe(3);
});
