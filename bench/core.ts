// What one call costs in the kernel core, without HTTP and JSON, and what a mapping and a pin take. See README.md.

import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Generation, generationOf, KERNEL_VERSIONS } from '../src/kernel/generations/index.ts';
import { median, nanoseconds, number, printTable, quantile } from './support/figures.ts';
import { type OrderName, Window } from './support/order.ts';
import { addressOfPage, mapArgs, Rig, unmapArgs } from './support/rig.ts';

/** The kernel that is measured, `--kernel VERSION`: each engine by one that has it. */
const KERNEL = kernelOf(process.argv.slice(2));

/** Population sizes: mappings or pins. */
const SIZES = [1_000, 65_535, 1_000_000];
const SMALL = SIZES[0]!;
const LARGE = SIZES.at(-1)!;
const ORDERS: OrderName[] = ['ascending', 'random'];
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
/** Rounds that do not count: afterwards every path has been compiled for every size. */
const WARM_UP_ROUNDS = 4;
const ROUNDS = 21;

/** Goal: bytes a mapping, about those of the kernel's struct vfio_dma. */
const MAPPING_BYTES = 192;
/** Goal: bytes a pin, those of the kernel's struct vfio_pfn. */
const PIN_BYTES = 64;
/** Goal: how many times a call at a thousand one at a million may cost. */
const GROWTH = 3;
/** Goal: what a pin of 512 pages may cost, as a share of 512 pins of one. */
const BLOCK_SHARE = 1 / 4;

type Figure = 'map' | 'unmap' | 'pin 1' | 'unpin 1' | 'pin 512' | '512 x pin 1';
const CALLS = ['map', 'unmap', 'pin 1', 'pin 512', 'unpin 1'] as const satisfies Figure[];

/** Nanoseconds a call (for `512 x pin 1`: for 512 calls), one figure a round. */
type Samples = Record<Figure, number[]>;

/** What was measured at one population. */
interface Result {
  readonly size: number;
  readonly order: OrderName;
  readonly samples: Samples;
}

/** One population to measure at, with its own kernel; a round answers some of the figures. */
interface Bench extends Result {
  round(): Partial<Record<Figure, number>>;
}

function kernelOf(args: string[]): Generation {
  const { values } = parseArgs({ args, options: { kernel: { type: 'string', default: '6.1' } } });
  const gen = generationOf(values.kernel);
  if (!gen) throw new Error(`--kernel ${values.kernel} is not one of ${KERNEL_VERSIONS.join(', ')}`);
  return gen;
}

function noSamples(): Samples {
  return { map: [], unmap: [], 'pin 1': [], 'unpin 1': [], 'pin 512': [], '512 x pin 1': [] };
}

/** A container of `size` mappings of one page. Half of the IOVA space the mappings lie in is free. */
function mappingBench(size: number, order: OrderName): Bench {
  const rig = new Rig(KERNEL, size + BATCH);
  const window = new Window(2 * size, order);
  for (let i = 0; i < size; i++) rig.map(mapArgs(window.head()));
  const round = () => {
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
  return { size, order, samples: noSamples(), round };
}

/**
 * One mapping with `size` pins of one page each. The pins lie in every other block of 512 pages, so that a
 * block for the large pin is always free between them.
 */
function pinBench(size: number, order: OrderName): Bench {
  const rig = new Rig(KERNEL, 1);
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
  const round = () => {
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
  return { size, order, samples: noSamples(), round };
}

/** Measures every population in turn, round after round, so that a slow moment meets all of them alike. */
function measure(newBench: (size: number, order: OrderName) => Bench): Result[] {
  const benches = ORDERS.flatMap((order) => SIZES.map((size) => newBench(size, order)));
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const bench of benches) {
      const figures = Object.entries(bench.round()) as [Figure, number][];
      if (round < WARM_UP_ROUNDS) continue;
      for (const [figure, value] of figures) bench.samples[figure].push(value);
    }
  }
  return benches.map(({ size, order, samples }) => ({ size, order, samples }));
}

/** Bytes in use after garbage collection: typed arrays' memory and the JavaScript heap. */
async function bytesInUse(): Promise<{ arrays: number; heap: number }> {
  // Buffers are let go of in the turns after a collection.
  for (let i = 0; i < 4; i++) {
    globalThis.gc!();
    await nextTurn();
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return { arrays: arrayBuffers, heap: heapUsed };
}

/** What one population takes, bytes an entry. */
interface Bytes {
  what: string;
  arrays: number;
  heap: number;
}

/**
 * Fills containers with `size` entries each and divides what they grew by; small ones many at once.
 *
 * @param fill adds entry number `index` to a container
 * @param count entries in a container
 * @param capacity with it, goes on until the table grows once more: then the most of its room is unused
 */
async function measureBytes(
  size: number,
  newRig: () => Rig,
  fill: (rig: Rig, index: number) => void,
  count: (rig: Rig) => number,
  capacity?: (rig: Rig) => number,
): Promise<Bytes> {
  const copies = Math.max(1, Math.round(200_000 / size));
  const rigs = Array.from({ length: copies }, newRig);
  const before = await bytesInUse();
  let entries = 0;
  for (const rig of rigs) {
    let index = 0;
    for (; index < size; index++) fill(rig, index);
    const full = capacity?.(rig);
    for (; capacity?.(rig) === full && full !== undefined; index++) fill(rig, index);
    entries += index;
  }
  const after = await bytesInUse();
  // Also keeps the containers alive up to here.
  const held = rigs.reduce((sum, rig) => sum + count(rig), 0);
  if (held !== entries) throw new Error(`${held} entries instead of ${entries}`);
  const what = number(entries / copies) + (capacity ? ', just grown' : '');
  return {
    what,
    arrays: (after.arrays - before.arrays) / entries,
    heap: (after.heap - before.heap) / entries,
  };
}

function mappingBytes(size: number, untilGrown: boolean): Promise<Bytes> {
  return measureBytes(
    size,
    () => new Rig(KERNEL, 3 * size),
    (rig, index) => rig.map(mapArgs(index)),
    (rig) => rig.mappings.count,
    untilGrown ? (rig) => rig.mappings.capacity : undefined,
  );
}

function pinBytes(size: number, untilGrown: boolean): Promise<Bytes> {
  const newRig = () => {
    const rig = new Rig(KERNEL, 1);
    rig.map({ ...mapArgs(0), size: addressOfPage(3 * size) });
    return rig;
  };
  return measureBytes(
    size,
    newRig,
    (rig, index) => rig.pin(addressOfPage(index), 1),
    (rig) => rig.pins.count,
    untilGrown ? (rig) => rig.pins.capacity : undefined,
  );
}

const missed: string[] = [];

function verdict(goal: string, met: boolean): string {
  if (!met) missed.push(goal);
  return met ? 'pass' : 'MISS';
}

/** Median of the rounds' ratios and their quartiles. */
function ratio(above: readonly number[], below: readonly number[]) {
  const ratios = above.map((value, round) => value / below[round]!);
  const [low, high] = [quantile(ratios, 0.25), quantile(ratios, 0.75)];
  return { middle: median(ratios), spread: `${number(low, 2)}-${number(high, 2)}` };
}

function find(benches: readonly Result[], size: number, order: OrderName, figure: Figure): number[] {
  return benches.find((b) => b.size === size && b.order === order && b.samples[figure].length > 0)!.samples[
    figure
  ];
}

function printTimes(benches: readonly Result[]): void {
  for (const order of ORDERS) {
    console.log(`Nanoseconds a call, IOVAs in ${order} order (median of ${ROUNDS} rounds)`);
    const header = ['', ...SIZES.map((size) => number(size)), `ratio ${number(LARGE)} / ${number(SMALL)}`];
    const rows = CALLS.map((figure) => {
      const times = SIZES.map((size) => number(median(find(benches, size, order, figure))));
      const { middle, spread } = ratio(
        find(benches, LARGE, order, figure),
        find(benches, SMALL, order, figure),
      );
      const met = verdict(`${figure}, ${order}: at most ${GROWTH} times`, middle <= GROWTH);
      return [figure, ...times, `${number(middle, 2)} (${spread})`, met];
    });
    printTable([[...header, `goal <= ${GROWTH}`], ...rows]);
  }
}

function printBlocks(benches: readonly Result[]): void {
  console.log('One pin of 512 pages, as a share of 512 pins of 1 of the same pages');
  const rows = ORDERS.flatMap((order) =>
    SIZES.map((size) => {
      const one = find(benches, size, order, 'pin 512');
      const many = find(benches, size, order, '512 x pin 1');
      const { middle, spread } = ratio(one, many);
      const met = verdict(`pin 512, ${order}, ${number(size)}: at most a quarter`, middle <= BLOCK_SHARE);
      return [
        `${order}, ${number(size)} pins`,
        number(median(one)),
        number(median(many)),
        `${number(middle, 2)} (${spread})`,
        met,
      ];
    }),
  );
  printTable([['', 'pin 512, ns', '512 x pin 1, ns', 'share', `goal <= ${BLOCK_SHARE}`], ...rows]);
}

function printBytes(what: string, limit: number, all: readonly Bytes[]): void {
  console.log(`Bytes a ${what}`);
  const rows = all.map(({ what: entries, arrays, heap }) => {
    const total = arrays + heap;
    const met = verdict(`bytes a ${what} at ${entries}: at most ${limit}`, total <= limit);
    return [entries, number(arrays, 1), number(heap, 1), number(total, 1), met];
  });
  printTable([[`${what}s`, 'typed arrays', 'heap', 'together', `goal <= ${limit}`], ...rows]);
}

async function main(): Promise<void> {
  if (!globalThis.gc) throw new Error('run with node --expose-gc');
  const began = performance.now();
  console.log(`Linux ${KERNEL.version}; Node ${process.version}, ${process.platform} ${process.arch}\n`);
  const results = [...measure(mappingBench), ...measure(pinBench)];
  printTimes(results);
  printBlocks(results);
  const mappings: Bytes[] = [];
  const pins: Bytes[] = [];
  for (const size of SIZES) {
    mappings.push(await mappingBytes(size, false));
    pins.push(await pinBytes(size, false));
  }
  mappings.push(await mappingBytes(LARGE, true));
  pins.push(await pinBytes(LARGE, true));
  printBytes('mapping', MAPPING_BYTES, mappings);
  printBytes('pin', PIN_BYTES, pins);
  console.log(missed.length === 0 ? 'All goals met.' : `Goals missed:\n  ${missed.join('\n  ')}`);
  console.log(`Took ${number((performance.now() - began) / 1000, 1)} s.`);
}

await main();
