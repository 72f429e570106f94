import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirtyBitmap, UserBitmap } from '../../src/kernel/type1/dirty-bitmap.ts';
import { SparseBits } from '../../src/kernel/type1/sparse-bits.ts';
import { itemsOf, PAUSE } from '../../src/pause.ts';
import { fuzz } from '../harness/fuzz.ts';

/** Halves of a chunk of SparseBits. */
const CHUNK = 1024;

/** The same as SparseBits, half by half. */
class Dense {
  readonly halves: Uint32Array;
  constructor(length: number) {
    this.halves = new Uint32Array(length);
  }
  set(half: number, value: number) {
    if (half < this.halves.length) this.halves[half] = value;
  }
  fill(from: number, to: number, value: 0 | 1) {
    for (let i = from; i < to; i++) this.set(i, value * 0xffffffff);
  }
  copyTo(other: Dense, to: number, count: number) {
    for (let i = 0; i < count; i++) other.set(to + i, this.halves[i]!);
  }
  shiftLeft(shift: number, count: number) {
    const bits = (i: number) => (i < 0 ? 0n : BigInt(this.halves[i]!));
    const shifted = Array.from({ length: count }, (_, i) => {
      const three = (bits(i) << 64n) | (bits(i - 1) << 32n) | bits(i - 2);
      return Number(((three << BigInt(shift)) >> 64n) & 0xffffffffn);
    });
    this.halves.set(shifted);
  }
  ranges(): [number, number][] {
    const found: [number, number][] = [];
    for (let bit = 0; bit < this.halves.length * 32; bit++) {
      if (((this.halves[bit >>> 5]! >>> (bit % 32)) & 1) === 0) continue;
      const last = found.at(-1);
      if (last && last[0] + last[1] === bit) last[1]++;
      else found.push([bit, 1]);
    }
    return found;
  }
}

const LENGTH = 3 * CHUNK + 18;
/** A half: near the ends of chunks, mostly. */
const half = fc
  .tuple(fc.constantFrom(0, CHUNK, 2 * CHUNK, 3 * CHUNK, LENGTH), fc.integer({ min: -3, max: 3 }))
  .map(([at, by]) => Math.max(0, at + by));
const step = fc.oneof(
  fc.record({
    op: fc.constant('set' as const),
    half,
    value: fc.constantFrom(0, 1, 0x80000000, 0xffffffff, 0x5a),
  }),
  fc.record({ op: fc.constant('fill' as const), half, to: half, value: fc.constantFrom<0 | 1>(0, 1) }),
  fc.record({ op: fc.constant('copy' as const), half, count: half }),
  fc.record({ op: fc.constant('shift' as const), shift: fc.integer({ min: 1, max: 63 }), count: half }),
);

test('a sparse bitmap is what a dense one is, whatever is done to it', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const [a, b] = [new SparseBits(LENGTH), new SparseBits(LENGTH)];
      const [x, y] = [new Dense(LENGTH), new Dense(LENGTH)];
      for (const one of steps) {
        if (one.op === 'set') {
          a.set(one.half, one.value);
          x.set(one.half, one.value);
        } else if (one.op === 'fill') {
          a.fill(one.half, one.to, one.value);
          x.fill(one.half, one.to, one.value);
        } else if (one.op === 'copy') {
          const count = Math.min(one.count, LENGTH);
          for (const _ of a.copyTo(b, one.half, count));
          x.copyTo(y, one.half, count);
        } else if (one.count > 0) {
          const count = Math.min(one.count, LENGTH);
          for (const _ of a.shiftLeft(one.shift, count));
          x.shiftLeft(one.shift, count);
        }
      }
      expect([...a.ranges()]).toEqual(x.ranges());
      expect([...b.ranges()]).toEqual(y.ranges());
      const again = new SparseBits(LENGTH);
      for (const run of itemsOf(a.wordRuns())) for (const _ of again.setRun(run));
      expect([...again.ranges()]).toEqual(x.ranges());
    }),
    fuzz('sparse-bits', 2000),
  );
});

test('2^31 pages, all dirty or a few, are reported without a walk over each page', () => {
  const pages = 2 ** 31 - 64;
  const bitmap = new DirtyBitmap(pages);
  bitmap.setAll();
  const all = new UserBitmap(2 ** 31);
  for (const _ of bitmap.copyTo(all, 64));
  expect([...all.ranges()]).toEqual([[64, pages]]);
  bitmap.clear();
  for (const page of [0, 5, 6, 2 ** 30, pages - 1]) bitmap.set(page);
  const few = new UserBitmap(2 ** 31);
  for (const _ of bitmap.copyTo(few, 0));
  expect([...few.ranges()]).toEqual([
    [0, 1],
    [5, 2],
    [2 ** 30, 1],
    [pages - 1, 1],
  ]);
});

test('a bitmap that is shifted for its place keeps what it has, all ones as well', () => {
  const bitmap = new DirtyBitmap(100_000);
  bitmap.setAll();
  const user = new UserBitmap(100_100);
  for (const _ of bitmap.copyTo(user, 37));
  expect([...user.ranges()]).toEqual([[37, 100_000]]);
  expect(bitmap.hasStrayBits()).toBe(true);
});

test('a run of words that have bits of their own is set a chunk at a time', () => {
  const bits = new SparseBits(100 * CHUNK);
  const run = { word: 5, count: 50 * CHUNK - 10, low: 0x55555555, high: 0x5 };
  expect([...bits.setRun(run)]).toHaveLength(100);
  expect(itemsOf(bits.wordRuns())).toEqual([run]);
  // Its words are in a hundred chunks: whoever writes it may pause on the way.
  expect([...bits.wordRuns()].filter((one) => one === PAUSE)).toHaveLength(1);
  expect([...bits.setRun({ word: 0, count: 50 * CHUNK, low: 0xffffffff, high: 0xffffffff })]).toEqual([]);
  expect([...bits.ranges()]).toEqual([[0, 3200 * CHUNK]]);
});
