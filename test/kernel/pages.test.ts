import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addressOf,
  exact,
  isPageAligned,
  offsetInPage,
  pageOf,
  TOP,
  TOP_PAGE,
} from '../../src/kernel/pages.ts';
import { fuzz } from '../harness/fuzz.ts';

/** Where a half of a word, a double or 64 bits end, and what lies beside. */
const EDGES = [0n, 4096n, 1n << 32n, 1n << 44n, 1n << 53n, 1n << 63n, TOP].flatMap((at) =>
  [-4097n, -4096n, -1n, 0n, 1n, 4095n, 4096n].map((by) => at + by),
);

test.for(EDGES.filter((at) => at >= 0n))('page and offset of 0x%s are those of the bigint', (at) => {
  expect(pageOf(at)).toBe(Number(at >> 12n));
  expect(offsetInPage(at)).toBe(Number(at % 4096n));
  expect(isPageAligned(at)).toBe(at % 4096n === 0n);
});

test('an address is its page and offset again, from 0 to 2^64', () => {
  expect(addressOf(TOP_PAGE)).toBe(TOP);
  const address = fc.bigInt({ min: 0n, max: TOP - 1n });
  const same = fc.property(address, (at) => addressOf(pageOf(at), offsetInPage(at)) === at);
  fc.assert(same, fuzz('pages', 300));
});

test.for([0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER])(
  'the number %d is the same as a bigint',
  (value) => {
    expect(exact(value)).toBe(BigInt(value));
  },
);
