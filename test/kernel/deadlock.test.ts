import { expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const [LIST, LOCK] = ['container c0 device_list_lock', 'container c0 iommu->lock'];

/**
 * An unmap that waits in the callback of d0, a driver outside, with the device list locked; and the first open of d2,
 * which waits for that list with the container locked. d1 is outside as well, and open.
 */
function rigInCallback() {
  const outside = { type: 'manual' };
  const rig = new CoreRig('6.1', { d1: outside, d0: outside });
  rig.create('d2', synthetic('unpin-range'));
  rig.map(0, 0x1000);
  rig.pin(0);
  const unmap = rig.start('unmap-dma', { iova: 0, size: 0x1000 });
  const open = rig.start('open-device', { device: 'd2' });
  const unpin = (device: string) => rig.start('unpin-pages', { device, iova: 0, npage: 1 });
  return { rig, unmap, open, unpin };
}

test('what the driver in its callback waits for closes the cycle: each call of it ends, and is named with its locks', () => {
  const { rig, unmap, open, unpin } = rigInCallback();
  const last = unpin('d0');
  const bodies = [unmap, open, last].map(({ answer }) => toReply(answer!).body);
  expect(bodies.map(({ errno }) => errno)).toEqual(Array(3).fill('EDEADLK'));
  const [group] = rig.host.kernel.devices.get('d2')!.group.lock.name.split(' group_lock');
  const tasks = [
    { call: 'unpin-pages', device: 'd0', holds: [], waitsFor: LOCK },
    { call: 'open-device', device: 'd2', holds: [`${group} group_lock`, LOCK], waitsFor: LIST },
    { call: 'unmap-dma', holds: [LIST], waitsFor: 'the callback of d0' },
  ];
  const condition =
    `unpin-pages of d0 holds nothing and waits for ${LOCK}; ` +
    `open-device of d2 holds ${group} group_lock and ${LOCK} and waits for ${LIST}; ` +
    `unmap-dma holds ${LIST} and waits for the callback of d0`;
  for (const { splat } of bodies) {
    expect(splat).toEqual({ kind: 'DEADLOCK', function: 'vfio_iommu_type1', condition, tasks });
  }
  expect(bodies.map(({ advisories }) => advisories)).toMatchObject([
    [{ kind: 'KERNEL_BUG:callback-deadlock', devices: [], iova: '0x0' }],
    [{ kind: 'KERNEL_BUG:callback-deadlock', devices: ['d2'], iova: '0x0' }],
    [{ kind: 'KERNEL_BUG:callback-deadlock', devices: ['d0'], iova: '0x0' }],
  ]);
  expect(rig.host.kernel.scheduler.pending).toEqual([]);
});

test('what another driver waits for closes none', () => {
  const { unmap, open, unpin } = rigInCallback();
  const other = unpin('d1');
  expect([unmap, open, other].map(({ answer }) => answer === null)).toEqual([true, true, true]);
});

test('nor does a call that is no driver’s', () => {
  const { rig, unmap, open } = rigInCallback();
  const info = rig.start('iommu-info', { container: 'c0' });
  expect([unmap, open, info].map(({ answer }) => answer === null)).toEqual([true, true, true]);
});

test('who waits for a lock of the cycle without being in it hangs', () => {
  const { rig, unpin } = rigInCallback();
  const info = rig.start('iommu-info', { container: 'c0' });
  unpin('d0');
  expect(toReply(info.answer!).status).toBe(423);
  expect(rig.reply('iommu-info').status).toBe(423);
});
