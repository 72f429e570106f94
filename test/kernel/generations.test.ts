import { expect, test } from 'vitest';
import * as uapi from '../../schemas/uapi.ts';
import { MAP_FLAGS, UNMAP_FLAGS } from '../../schemas/values.ts';
import { DIFFERENCES, withDifference } from '../../src/kernel/generations/differences.ts';
import { GENERATIONS, LINUX_5_10, LINUX_7_2 } from '../../src/kernel/generations/index.ts';
import { Kernel } from '../../src/kernel/kernel.ts';
import { SPLATS, type SplatId } from '../../src/kernel/splats.ts';
import { Task } from '../../src/kernel/task.ts';

const LIMITS = {
  residentPages: 0,
  rigPages: 0,
  dirtyBitmapBytes: 0,
  objectBytes: 0,
  pins: 0,
  regions: 1,
  files: 1,
};

test('the names of flags in calls are the bits of the kernel’s flags', () => {
  expect(MAP_FLAGS).toEqual({
    read: uapi.VFIO_DMA_MAP_FLAG_READ,
    write: uapi.VFIO_DMA_MAP_FLAG_WRITE,
    vaddr: uapi.VFIO_DMA_MAP_FLAG_VADDR,
  });
  expect(UNMAP_FLAGS).toEqual({
    'get-dirty-bitmap': uapi.VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
    all: uapi.VFIO_DMA_UNMAP_FLAG_ALL,
    vaddr: uapi.VFIO_DMA_UNMAP_FLAG_VADDR,
  });
});

test.each(GENERATIONS)('$version has a site for each splat, or says that it has none', ({ splats }) => {
  expect(Object.keys(splats).sort()).toEqual(Object.keys(SPLATS).sort());
  for (const [id, site] of Object.entries(splats)) {
    if (SPLATS[id as SplatId].kind === 'PR_WARN' || !site) continue;
    expect(site.line, id).toBeGreaterThan(0);
  }
});

test('a kernel cannot print what it does not have', () => {
  const task = new Task(new Kernel(LINUX_5_10, LIMITS), 'unpin-pages', 'd0');
  expect(() => task.warn('W3')).toThrow('Linux 5.10 has no W3');
});

test('a kernel with a trait of another may print what only that one has', () => {
  const difference = DIFFERENCES.find(({ id }) => id === 'unpin-answer')!;
  const mixed = withDifference(LINUX_5_10, LINUX_7_2, difference);
  expect(mixed.core.unpinAnswers).toBe(false);
  expect(mixed.type1).toBe(LINUX_5_10.type1);
  expect(mixed.splats.W3).toEqual(LINUX_7_2.splats.W3);
  expect(mixed.splats.B1).toEqual(LINUX_5_10.splats.B1);
});

test('a once-only warning of an inlined check has a flag for each caller', () => {
  const kernel = new Kernel(LINUX_7_2, LIMITS);
  const task = new Task(kernel, 'pin-pages', 'd0');
  for (const caller of [undefined, 'unpin', undefined, 'unpin', 'rw']) task.warn('C1', {}, caller);
  expect(task.splats).toHaveLength(3);
  expect(kernel.firedOnce).toEqual(['C1', 'C1-rw', 'C1-unpin']);
});
