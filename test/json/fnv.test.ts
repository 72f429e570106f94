import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Base64Bytes } from '../../src/json/base64.ts';
import { Fnv } from '../../src/json/fnv.ts';
import { fuzz } from '../harness/fuzz.ts';

/** As it is defined, with the recordings' offset. */
function slow(bytes: Uint8Array): string {
  let hash = 1469598103934665603n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `0x${hash.toString(16)}`;
}

test('the hash of bytes is the one the recordings have', () => {
  // hand-rw-basic
  expect(new Fnv().take(Buffer.alloc(16, 0x41)).value).toBe('0x255f0a2bb8269fd3');
});

test('the hash of bytes is what its definition comes to, in how many parts they may come', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(new Fnv().take(a).take(b).value).toBe(slow(Buffer.concat([a, b])));
    }),
    fuzz('fnv', 1000),
  );
});

test('the hash of many bytes is worked out in parts, and is the same', () => {
  const bytes = Buffer.alloc(1_000_003, 'abcdefg');
  const data = new Base64Bytes(bytes);
  expect([...data.hashing()].length).toBeGreaterThan(10);
  expect(data.hash).toBe(new Fnv().take(bytes).value);
});
