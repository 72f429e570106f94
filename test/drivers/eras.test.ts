import { describe, expect, test } from 'vitest';
import { AT_ONCE, eraOf, notAscending } from '../../src/drivers/model.ts';

describe('the era of a driver', () => {
  const eras = { '5.10': 'first', '6.1': 'second', '6.12': 'third', '7.2': 'fourth' };
  const model = { type: 'vfio-ap', eras };

  test.each([
    ['5.10', 'first'],
    ['5.19', 'first'],
    ['6.0', 'first'],
    ['6.1', 'second'],
    ['6.2', 'second'],
    ['6.11', 'second'],
    ['6.12', 'third'],
    ['7.0', 'third'],
    ['7.2', 'fourth'],
    ['10.1', 'fourth'],
  ])('of Linux %s is the newest that is not newer', (version, era) => {
    expect(eraOf(model, { 'vfio-ap': version } as never)).toBe(era);
    // Whatever order they are written in.
    const backwards = Object.fromEntries(Object.entries(eras).reverse());
    expect(eraOf({ ...model, eras: backwards }, { 'vfio-ap': version } as never)).toBe(era);
  });

  test('a kernel that is older than all of them has none', () => {
    expect(() => eraOf(model, { 'vfio-ap': '5.9' } as never)).toThrow('vfio-ap has no era for Linux 5.9');
    expect(() => eraOf(model, { 'vfio-ap': '4.20' } as never)).toThrow('vfio-ap has no era for Linux 4.20');
  });

  test('a model that is of no driver of the kernel’s tree has one', () => {
    expect(eraOf({ type: 'synthetic', eras: { '0': 'only' } }, { 'vfio-ap': '6.1' } as never)).toBe('only');
  });
});

describe('a list of a saved state that must be in ascending order', () => {
  const checked = (keys: (bigint | number)[]) => {
    const steps = notAscending('list', keys);
    for (let pauses = 0; ; pauses++) {
      const { done, value } = steps.next();
      if (done) return { pauses, wrong: value && `${value.field} ${value.rule}` };
    }
  };
  const after = 'must come after the one before it';

  test.each([
    [[], null],
    [[0], null],
    [[0n, 1n, 5n], null],
    [[1, 1], `list/1 ${after}`],
    [[0, 2, 1], `list/2 ${after}`],
    [[0n, 0n], `list/1 ${after}`],
  ])('list %#', (keys, wrong) => {
    expect(checked(keys)).toEqual({ pauses: 0, wrong });
  });

  test('is looked at so many items at a time', () => {
    const upTo = (count: number) => checked(Array.from({ length: count }, (_, i) => i));
    expect([AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE].map((count) => upTo(count).pauses)).toEqual([0, 1, 2]);
  });
});
