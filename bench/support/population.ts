import type { Generation } from '../../src/kernel/generations/index.ts';
import { addressOfPage, BenchKernel, mapArgs, unmapArgs } from './bench-kernel.ts';
import { median, nanoseconds } from './figures.ts';
import { type OrderName, Window } from './order.ts';

/** Pages of the large pin: the most one call takes. */
const BLOCK = 512;
/**
 * Calls of one kind timed in a row; a population differs from its size by at most so many. Batches are so short
 * that most are not interrupted, and a round's figure is that of the middle one.
 */
const BATCH = 100;
const BATCHES = 60;
/** Large pins, and as many times 512 pins of 1, in a round. */
const BLOCKS = 12;

export type Figure = 'map' | 'unmap' | 'pin 1' | 'unpin 1' | 'pin 512' | '512 x pin 1';

/** Measures some figures once: nanoseconds a call (for `512 x pin 1`: for 512 calls). */
export type Round = () => Partial<Record<Figure, number>>;

/** A container of `size` mappings of one page. Half of the IOVA space the mappings lie in is free. */
export function mappings(gen: Generation, size: number, order: OrderName): Round {
  const rig = new BenchKernel(gen, size + BATCH);
  const window = new Window(2 * size, order);
  for (let i = 0; i < size; i++) rig.map(mapArgs(window.head()));
  return () => {
    const map: number[] = [];
    const unmap: number[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      const added = Array.from({ length: BATCH }, () => mapArgs(window.head()));
      const removed = Array.from({ length: BATCH }, () => unmapArgs(window.tail()));
      map.push(
        nanoseconds(() => {
          for (const args of added) rig.map(args);
        }),
      );
      unmap.push(
        nanoseconds(() => {
          for (const args of removed) rig.unmap(args);
        }),
      );
    }
    return { map: median(map) / BATCH, unmap: median(unmap) / BATCH };
  };
}

/**
 * One mapping with `size` pins of one page each. The pins lie in every other block of 512 pages, so that a
 * block for the large pin is always free between them.
 */
export function pins(gen: Generation, size: number, order: OrderName): Round {
  const rig = new BenchKernel(gen, 1);
  const span = 2 * size;
  const pages = 2 * span + 2 * BLOCK;
  rig.map({ ...mapArgs(0), size: addressOfPage(pages) });
  const window = new Window(span, order);
  const pageOf = (index: number) => Math.floor(index / BLOCK) * 2 * BLOCK + (index % BLOCK);
  for (let i = 0; i < size; i++) rig.pin(addressOfPage(pageOf(window.head())), 1);
  const gaps = new Window(Math.floor(span / BLOCK), order);

  const singles = (into: { pin: number[]; unpin: number[] }) => {
    const added = Array.from({ length: BATCH }, () => addressOfPage(pageOf(window.head())));
    const removed = Array.from({ length: BATCH }, () => addressOfPage(pageOf(window.tail())));
    into.pin.push(
      nanoseconds(() => {
        for (const iova of added) rig.pin(iova, 1);
      }),
    );
    into.unpin.push(
      nanoseconds(() => {
        for (const iova of removed) rig.unpin(iova, 1);
      }),
    );
  };
  const blocks = (into: { one: number[]; many: number[] }, oneFirst: boolean) => {
    const first = gaps.head() * 2 * BLOCK + BLOCK;
    const iova = addressOfPage(first);
    const each = Array.from({ length: BLOCK }, (_, i) => addressOfPage(first + i));
    const one = () => {
      into.one.push(nanoseconds(() => rig.pin(iova, BLOCK)));
      rig.unpin(iova, BLOCK);
    };
    const many = () => {
      into.many.push(
        nanoseconds(() => {
          for (const page of each) rig.pin(page, 1);
        }),
      );
      for (const page of each) rig.unpin(page, 1);
    };
    // Whichever comes second finds the tree in the processor's caches.
    if (oneFirst) one();
    many();
    if (!oneFirst) one();
  };
  return () => {
    const single = { pin: [], unpin: [] };
    for (let batch = 0; batch < BATCHES; batch++) singles(single);
    const block = { one: [], many: [] };
    for (let i = 0; i < BLOCKS; i++) blocks(block, i % 2 === 0);
    return {
      'pin 1': median(single.pin) / BATCH,
      'unpin 1': median(single.unpin) / BATCH,
      'pin 512': median(block.one),
      '512 x pin 1': median(block.many),
    };
  };
}
