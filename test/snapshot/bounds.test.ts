import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { withDevice } from './one-device.ts';
import { make } from './restored.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

const MOST = 2 ** 31 - 1;

/** A lock that is held for ever. */
const held = (readers: readonly string[], more: object = {}) => ({
  owner: null,
  readers,
  splat: { kind: 'BUG_ON', function: 'f', condition: 'c', file: 'x.c', line: 1, ...more },
});
const names = (count: number) => Array.from({ length: count }, (_, i) => `x${i}`);

/** Containers c1 and on, each with a device. */
const containers = (count: number): CallObject[] =>
  names(count).flatMap((_, i) => [
    { call: 'open-container', container: `c${i + 1}` },
    { call: 'create-device', device: `d${i + 1}`, driver: synthetic },
    { call: 'attach', container: `c${i + 1}`, device: `d${i + 1}` },
  ]);

const synthetic = { type: 'synthetic', onDmaUnmap: 'unpin-range' };
const pin = { call: 'pin-pages', device: 'd0', iova: 0, npage: 1, prot: 3 };

/** Counts that a call goes through one by one: each could keep a machine busy for ever. */
const COUNTS: [string, string, Json, (state: Json) => void][] = [
  [
    'pins a driver believes in',
    `driverState/pins come to ${MOST} pins, but the limit is ${DEFAULT_LIMITS.pins}`,
    withDevice(synthetic, [pin]),
    (s) => (s.devices[0].driverState.pins[0].times = MOST),
  ],
  [
    'references of a pin',
    'containers come to',
    withDevice(synthetic, [pin]),
    (s) => (s.containers[0].iommu.mappings[0].pins[0].holders[0][1] = MOST),
  ],
  [
    'entries of a vGPU page table',
    'driverState/gtt come to',
    withDevice({ type: 'gvt-g' }, [{ call: 'gvt-map-page', device: 'd0', gfn: 0, size: '4K' }]),
    (s) => (s.devices[0].driverState.gtt[0].times = MOST),
  ],
  [
    'references of a pin of iommufd',
    'containers come to',
    withDevice(synthetic, [pin], '6.12-iommufd'),
    (s) => (s.containers[0].ioas.areas[0].pins[0].holders[0][1] = MOST),
  ],
  [
    'readers of a lock',
    'deviceListLock/readers is ["x0","x1"',
    withDevice(synthetic, []),
    (s) => (s.containers[0].iommu.deviceListLock = held(names(1025))),
  ],
  [
    'readers of all locks together',
    'deviceListLock makes it more than 65536 calls that hold locks for ever',
    withDevice(synthetic, containers(64), '5.10'),
    (s) => {
      for (const { iommu } of s.containers) iommu.deviceListLock = held(names(1024));
    },
  ],
  [
    'characters of a splat',
    'splat/function is "ffffff',
    withDevice(synthetic, []),
    (s) => (s.containers[0].iommu.deviceListLock = held(['x'], { function: 'f'.repeat(257) })),
  ],
  [
    'pins of a splat',
    'splat/pins is [',
    withDevice(synthetic, []),
    (s) => {
      const pins = Array(17).fill({ iova: '0x0', pfn: '0x0', refCount: 1, devices: [] });
      s.containers[0].iommu.deviceListLock = held(['x'], { pins });
    },
  ],
  [
    'open files',
    'files has 20481 items, but the limit is 20480',
    withDevice(synthetic, []),
    (s) => (s.files = Array(20_481).fill({ of: 'device', id: 'd0', opener: 255 })),
  ],
  [
    'descriptors',
    'processes/0/files has 16385 items, but the limit is 16384',
    withDevice(synthetic, []),
    (s) => (s.processes[0].files = Array(16_385).fill([0, 0])),
  ],
  [
    'groups of a container',
    'containers/0/groups has 2 items, but the limit is 1',
    withDevice(synthetic, []),
    (s) => s.containers[0].groups.push('x'),
  ],
  [
    'groups',
    'groups has 5124 items, but the limit is 5123',
    withDevice(synthetic, []),
    (s) => {
      const group = { ...s.groups[0], fdOpen: false };
      s.groups = names(5124).map((name) => ({ ...group, group: name }));
    },
  ],
  [
    'the number of a descriptor',
    `processes/0/files/2 has descriptor ${MOST} of "p0"`,
    withDevice(synthetic, []),
    (s) => (s.processes[0].files[2][0] = MOST),
  ],
  [
    'descriptors of a device that a snapshot without files has open',
    `processes has descriptor ${DEFAULT_LIMITS.files} of "p0"`,
    withDevice(synthetic, []),
    (s) => {
      delete s.files;
      for (const process of s.processes) delete process.files;
      s.devices[0].openCount = MOST;
    },
  ],
];

test.each(COUNTS)(
  '%s beyond the limit of a machine: refused, and nothing has changed',
  (_, says, document, spoil) => {
    const host = newHost(document.kernel);
    const before = dumpKernel(host.kernel);
    spoil(document.state);
    const restore = () => host.restore(checkSnapshot(document, 'body'), 'body');
    expect(restore).toThrow(Refused);
    expect(restore).toThrow(says);
    expect(dumpKernel(host.kernel)).toEqual(before);
  },
);

test('counters as high as may be read, and counted on: the snapshot is read again', () => {
  const document = withDevice(synthetic, []);
  const { next, processes } = document.state;
  for (const of of ['container', 'device', 'group', 'process', 'fault', 'call']) next[of] = 2 ** 48;
  processes[0].lockedVm += 2 ** 52;
  const host = newHost(document.kernel);
  host.restore(checkSnapshot(document, 'body'), 'body');
  const ids = Array.from({ length: 2 }, () => make(host, { call: 'open-container' }));
  for (const id of ids) expect(id).not.toHaveProperty('problem');
  for (let i = 0; i < 3; i++) make(host, { call: 'add-fault', on: 'sleep', nth: 1, errno: 'EIO' });
  make(host, { ...pin, npage: 16 });
  const again = JSON.parse(JSON.stringify(host.snapshot(true)));
  expect(again.state.processes[0].lockedVm).toBe(processes[0].lockedVm + 16);
  const other = newHost(document.kernel);
  other.restore(checkSnapshot(again, 'body'), 'body');
  make(other, { call: 'open-container' });
  expect([...other.kernel.containers.keys()]).toEqual(['c0', ...[0, 1, 2].map((i) => `c${2 ** 48 + i}`)]);
});

test('calls of one name that hold a lock: it is saved once, however many there are', () => {
  const deadly = { type: 'synthetic', onDmaUnmap: 'ignore', bugOnInvalidation: true };
  const unmap = (page: number) => ({ call: 'unmap-dma', container: 'c0', iova: page * 4096, size: 4096 });
  const maps = [0, 1].map((page) => ({ ...unmap(0x200 + page), call: 'map-dma', vaddr: 0, flags: 3 }));
  const pins = [0, 1].map((page) => ({ ...pin, iova: (0x200 + page) * 4096 }));
  const document = withDevice(deadly, [...maps, ...pins, unmap(0x200), unmap(0x201)], '5.10');
  expect(document.state.containers[0].iommu.deviceListLock.readers).toEqual(['unmap-dma']);
  const host = newHost('5.10');
  host.restore(checkSnapshot(document, 'body'), 'body');
  expect(JSON.parse(JSON.stringify(host.snapshot(true)))).toEqual(document);
});

test.each(['6.1', '6.12-iommufd'])('devices that hold a pin: a line of the log of %s names 64', (version) => {
  const host = newHost(version);
  make(host, { call: 'open-container', container: 'c0' });
  for (const device of names(65)) {
    make(host, { call: 'create-device', device, driver: { type: 'synthetic', onDmaUnmap: 'ignore' } });
    make(host, { call: 'attach', container: 'c0', device });
  }
  make(host, { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 });
  for (const device of names(65)) make(host, { ...pin, device });
  const { answer } = make(host, { call: 'unmap-dma', container: 'c0', iova: 0, size: 4096 }) as StartedCall;
  const { splats } = answer!;
  expect(splats.find(({ pins }) => pins)?.pins).toEqual([
    expect.objectContaining({ refCount: 65, devices: names(64).map((device) => ({ device, count: 1 })) }),
  ]);
});

test('a slot of an IOAS that would make a list of billions: refused by its number', () => {
  const document = withDevice(synthetic, [], '6.12-iommufd');
  document.state.next.deviceNumber = 2 ** 30;
  document.state.containers[0].ioas.accesses[0].slot = MOST;
  expect(() => checkSnapshot(document, 'body')).toThrow(
    'slot is 2147483647, but must be an integer from 0 to 65535',
  );
});

test('pins up to the limit: the next one is ENOMEM, and says so', () => {
  const host = newHost();
  Object.assign(host.kernel, { limits: { ...DEFAULT_LIMITS, pins: 3 } });
  make(host, { call: 'open-container', container: 'c0' });
  make(host, { call: 'create-device', device: 'd0', driver: synthetic });
  make(host, { call: 'attach', container: 'c0', device: 'd0' });
  make(host, { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x100000, flags: 3 });
  make(host, { ...pin, npage: 2 });
  make(host, pin);
  const { answer } = make(host, pin) as Json;
  expect(answer).toMatchObject({
    end: { value: 'ENOMEM' },
    why: expect.stringContaining('more than 3 pins'),
  });
  expect(host.kernel.references.count).toBe(3);
  make(host, { call: 'unmap-dma', container: 'c0', iova: 0, size: 0x100000 });
  expect(host.kernel.references.count).toBe(0);
});
