import { expect, test } from 'vitest';
import { Chunks } from '../../src/chunks.ts';

/** Bytes from 0 on, cut into pieces of these lengths, over and over. */
function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const BYTES = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251));

test.each([
  [[1]],
  [[300_000]],
  [[1, 20_000]],
  [[20_000, 1]],
  [[5, 70_000, 3]],
  [[0, 4096]],
  [[16_384, 16_383]],
])('pieces of %j bytes are what came, and take no more memory than about that', (lengths) => {
  const chunks = new Chunks();
  for (const piece of cut(BYTES, lengths)) chunks.add(piece);
  expect(chunks.length).toBe(BYTES.length);
  const kept = chunks.take();
  expect(Buffer.concat(kept).equals(BYTES)).toBe(true);
  expect(kept.length).toBeLessThan(32);
});

test('a body in one piece is not copied', () => {
  const chunks = new Chunks();
  chunks.add(BYTES);
  expect(chunks.take()).toEqual([BYTES]);
  expect(chunks.take()).toEqual([]);
});
