import { describe, expect, test } from 'vitest';
import { hex } from '../../src/kernel/pages.ts';
import { splatReport } from '../../src/kernel/splat-report.ts';
import type { Task } from '../../src/kernel/task.ts';
import { bugOf } from '../harness/core-rig.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig, through } from '../harness/type1-rig.ts';

const rigOf = (version: string, driver: string, more: object = {}) =>
  new Type1Rig(version, { d0: synthetic(driver, more) });

/** Unmaps so many pages from 0 on, which must come to an end; the task that did, and what it was answered. */
function unmapped(rig: Type1Rig, pages: number) {
  const task = rig.task('unmap-dma');
  const { value } = through(rig.iommu.unmapDma(task, { iova: 0n, size: BigInt(pages * 4096), flags: 0 }));
  return { task, size: typeof value === 'string' ? value : value.size };
}

/** Its callbacks as `iova+length attempt/round`. */
const callbacksOf = ({ invalidations }: Task) =>
  invalidations.map(({ iova, length, attempt, round }) => `${hex(iova)}+${hex(length)} ${attempt}/${round}`);

describe.each(TYPE1_VERSIONS)('Linux %s', (version) => {
  test('a driver that unpins one page a callback is called as often as it has pins, up to eleven times a mapping', () => {
    const rig = rigOf(version, 'unpin-one');
    rig.mapMany(1, 16);
    for (let page = 0; page < 11; page++) rig.pin(page * 4096);
    const { task, size } = unmapped(rig, 16);
    expect(size).toBe(0x10000n);
    expect([task.splats, rig.iommu.watchers.size]).toEqual([[], 0]);
    expect(callbacksOf(task)).toEqual(Array.from({ length: 11 }, (_, i) => `0x0+0x10000 ${i + 1}/${i + 1}`));
  });

  test('a twelfth time is a BUG_ON, which says what is left', () => {
    const rig = rigOf(version, 'unpin-one');
    rig.mapMany(1, 16);
    for (let page = 0; page < 12; page++) rig.pin(page * 4096);
    const reply = rig.unmap(0, 0x10000);
    expect(bugOf(reply)).toEqual({ status: 409, killed: true, bug: 'vfio_dma_do_unmap', callbacks: 11 });
    expect(reply.body.splat).toMatchObject({
      device: 'd0',
      iova: '0x0',
      size: '0x10000',
      attempt: 11,
      pinCount: 1,
      pins: [{ refCount: 1, devices: [{ device: 'd0', count: 1 }] }],
    });
    expect(rig.iommu.view.wedgedBy).not.toBeNull();
  });

  test('the count begins anew with each mapping', () => {
    const rig = rigOf(version, 'unpin-one');
    rig.mapMany(2, 8);
    for (const page of [0, 1, 8, 9, 10]) rig.pin(page * 4096);
    expect(callbacksOf(unmapped(rig, 16).task)).toEqual([
      ...['0x0+0x8000 1/1', '0x0+0x8000 2/2'],
      ...['0x8000+0x8000 1/3', '0x8000+0x8000 2/4', '0x8000+0x8000 3/5'],
    ]);
  });

  test('a mapping without pins goes without a callback; those behind it too', () => {
    const rig = rigOf(version, 'unpin-range');
    rig.mapMany(3, 2);
    rig.pin(0x2000);
    const { task, size } = unmapped(rig, 6);
    expect([size, callbacksOf(task)]).toEqual([0x6000n, ['0x2000+0x2000 1/1']]);
    expect(rig.iommu.view.mappingCount).toBe(0);
  });
});

describe('the warning that was proposed', () => {
  const warned = (driver: string, pages: number[], more: object = {}) => {
    const rig = rigOf('6.1', driver, more);
    rig.do('set-parameters', { warnOnPinnedUnmap: true });
    rig.mapMany(1, 16);
    for (const page of pages) rig.pin(page * 4096);
    return unmapped(rig, 16).task.splats.map(splatReport);
  };

  test('comes after each round that leaves pins', () => {
    expect(warned('unpin-one', [3, 5, 7])).toMatchObject([
      { kind: 'WARN_ON', iova: '0x0', size: '0x10000', attempt: 1, pinCount: 2 },
      { kind: 'WARN_ON', iova: '0x0', size: '0x10000', attempt: 2, pinCount: 1 },
    ]);
  });

  test('does not where none is left', () => {
    expect(warned('unpin-range', [3, 5, 7])).toEqual([]);
  });
});

test('a mapping that goes while another one’s unmap calls back: the count of that goes on', () => {
  const rig = rigOf('6.1', 'ignore', { holdCallbacks: true });
  rig.mapMany(2, 4);
  rig.pin(0);
  rig.start('unmap-dma', { iova: 0, size: 0x4000 });
  const [task] = rig.host.kernel.scheduler.pending as [Task];
  expect(rig.unmap(0x4000, 0x4000).body.size).toBe('0x4000');
  rig.do('resume-callbacks', { device: 'd0' });
  expect([task.end?.how, task.invalidations.length]).toEqual(['killed', 11]);
});

test('pins that nobody is called about are a BUG_ON without a callback', () => {
  const rig = rigOf('6.1', 'ignore');
  rig.mapMany(1, 4);
  rig.pin(0);
  rig.do('close-device', { device: 'd0' });
  expect(bugOf(rig.unmap(0, 0x4000))).toEqual({
    status: 409,
    killed: true,
    bug: 'vfio_dma_do_unmap',
    callbacks: 0,
  });
});

test('a mapping that goes while its unmap calls back: another one in its slot is counted from the beginning', () => {
  const rig = rigOf('6.1', 'ignore', { holdCallbacks: true });
  rig.mapMany(1, 4);
  rig.pin(0);
  rig.start('unmap-dma', { iova: 0, size: 0x4000 });
  const [task] = rig.host.kernel.scheduler.pending as [Task];
  rig.do('unpin-pages', { device: 'd0', iova: 0, npage: 1 });
  expect(rig.unmap(0, 0x4000).body.size).toBe('0x4000');
  rig.mapMany(1, 2);
  rig.pin(0x1000);
  // From here on nothing is held: the driver ignores the new mapping eleven times.
  rig.do('resume-callbacks', { device: 'd0' });
  const again = Array.from({ length: 11 }, (_, i) => `0x0+0x2000 ${i + 1}/${i + 2}`);
  expect(callbacksOf(task)).toEqual(['0x0+0x4000 1/1', ...again]);
  expect(task.end?.how).toBe('killed');
});
