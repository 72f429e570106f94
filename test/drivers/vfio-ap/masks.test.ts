import { expect, test } from 'vitest';
import { ApMask, ApMatrix, copy } from '../../../src/drivers/vfio-ap/masks.ts';

const mask = (...numbers: number[]) => new ApMask(numbers);

test('what is in both, in the first alone, and whether there is anything in both', () => {
  const [a, b] = [mask(12, 2, 7), mask(2, 3, 12)];
  expect(a.and(b).list()).toEqual([2, 12]);
  expect(a.andNot(b).list()).toEqual([7]);
  expect([a.intersects(b), a.intersects(mask(3)), a.intersects(mask())]).toEqual([true, false, false]);
});

test.each([
  [[1, 2], [2, 1], true],
  [[], [], true],
  [[1, 2], [1], false],
  [[1], [1, 2], false],
  [[1, 2], [1, 3], false],
])('%j and %j are equal: %j', (a, b, equal) => {
  expect(mask(...a).equals(mask(...b))).toBe(equal);
  const [one, other] = [mask(...a), mask(...b)];
  expect(new ApMatrix(one, mask(5)).equals(new ApMatrix(other, mask(5)))).toBe(equal);
  expect(new ApMatrix(mask(5), one).equals(new ApMatrix(mask(5), other))).toBe(equal);
});

test('a matrix has the queues of each adapter in each domain, ascending', () => {
  const matrix = ApMatrix.of([0x0203, 0x0105]);
  expect(matrix.apqns()).toEqual([0x0103, 0x0105, 0x0203, 0x0205]);
  expect([0x0203, 0x0103, 0x0303, 0x0104].map((apqn) => matrix.has(apqn))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test('a copy is one of its own', () => {
  const matrix = new ApMatrix(mask(1), mask(2));
  const other = copy(matrix);
  matrix.apm.set(7);
  matrix.aqm.clear(2);
  expect([other.apm.list(), other.aqm.list(), matrix.aqm.empty, other.aqm.empty]).toEqual([
    ...[[1], [2], true, false],
  ]);
});
