import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import { type Answer, bodyOf, errnoOf } from '../../src/machine/answer.ts';
import { checkCall } from '../../src/machine/table.ts';
import { replay } from '../../src/replay/replay.ts';
import { newHost } from '../harness/host.ts';
import { recordings } from '../harness/recordings.ts';

const SYNTHETIC = { type: 'synthetic', onDmaUnmap: 'unpin-range' };

/** What a call answers: its errno, or its body. */
function make(host: Host, call: string, args: object = {}): unknown {
  const { answer } = host.start(checkCall({ call, ...args } as CallObject));
  return answer ? (errnoOf(answer) ?? bodyOf(answer)) : 'pending';
}

/** A container c0 with type 1v2 and these mdevs open in it. */
function withDevices(host: Host, ...devices: string[]): void {
  make(host, 'open-container', { container: 'c0' });
  for (const device of devices) {
    make(host, 'create-device', { device, driver: SYNTHETIC });
    make(host, 'open-group', { device });
    make(host, 'set-container', { device, container: 'c0' });
  }
  make(host, 'set-iommu', { container: 'c0', type: 3 });
  for (const device of devices) make(host, 'open-device', { device });
}

const map = (iova: number, more: object = {}) => ({
  ...{ container: 'c0', iova, vaddr: iova, size: 0x4000, flags: 3 },
  ...more,
});

test('an exit closes by descriptor, the highest first, and a number that became free is taken again', () => {
  const host = newHost();
  withDevices(host, 'd0', 'd1', 'd2');
  make(host, 'close-device', { device: 'd0' });
  make(host, 'open-device', { device: 'd0' });
  expect(make(host, 'exit-process', { process: 'p0' })).toEqual({ closedDevices: ['d2', 'd1', 'd0'] });
  expect([...host.kernel.containers]).toEqual([]);
});

test('a descriptor opened late in a low number is closed late', () => {
  const host = newHost();
  withDevices(host, 'd0', 'd1');
  make(host, 'create-device', { device: 'd2', driver: SYNTHETIC });
  make(host, 'open-group', { device: 'd2' });
  make(host, 'set-container', { device: 'd2', container: 'c0' });
  make(host, 'close-device', { device: 'd0' });
  make(host, 'open-device', { device: 'd2' });
  expect(make(host, 'exit-process', { process: 'p0' })).toEqual({ closedDevices: ['d1', 'd2'] });
});

test('a file that a forked child has is closed with the child', () => {
  const host = newHost();
  withDevices(host, 'd0');
  expect(make(host, 'fork-process', { process: 'p0', child: 'p1' })).toEqual({ process: 'p1' });
  expect(make(host, 'exit-process', { process: 'p0' })).toEqual({});
  expect(make(host, 'map-dma', map(0))).toMatchObject({ iova: '0x0' });
  expect(make(host, 'close-device', { device: 'd0', process: 'p1' })).toEqual({ closedDevices: ['d0'] });
  expect(errnoOf(host.start({ call: 'exit-process', process: 'p1', signal: 9 }).answer!)).toBeNull();
  expect([...host.kernel.containers]).toEqual([]);
});

test('a process that has not got a file open is EBADF, whoever else has', () => {
  const host = newHost();
  withDevices(host, 'd0');
  make(host, 'create-process', { process: 'p1' });
  expect(make(host, 'map-dma', map(0, { process: 'p1' }))).toBe('EBADF');
  expect(make(host, 'group-status', { device: 'd0', process: 'p1' })).toBe('EBADF');
  expect(make(host, 'close-device', { device: 'd0', process: 'p1' })).toBe('EBADF');
  expect(make(host, 'map-dma', map(0, { process: 'p0' }))).toMatchObject({ iova: '0x0' });
});

test('memory that a fork copies is the child’s own, shared memory is both’s', () => {
  const host = newHost();
  const region = { process: 'p0', prot: 3, size: 0x1000 };
  make(host, 'add-memory-region', { ...region, start: 0x10000 });
  make(host, 'add-memory-region', { ...region, start: 0x20000, kind: 'shared' });
  make(host, 'fork-process', { process: 'p0', child: 'p1' });
  for (const vaddr of [0x10000, 0x20000])
    make(host, 'fill-memory', { process: 'p1', vaddr, length: 1, byte: 7 });
  const read = (vaddr: number) => make(host, 'read-memory', { process: 'p0', vaddr, length: 1 });
  expect(read(0x10000)).toEqual({ data: 'AA==' });
  expect(read(0x20000)).toEqual({ data: 'Bw==' });
});

test('a page of never written memory that was made writable and is written counts when it is locked (6.1)', () => {
  const host = newHost('6.1');
  withDevices(host, 'd0');
  make(host, 'add-memory-region', { process: 'p0', start: 0, size: 0x4000, prot: 1 });
  make(host, 'map-dma', map(0, { flags: 1 }));
  const pin = (iova: number) => make(host, 'pin-pages', { device: 'd0', iova, npage: 1, prot: 1 });
  pin(0);
  expect(host.machine.process('p0').lockedVm).toBe(0);
  make(host, 'protect-memory-region', { process: 'p0', start: 0x1000, size: 0x1000, prot: 3 });
  make(host, 'fill-memory', { process: 'p0', vaddr: 0x1000, length: 1, byte: 1 });
  pin(0x1000);
  expect(host.machine.process('p0').lockedVm).toBe(1);
});

test('mprotect over a hole changes what lies below it', () => {
  const host = newHost();
  make(host, 'add-memory-region', { process: 'p0', start: 0x1000, size: 0x1000, prot: 3 });
  expect(make(host, 'protect-memory-region', { process: 'p0', start: 0x1000, size: 0x2000, prot: 1 })).toBe(
    'ENOMEM',
  );
  expect(make(host, 'fill-memory', { process: 'p0', vaddr: 0x1000, length: 1, byte: 1 })).toBe('EFAULT');
});

test('a removal asks every 10 s of the host’s own time, and again where it is opened once more (6.1)', () => {
  const host = newHost('6.1');
  withDevices(host, 'd0');
  const removal = host.start(checkCall({ call: 'remove-device', device: 'd0' }), undefined, true);
  expect(removal.effects).toEqual({ requests: ['d0'] });
  make(host, 'sleep', { milliseconds: 25_000 });
  expect(removal.effects).toEqual({ requests: ['d0', 'd0', 'd0'] });
  expect(make(host, 'open-device', { device: 'd0' })).toEqual({});
  make(host, 'close-device', { device: 'd0' });
  expect(removal.answer).toBeNull();
  make(host, 'close-device', { device: 'd0' });
  expect(errnoOf(removal.answer as Answer)).toBeNull();
  expect(make(host, 'set-container', { device: 'd0', container: 'c0' })).toBe('ENODEV');
  expect(make(host, 'open-group', { device: 'd0' })).toBe('ENOENT');
});

test('nobody’s time passes for a removal alone: who waits for it waits for the close', () => {
  const host = newHost('6.12');
  withDevices(host, 'd0');
  expect(make(host, 'remove-device', { device: 'd0' })).toBe('pending');
  expect(host.kernel.scheduler.now).toBe(0);
  expect(make(host, 'open-device', { device: 'd0' })).toBe('ENODEV');
});

test.each(['5.10', '6.1'])(
  'with ifOpen refuse it does not wait for a group that is in a container either: %s',
  (version) => {
    const host = newHost(version);
    withDevices(host, 'd0');
    make(host, 'close-device', { device: 'd0' });
    const refused = make(host, 'remove-device', { device: 'd0', ifOpen: 'refuse' });
    // From 5.18 on the group leaves its container with its last device.
    expect(refused).toEqual(version === '5.10' ? 'EBUSY' : {});
    expect(host.kernel.devices.has('d0')).toBe(version === '5.10');
  },
);

test('a removal while another one waits is EBUSY', () => {
  const host = newHost();
  withDevices(host, 'd0');
  expect(make(host, 'remove-device', { device: 'd0' })).toBe('pending');
  expect(make(host, 'remove-device', { device: 'd0' })).toBe('EBUSY');
});

test('a vaddr that is set after an exec charges the new memory, within the limit', () => {
  const host = newHost();
  make(host, 'open-container', { container: 'c0' });
  make(host, 'create-device', { device: 'd0', kind: 'vfio-pci' });
  make(host, 'open-group', { device: 'd0' });
  make(host, 'set-container', { device: 'd0', container: 'c0' });
  make(host, 'set-iommu', { container: 'c0', type: 3 });
  make(host, 'map-dma', map(0));
  make(host, 'unmap-dma', { container: 'c0', iova: 0, size: 0x4000, flags: 4 });
  make(host, 'exec-process', { process: 'p0' });
  make(host, 'add-memory-region', { process: 'p0', start: 0, size: 0x10000, prot: 3 });
  const locked = () => host.machine.process('p0').lockedVm;
  expect(locked()).toBe(0);
  make(host, 'set-memlock', { process: 'p0', bytes: 0x3000 });
  expect(make(host, 'map-dma', map(0, { flags: 4 }))).toBe('ENOMEM');
  expect(locked()).toBe(0);
  make(host, 'set-memlock', { process: 'p0', bytes: 0x4000 });
  expect(make(host, 'map-dma', map(0, { flags: 4 }))).toMatchObject({ iova: '0x0' });
  expect(locked()).toBe(4);
  make(host, 'unmap-dma', { container: 'c0', iova: 0, size: 0x4000, flags: 0 });
  expect(locked()).toBe(0);
});

test('a device that is bound again after its group had gone is in another group, whose file is closed (6.1)', () => {
  const host = newHost();
  make(host, 'create-device', { device: 'd0', kind: 'vfio-pci' });
  make(host, 'open-group', { device: 'd0' });
  expect(make(host, 'open-group', { device: 'd0' })).toBe('EBUSY');
  expect(make(host, 'bind-device', { device: 'd0', to: 'none' })).toEqual({});
  expect(make(host, 'open-group', { device: 'd0' })).toBe('ENOENT');
  expect(make(host, 'bind-device', { device: 'd0', to: 'vfio-pci' })).toEqual({});
  expect(make(host, 'open-group', { device: 'd0' })).toMatchObject({});
  make(host, 'open-container', { container: 'c0' });
  expect(make(host, 'set-container', { device: 'd0', container: 'c0' })).toEqual({});
});

test('a device’s memory is mapped by who has it open, within its BAR, and holds the device open', () => {
  const host = newHost();
  make(host, 'open-container', { container: 'c0' });
  make(host, 'create-device', { device: 'd0', kind: 'vfio-pci' });
  make(host, 'create-process', { process: 'p1' });
  make(host, 'open-group', { device: 'd0' });
  make(host, 'set-container', { device: 'd0', container: 'c0' });
  make(host, 'set-iommu', { container: 'c0', type: 3 });
  const bar = (args: object) =>
    make(host, 'add-memory-region', {
      ...{ process: 'p0', start: 0, size: 0x1000, prot: 3, kind: 'device', device: 'd0', ...args },
    });
  expect(bar({})).toBe('EBADF');
  make(host, 'open-device', { device: 'd0' });
  expect(bar({ process: 'p1' })).toBe('EBADF');
  expect(bar({ offset: 0x800 })).toBe('EINVAL');
  expect(bar({ size: 0x101000 })).toBe('EINVAL');
  expect(bar({ offset: 0xff000, size: 0x2000 })).toBe('EINVAL');
  expect(bar({ offset: 0xff000 })).toEqual({});
  expect(bar({ start: 0x10000 })).toEqual({});
  expect(make(host, 'close-device', { device: 'd0' })).toEqual({});
  const openCount = () => host.machine.device('d0').openCount;
  expect(openCount()).toBe(1);
  make(host, 'remove-memory-region', { process: 'p0', start: 0, size: 0x1000 });
  expect(openCount()).toBe(1);
  make(host, 'remove-memory-region', { process: 'p0', start: 0x10000, size: 0x1000 });
  expect(openCount()).toBe(0);
});

test.each([
  [0x4000, {}],
  [0x3000, 'ENOMEM'],
])('a device behind the IOMMU that joins charges what is not pinned yet: limit %i', (bytes, answer) => {
  const host = newHost();
  withDevices(host, 'd0');
  make(host, 'set-memlock', { process: 'p0', bytes });
  make(host, 'map-dma', map(0x10000));
  make(host, 'pin-pages', { device: 'd0', iova: 0x12000, npage: 1, prot: 3 });
  make(host, 'create-device', { device: 'd1', kind: 'vfio-pci' });
  make(host, 'open-group', { device: 'd1' });
  expect(make(host, 'set-container', { device: 'd1', container: 'c0' })).toEqual(answer);
  expect(host.machine.process('p0').lockedVm).toBe(answer === 'ENOMEM' ? 1 : 4);
});

test('with ifOpen refuse a removal does not wait', () => {
  const host = newHost();
  withDevices(host, 'd0');
  expect(make(host, 'remove-device', { device: 'd0', ifOpen: 'refuse' })).toBe('EBUSY');
  expect(make(host, 'remove-device', { device: 'd0' })).toBe('pending');
});

test('the kernel with iommufd has an answer to every call of these recordings', () => {
  let steps = 0;
  for (const { file, scenarios } of recordings('6.12')) {
    if (!/^(processes|memory-kinds|no-iommu|removal)/.test(file)) continue;
    for (const scenario of scenarios.slice(0, 60)) {
      replay(newHost('6.12-iommufd').machine, { ...scenario, kernel: '6.12-iommufd' });
      steps += scenario.steps.length;
    }
  }
  expect(steps).toBeGreaterThan(2000);
});
