import { expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';

/** What a call came to: `ok` with the size, an errno with the size, or `waiting`. */
function outcome({ answer }: StartedCall): string {
  if (!answer) return 'waiting';
  const { errno = 'ok', size } = toReply(answer).body;
  return size === undefined ? String(errno) : `${errno} ${size}`;
}

/** d holds its callbacks; three mappings of four pages, the first one pinned; an unmap of that waits in the callback. */
function inCallback(more: Record<string, object> = {}) {
  const held = { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true };
  const rig = new CoreRig('6.12-iommufd', { d: held, ...more });
  for (const iova of [0x10000, 0x20000, 0x30000]) rig.map(iova, 0x4000);
  rig.do('pin-pages', { device: 'd', iova: 0x11000, npage: 1, prot: 3 });
  const first = rig.start('unmap-dma', { iova: 0x10000, size: 0x4000 });
  expect(outcome(first)).toBe('waiting');
  return { rig, first, resume: () => rig.do('resume-callbacks', { device: 'd' }) };
}

const listens = (onDmaUnmap = 'unpin-range') => ({ type: 'synthetic', onDmaUnmap });

test('a second unmap of the same mapping calls as well, and whoever comes second finds nothing (waits.out)', () => {
  const { rig, first, resume } = inCallback();
  const second = rig.start('unmap-dma', { iova: 0x10000, size: 0x4000 });
  // Its own callback is not held, and unpins: it takes the mapping.
  expect(outcome(second)).toBe('ok 0x4000');
  expect(second.delivered()).toHaveLength(1);
  resume();
  expect(outcome(first)).toBe('ok 0x0');
  expect(outcome(rig.start('unmap-dma', { iova: 0, size: 0x200000 }))).toBe('ok 0x8000');
});

test('a second unmap of everything takes the mapping that the first one waits for (waits.out)', () => {
  const { rig, first, resume } = inCallback();
  const all = rig.start('unmap-dma', { iova: 0, size: 0, flags: ['all'] });
  expect(outcome(all)).toBe('ok 0xc000');
  resume();
  expect(outcome(first)).toBe('ok 0x0');
});

test('a device that is opened during a round is called in it, in a slot of its own', () => {
  const { rig, first, resume } = inCallback();
  rig.attach('e', listens());
  resume();
  expect(outcome(first)).toBe('ok 0x4000');
  expect(first.delivered().map(({ device }) => device)).toEqual(['d', 'e']);
});

test('a device that is closed during a round is not called any more, and its slot is the next one’s', () => {
  const { rig, first, resume } = inCallback({ e: listens() });
  rig.do('close-device', { device: 'e' });
  rig.attach('f', listens());
  resume();
  expect(outcome(first)).toBe('ok 0x4000');
  expect(first.delivered().map(({ device }) => device)).toEqual(['d', 'f']);
});

test('a mapping made below the walk during a callback is left alone, one made above is unmapped', () => {
  const held = { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true };
  const rig = new CoreRig('6.12-iommufd', { d: held });
  rig.map(0x10000, 0x1000);
  rig.map(0x11000, 0x1000);
  rig.do('pin-pages', { device: 'd', iova: 0x11000, npage: 1, prot: 3 });
  const unmap = rig.start('unmap-dma', { iova: 0x10000, size: 0x10000 });
  rig.map(0x10000, 0x1000);
  rig.map(0x18000, 0x1000);
  rig.do('resume-callbacks', { device: 'd' });
  expect(outcome(unmap)).toBe('ok 0x3000');
  expect(rig.host.machine.container('c0').view!.mappingCount).toBe(1);
});

test('the last callback of a close holds the group alone: its container can be used meanwhile', () => {
  const rig = new CoreRig('6.12-iommufd', { d: { type: 'manual' }, e: listens() });
  const close = rig.start('close-device', { device: 'd' });
  expect(outcome(close)).toBe('waiting');
  expect(rig.errno('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 })).toBe('ENOENT');
  rig.map(0x10000, 0x1000);
  expect(rig.unmap(0x10000, 0x1000).body.size).toBe('0x1000');
  const status = rig.start('group-status', { device: 'd' });
  expect(outcome(status)).toBe('waiting');
  rig.do('complete-callback', { device: 'd' });
  expect([close, status].map(outcome)).toEqual(['ok', 'ok']);
});

test('a pin or an unpin in open_device, before the device is attached: ENOENT, and WARN_ON(!access->ioas_unpin)', () => {
  const rig = new CoreRig('6.12-iommufd', {});
  rig.create('d', { type: 'manual', openDevice: true });
  rig.map(0x10000, 0x1000);
  const open = rig.start('open-device', { device: 'd' });
  expect(rig.errno('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 })).toBe('ENOENT');
  expect(rig.errno('dma-rw', { device: 'd', iova: 0x10000, write: false, length: 1 })).toBe('ENOENT');
  const unpin = rig.do('unpin-pages', { device: 'd', iova: 0x10000, npage: 1 });
  expect(unpin.log).toMatchObject([{ condition: '!access->ioas_unpin', line: 1111 }]);
  rig.do('complete-callback', { device: 'd' });
  expect(outcome(open)).toBe('ok');
  rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
});

test('open-device refused by the driver leaves nothing behind', () => {
  const rig = new CoreRig('6.12-iommufd', {});
  rig.create('d', { type: 'manual', openDevice: true });
  const before = dumpKernel(rig.host.kernel);
  const open = rig.start('open-device', { device: 'd' });
  rig.do('complete-callback', { device: 'd', errno: 'EPERM' });
  expect(open.answer?.end).toEqual({ how: 'returned', value: 'EPERM' });
  expect(dumpKernel(rig.host.kernel)).toEqual(before);
});
