import { expect, test } from 'vitest';
import { checkInjected, Injected, insert } from '../../src/drivers/injected.ts';

test.each([[['b', 'a', 'c']], [['c', 'b', 'a']], [['a', 'b', 'c']], [['b', 'c', 'a', 'b']]])(
  'keys that came as %j are in order',
  (keys) => {
    const map = new Map<string, number>();
    for (const [i, key] of keys.entries()) insert(map, key, i);
    expect([...map]).toEqual(['a', 'b', 'c'].map((key) => [key, keys.lastIndexOf(key)]));
  },
);

test('answers for a key are taken in the order in which they came, and then there are none', () => {
  const injected = new Injected<number>();
  expect(injected.isEmpty).toBe(true);
  injected.add('tapq', [1, 2]);
  injected.add('aqic', [7]);
  injected.add('tapq', [3]);
  expect(injected.entries()).toEqual([
    ['aqic', [7]],
    ['tapq', [1, 2, 3]],
  ]);
  expect([injected.count('tapq'), injected.count('aqic'), injected.count('zapq')]).toEqual([3, 1, 0]);
  expect([1, 2, 3, 4].map(() => injected.take('tapq'))).toEqual([1, 2, 3, undefined]);
  expect(injected.entries()).toEqual([['aqic', [7]]]);
  expect(injected.isEmpty).toBe(false);
  expect(injected.take('aqic')).toBe(7);
  expect(injected.isEmpty).toBe(true);
});

test('what is added is a copy: whoever gave it may change it', () => {
  const injected = new Injected<number>();
  const answers = [1];
  injected.add('tapq', answers);
  answers.push(2);
  expect(injected.count('tapq')).toBe(1);
});

test.each([
  [0, 1024, null],
  [1023, 1, null],
  [1024, 1, { tooMany: 'injected answers', most: 1024 }],
  [1, 1024, { tooMany: 'injected answers', most: 1024 }],
])('%i answers that wait and %i more', (waiting, more, refused) => {
  expect(checkInjected(waiting, more)).toEqual(refused);
});
