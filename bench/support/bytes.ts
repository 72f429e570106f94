import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Generation } from '../../src/kernel/generations/index.ts';
import { addressOfPage, BenchKernel, mapArgs } from './bench-kernel.ts';

/** Bytes in use after garbage collection: typed arrays' memory and the JavaScript heap. */
async function bytesInUse(): Promise<number> {
  if (!globalThis.gc) throw new Error('run with node --expose-gc');
  // Buffers are let go of in the turns after a collection.
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await nextTurn();
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}

/**
 * Fills containers with `size` entries each and divides what they grew by; small ones many at once.
 *
 * @param fill adds entry number `index` to a container
 * @param count entries in a container
 */
async function measure(
  size: number,
  newRig: () => BenchKernel,
  fill: (rig: BenchKernel, index: number) => void,
  count: (rig: BenchKernel) => number,
): Promise<number> {
  const copies = Math.max(1, Math.round(200_000 / size));
  const rigs = Array.from({ length: copies }, newRig);
  const before = await bytesInUse();
  for (const rig of rigs) for (let index = 0; index < size; index++) fill(rig, index);
  const after = await bytesInUse();
  // Also keeps the containers alive up to here.
  const held = rigs.reduce((sum, rig) => sum + count(rig), 0);
  if (held !== copies * size) throw new Error(`${held} entries instead of ${copies * size}`);
  return (after - before) / held;
}

/** Bytes that a mapping takes where there are so many. */
export function bytesOfMapping(gen: Generation, size: number): Promise<number> {
  return measure(
    size,
    () => new BenchKernel(gen, size),
    (rig, index) => rig.map(mapArgs(index)),
    (rig) => rig.mappings.count,
  );
}

/** Bytes that a pin takes where there are so many. */
export function bytesOfPin(gen: Generation, size: number): Promise<number> {
  const newRig = () => {
    const rig = new BenchKernel(gen, 1);
    rig.map({ ...mapArgs(0), size: addressOfPage(size) });
    return rig;
  };
  return measure(
    size,
    newRig,
    (rig, index) => rig.pin(addressOfPage(index), 1),
    (rig) => rig.pins.count,
  );
}
