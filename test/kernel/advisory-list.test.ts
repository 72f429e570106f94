import { expect, test } from 'vitest';
import { AdvisoryList } from '../../src/kernel/advisories.ts';

test('one kind about the same devices in the same order is one finding, with a count', () => {
  const list = new AdvisoryList(true);
  const note = (devices: string[], kind: 'FOREIGN_UNPIN' | 'NO_CALLBACK' = 'FOREIGN_UNPIN') =>
    list.note(kind, devices, 0x1000n, 'words') !== null;
  expect([note(['a', 'b']), note(['a', 'c']), note(['b', 'a']), note(['a']), note([])]).toEqual(
    Array(5).fill(true),
  );
  expect(note(['a'], 'NO_CALLBACK')).toBe(true);
  expect([note(['a', 'b']), note(['a']), note(['a']), note([])]).toEqual(Array(4).fill(false));
  expect(list.list().map(({ devices, count }) => [devices.join(), count])).toEqual([
    ['a,b', 2],
    ['a,c', 1],
    ['b,a', 1],
    ['a', 3],
    ['', 2],
    ['a', 1],
  ]);
});

test('64 findings are kept; of one more nothing is, and those that are there go on counting', () => {
  const list = new AdvisoryList(true);
  for (let i = 0; i < 64; i++) expect(list.note('RANGE_CLOSED', [`d${i}`], 0n, '')).not.toBeNull();
  expect(list.note('RANGE_CLOSED', ['d64'], 0n, '')).toBeNull();
  expect(list.note('RANGE_CLOSED', ['d63'], 0n, '')).toBeNull();
  expect(list.list()).toHaveLength(64);
  expect(list.list().at(-1)).toMatchObject({ devices: ['d63'], count: 2 });
});

test('words are made once a finding, and only where somebody reads them', () => {
  let made = 0;
  const words = () => `made ${++made}`;
  const read = new AdvisoryList(true);
  for (let i = 0; i < 2; i++) read.note('RANGE_CLOSED', [], 0n, words);
  read.note('CLOSE_WAITS', [], 0n, 'as they are');
  expect(read.list().map(({ text }) => text)).toEqual(['made 1', 'as they are']);
  const unread = new AdvisoryList(false);
  unread.note('RANGE_CLOSED', [], 0n, words);
  unread.note('CLOSE_WAITS', [], 0n, 'as they are');
  expect(unread.list().map(({ text }) => text)).toEqual(['', '']);
  expect(made).toBe(1);
});

test('what was listed stays as it was', () => {
  const list = new AdvisoryList(true);
  list.note('RANGE_CLOSED', [], 0n, '');
  const listed = list.list();
  list.note('CLOSE_WAITS', [], 0n, '');
  expect(listed).toHaveLength(1);
});
