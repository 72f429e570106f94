import { expect, test } from 'vitest';
import type { DriverEffects } from '../../src/kernel/driver.ts';
import { DriverOps } from '../../src/kernel/driver-ops.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { ZERO_PFN } from '../../src/kernel/mm.ts';
import { Task } from '../../src/kernel/task.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { through } from '../harness/type1-rig.ts';

const PAGE = 4096;

/** What d0's driver can do within one call. */
function apiOf(version = '6.1', driver: object = synthetic('ignore')) {
  const rig = new CoreRig(version, { d0: driver, d1: synthetic('ignore') });
  rig.map(0, 16 * PAGE);
  const task = new Task(rig.host.kernel, 'test', 'd0', true);
  return { rig, task, api: rig.host.kernel.driverApi(task, rig.host.machine.device('d0')) };
}

test('a driver pins, unpins and is told how many pages there may be at most', () => {
  const { rig, api } = apiOf();
  expect(through(api.pinPages(0n, 2, 3)).value).toEqual([0x100000, 0x100001]);
  expect(rig.pins()).toEqual([
    ['0x0', 1],
    ['0x1000', 1],
  ]);
  expect(through(api.unpinPages(0n, 1)).value).toBeNull();
  expect(rig.pins()).toEqual([['0x1000', 1]]);
  expect([api.pinPagesMax, apiOf('6.12-iommufd').api.pinPagesMax]).toEqual([512, Number.POSITIVE_INFINITY]);
});

test('what it prints and warns is about its device, and in its module’s name', () => {
  const { rig, task, api } = apiOf('6.1', { type: 'vfio-ap' });
  const splat = {
    id: 'X1',
    kind: 'WARN_ON',
    function: 'f',
    condition: 'c',
    file: 'x.c',
    line: 1,
    module: 'm',
  };
  api.warn(splat as never, { iova: 16n });
  api.prWarn('words');
  expect(task.splats.map(({ details, module }) => [details, module])).toEqual([
    [{ device: 'd0', iova: 16n }, 'm'],
    [{ device: 'd0' }, 'vfio_ap'],
  ]);
  api.adviseBug('top-of-address-space', 32n);
  expect(task.advisories).toMatchObject([
    { kind: 'KERNEL_BUG:top-of-address-space', devices: ['d0'], iova: 32n },
  ]);
  expect(rig.host.kernel.taint.has('W')).toBe(true);
});

test('whether its device is open, and what it can do for another one', () => {
  const { rig, task, api } = apiOf();
  const other = api.forDevice('d1');
  expect([api.isOpen(), other.isOpen()]).toEqual([true, true]);
  rig.do('close-device', { device: 'd1' });
  expect([api.isOpen(), other.isOpen()]).toEqual([true, false]);
  other.prWarn('words');
  expect(task.splats.at(-1)!.details).toEqual({ device: 'd1' });
});

test('bytes of a page that is pinned are read by its frame, whoever’s memory it is', () => {
  const { rig, api } = apiOf();
  rig.do('fill-memory', { process: 'p0', vaddr: 2 * PAGE + 7, length: 2, byte: 5 });
  rig.do('fork-process', { process: 'p0', child: 'p1' });
  rig.do('fill-memory', { process: 'p1', vaddr: 2 * PAGE + 7, length: 1, byte: 6 });
  const frameOf = (process: string) => rig.host.machine.process(process).mm.pfnOf(2);
  const read = (pfn: number) => [...api.readPinned(pfn, 6, 4)];
  expect([read(frameOf('p0')), read(frameOf('p1'))]).toEqual([
    [0, 5, 5, 0],
    [0, 6, 5, 0],
  ]);
  // The zero page, a BAR's, and a frame of a memory that is gone.
  expect([ZERO_PFN, 0x80001, rig.host.machine.process('p1').mm.pfnOf(0) + 2 ** 36].map(read)).toEqual(
    Array(3).fill([0, 0, 0, 0]),
  );
});

test('a page that is pinned stays what it is when the container’s process exits, where others share it', () => {
  const { rig, api } = apiOf();
  rig.do('add-memory-region', { process: 'p0', start: 0, size: PAGE, prot: 3, kind: 'shared' });
  rig.do('fork-process', { process: 'p0', child: 'p1' });
  rig.do('fill-memory', { process: 'p1', vaddr: 0, length: 1, byte: 5 });
  const pfn = rig.host.machine.process('p0').mm.pfnOf(0);
  rig.do('exit-process', { process: 'p0' });
  expect([...api.readPinned(pfn, 0, 2)]).toEqual([5, 0]);
});

test('what drivers did is told once, in order, and where they did nothing nothing is', () => {
  const ops = new DriverOps();
  const { task } = apiOf();
  const into = { effects: null as DriverEffects | null };
  ops.take(into, task);
  expect(into.effects).toBeNull();
  ops.note({ list: 'vfio', entry: { op: 'pin' }, task, worker: false });
  ops.note({ list: null, entry: {}, task, worker: false });
  ops.note({ list: 'unpinnedNotHeld', entry: { npage: 1 }, task, worker: false });
  ops.note({ list: 'instructions', entry: { op: 'nqap' }, task, worker: true });
  ops.note({ list: 'vfio', entry: { op: 'unpin' }, task: apiOf().task, worker: false });
  ops.take(into, task);
  expect(into.effects).toEqual({
    vfio: [
      { seq: 0, op: 'pin' },
      { seq: 3, op: 'unpin', by: 'worker' },
    ],
    instructions: [{ seq: 2, op: 'nqap', by: 'worker' }],
    unpinnedNotHeld: [{ npage: 1 }],
  });
  const again = { effects: null };
  ops.take(again, task);
  expect(again.effects).toBeNull();
});

test.each(['dma-unmap', 'open-device', 'close-device'] as const)(
  'a driver outside that is called for %s',
  (call) => {
    const { task, api } = apiOf();
    const invalidation = { device: 'd0', iova: 0n, length: 4096n, attempt: 1, round: 1 };
    for (const round of [5, 6, 7]) task.noteInvalidation({ ...invalidation, round });
    task.noteInvalidation(invalidation);
    const { value } = api.waitOutside('outside', call).next();
    expect(value).toEqual({
      callback: {
        mode: 'outside',
        call,
        device: 'd0',
        invalidation: call === 'dma-unmap' ? invalidation : null,
      },
    });
  },
);

test('a driver that stops where it was told to is in a callback of no kind', () => {
  const { api } = apiOf();
  expect(api.hold().next().value).toEqual({
    callback: { mode: 'held', call: 'hold', device: 'd0', invalidation: null },
  });
});

test('pins of an IOVA within a page are of that page on 5.10', () => {
  expect(generationOf('5.10')!.core.pinsByPage).toBe(true);
  expect([apiOf('5.10').api.keyOf(0x1008n), apiOf('6.1').api.keyOf(0x1008n)]).toEqual([0x1000n, 0x1008n]);
});
