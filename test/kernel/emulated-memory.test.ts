import { describe, expect, test } from 'vitest';
import { EmulatedMemory } from '../../src/kernel/emulated-memory.ts';
import { HUGE_PAGES } from '../../src/kernel/memory-region.ts';
import { addressOf, PAGE_SIZE, TOP } from '../../src/kernel/pages.ts';

const RW = 3;
const READ = 1;
const WRITE = 2;

const bytes = (pages: number) => BigInt(pages * PAGE_SIZE);
const anonymous = (prot: number) => ({ prot, kind: 'anonymous', neverWritten: prot === READ }) as const;
const hugetlb = { prot: RW, kind: 'hugetlb', neverWritten: false } as const;

/** Memory with these regions: first page and number of pages. */
function memoryOf(regions: readonly (readonly [number, number])[], maxRegions = 16): EmulatedMemory {
  const memory = new EmulatedMemory(8, maxRegions);
  for (const [page, pages] of regions) {
    expect(memory.map(addressOf(page), bytes(pages), anonymous(RW))).toBeNull();
  }
  return memory;
}
const regionsOf = ({ regions }: EmulatedMemory) =>
  regions.map(({ start, size, prot }) => [start, size, prot]);

describe('mmap', () => {
  test.each([
    ['misaligned', 1n, bytes(1)],
    ['of a misaligned size', 0n, 1n],
    ['empty', 0n, 0n],
    ['beyond 2^64', TOP - bytes(1), bytes(2)],
  ])('%s: EINVAL, and every address stays valid', (_, start, size) => {
    const memory = new EmulatedMemory(8, 16);
    expect(memory.map(start, size, anonymous(RW))).toBe('EINVAL');
    expect(memory.accessiblePages(77, 1, WRITE)).toBe(1);
  });

  test('up to 2^64', () => {
    const memory = new EmulatedMemory(8, 16);
    expect(memory.map(TOP - bytes(1), bytes(1), anonymous(RW))).toBeNull();
    expect(memory.isEmpty).toBe(false);
  });

  test('in the middle of another region replaces that part, and its contents', () => {
    const memory = memoryOf([[0, 4]]);
    memory.fill(bytes(1), PAGE_SIZE, 7);
    memory.fill(bytes(2), PAGE_SIZE, 8);
    memory.map(bytes(1), bytes(1), anonymous(READ));
    expect(regionsOf(memory)).toEqual([
      [0, 1, RW],
      [1, 1, READ],
      [2, 2, RW],
    ]);
    expect([...memory.read(bytes(1), 1), ...memory.read(bytes(2), 1)]).toEqual([0, 8]);
  });

  test('beyond the number of regions: ENOMEM, and nothing has changed', () => {
    const memory = memoryOf(
      [
        [0, 1],
        [2, 1],
      ],
      2,
    );
    expect(memory.map(bytes(4), bytes(1), anonymous(RW))).toBe('ENOMEM');
    expect(regionsOf(memory)).toEqual([
      [0, 1, RW],
      [2, 1, RW],
    ]);
  });
});

describe('munmap', () => {
  test('of memory of which every address is valid leaves what lies around it', () => {
    const memory = new EmulatedMemory(8, 16);
    expect(memory.unmap(bytes(1), bytes(1))).toBeNull();
    expect(memory.regions).toMatchObject([
      {
        start: 0,
        size: 1,
        prot: RW,
        kind: 'anonymous',
        neverWritten: false,
        isShared: false,
        readOnlyFile: false,
      },
      { start: 2, prot: RW },
    ]);
    expect([0, 1, 2].map((page) => memory.accessiblePages(page, 1, WRITE))).toEqual([1, 0, 1]);
    expect(memory.zeroPages(0, 1)).toBe(0);
  });

  test('misaligned, empty or beyond 2^64: EINVAL; a size that is no whole page is rounded up', () => {
    const memory = memoryOf([[0, 4]]);
    expect(memory.unmap(1n, bytes(1))).toBe('EINVAL');
    expect(memory.unmap(0n, 0n)).toBe('EINVAL');
    expect(memory.unmap(TOP - bytes(1), bytes(2))).toBe('EINVAL');
    expect(memory.unmap(0n, 1n)).toBeNull();
    expect(regionsOf(memory)).toEqual([[1, 3, RW]]);
  });

  test('that would make two regions of one beyond their number: ENOMEM, at its edges not', () => {
    const memory = memoryOf([[0, 4]], 1);
    expect(memory.unmap(bytes(1), bytes(1))).toBe('ENOMEM');
    expect(memory.unmap(0n, bytes(1))).toBeNull();
    expect(memory.unmap(bytes(3), bytes(1))).toBeNull();
    expect(regionsOf(memory)).toEqual([[1, 2, RW]]);
  });

  test('of a part of a huge page: EINVAL; of whole ones not', () => {
    const memory = new EmulatedMemory(8, 16);
    memory.map(0n, bytes(3 * HUGE_PAGES), hugetlb);
    expect(memory.unmap(bytes(1), bytes(HUGE_PAGES - 1))).toBe('EINVAL');
    expect(memory.unmap(0n, bytes(1))).toBe('EINVAL');
    expect(memory.unmap(bytes(HUGE_PAGES), bytes(HUGE_PAGES))).toBeNull();
    expect(regionsOf(memory)).toEqual([
      [0, HUGE_PAGES, RW],
      [2 * HUGE_PAGES, HUGE_PAGES, RW],
    ]);
    expect(memory.unmap(0n, bytes(3 * HUGE_PAGES))).toBeNull();
    expect(memory.isEmpty).toBe(true);
  });
});

describe('mprotect', () => {
  test('of a part makes three regions of one', () => {
    const memory = memoryOf([[0, 4]]);
    expect(memory.protect(bytes(1), bytes(1), READ)).toBeNull();
    expect(regionsOf(memory)).toEqual([
      [0, 1, RW],
      [1, 1, READ],
      [2, 2, RW],
    ]);
  });

  test('over several regions changes each', () => {
    const memory = memoryOf([
      [0, 2],
      [2, 2],
    ]);
    expect(memory.protect(bytes(1), bytes(3), READ)).toBeNull();
    expect(regionsOf(memory)).toEqual([
      [0, 1, RW],
      [1, 1, READ],
      [2, 2, READ],
    ]);
  });

  test('misaligned: EINVAL; of nothing: nothing; beyond 2^64: ENOMEM', () => {
    const memory = memoryOf([[0, 4]]);
    expect(memory.protect(1n, bytes(1), READ)).toBe('EINVAL');
    expect(memory.protect(0n, 0n, READ)).toBeNull();
    expect(memory.protect(TOP - bytes(1), bytes(2), READ)).toBe('ENOMEM');
    expect(regionsOf(memory)).toEqual([[0, 4, RW]]);
  });

  test('within a region, beyond their number: ENOMEM', () => {
    const memory = memoryOf([[0, 4]], 1);
    expect(memory.protect(bytes(1), bytes(1), READ)).toBe('ENOMEM');
    expect(memory.protect(0n, bytes(4), READ)).toBeNull();
  });

  test('writable, of a file that was opened for reading: EACCES; readable not', () => {
    const memory = new EmulatedMemory(8, 16);
    memory.map(0n, bytes(1), { prot: READ, kind: 'file', neverWritten: false, readOnlyFile: true });
    expect(memory.protect(0n, bytes(1), RW)).toBe('EACCES');
    expect(memory.protect(0n, bytes(1), READ)).toBeNull();
  });

  test('of a part of a huge page: EINVAL, at either end', () => {
    const memory = new EmulatedMemory(8, 16);
    memory.map(0n, bytes(2 * HUGE_PAGES), hugetlb);
    expect(memory.protect(0n, bytes(1), READ)).toBe('EINVAL');
    expect(memory.protect(bytes(1), bytes(2 * HUGE_PAGES - 1), READ)).toBe('EINVAL');
    expect(memory.protect(0n, bytes(HUGE_PAGES), READ)).toBeNull();
    expect(regionsOf(memory)).toEqual([
      [0, HUGE_PAGES, READ],
      [HUGE_PAGES, HUGE_PAGES, RW],
    ]);
  });
});

describe('what was never written', () => {
  test('is written where it is faulted in, page by page', () => {
    const memory = new EmulatedMemory(8, 16);
    memory.map(0n, bytes(4), anonymous(READ));
    expect(memory.zeroPages(0, 4)).toBe(4);
    memory.faultToWrite(1, 1);
    expect(memory.zeroPages(0, 4)).toBe(3);
    memory.faultToWrite(0, 0);
    expect(memory.zeroPages(0, 4)).toBe(3);
    memory.faultToWrite(0, 4);
    expect(memory.zeroPages(0, 4)).toBe(0);
  });

  test('all of a region where there is no room for parts', () => {
    const memory = new EmulatedMemory(8, 1);
    memory.map(0n, bytes(4), anonymous(READ));
    memory.faultToWrite(1, 1);
    expect(memory.zeroPages(0, 4)).toBe(0);
  });
});

describe('contents', () => {
  test('as many pages may have some as there is room for, however often they are written', () => {
    const memory = memoryOf([[0, 64]]);
    expect(memory.fill(0n, 8 * PAGE_SIZE, 5)).toBeNull();
    expect(memory.write(bytes(8), new Uint8Array(1))).toBe('ENOMEM');
    expect(memory.fill(bytes(8), PAGE_SIZE, 1)).toBe('ENOMEM');
    expect(memory.write(bytes(8) - 1n, new Uint8Array(2))).toBe('ENOMEM');
    expect(memory.write(bytes(1), Uint8Array.of(1, 2))).toBeNull();
    expect([...memory.read(bytes(1) - 1n, 4)]).toEqual([5, 1, 2, 5]);
    expect([...memory.read(bytes(8), 1)]).toEqual([0]);
  });

  test('of shared memory are the child’s of a fork as well, others are its own', () => {
    const memory = new EmulatedMemory(8, 16);
    memory.map(0n, bytes(1), anonymous(RW));
    memory.map(bytes(4), bytes(1), {
      prot: RW,
      kind: 'shared',
      neverWritten: false,
      isShared: true,
      store: memory.newStore(),
      base: 4,
    });
    const forking = memory.fork();
    let step = forking.next();
    while (!step.done) step = forking.next();
    const child = step.value;
    for (const page of [0, 4]) child.fill(bytes(page), 1, 9);
    expect([0, 4].map((page) => memory.read(bytes(page), 1)[0])).toEqual([0, 9]);
  });
});
