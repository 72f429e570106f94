import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import type { Type1 } from '../../src/kernel/type1/type1.ts';
import { newHost } from '../harness/host.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { hostFrom, make, seen, textOf } from './restored.ts';

const PAGE = 4096;
const ignore = { type: 'synthetic', onDmaUnmap: 'ignore' };

const join = (device: string, more: object = { driver: ignore }): CallObject[] => [
  { call: 'create-device', device, ...more },
  { call: 'open-group', device },
  { call: 'set-container', device, container: 'c0' },
  { call: 'set-iommu', container: 'c0', type: 3 },
  { call: 'open-device', device },
];
const leave = (device: string): CallObject[] =>
  ['close-device', 'close-group', 'remove-device'].map((call) => ({ call, device }));
const map = (page: number, pages = 1): CallObject => ({
  ...{ call: 'map-dma', container: 'c0', flags: 3 },
  ...{ iova: page * PAGE, vaddr: page * PAGE, size: pages * PAGE },
});
const pin = (device: string, page: number): CallObject => ({
  ...{ call: 'pin-pages', device, iova: page * PAGE, npage: 1, prot: 3 },
});
const unmap = (page: number, pages = 1, more = {}): CallObject => ({
  ...{ call: 'unmap-dma', container: 'c0', iova: page * PAGE, size: pages * PAGE },
  ...more,
});

/** Makes calls, restores the state elsewhere, and makes more calls on both: the same must be seen. */
function goOn(before: readonly CallObject[], after: readonly CallObject[], version = '6.1') {
  const host = newHost(version);
  for (const call of [{ call: 'open-container', container: 'c0' }, ...before]) make(host, call);
  const text = textOf(host);
  const restored = hostFrom(text);
  expect(textOf(restored)).toBe(text);
  expect(dumpKernel(restored.kernel)).toEqual(dumpKernel(host.kernel));
  for (const call of after)
    expect(seen(restored, make(restored, call))).toEqual(seen(host, make(host, call)));
  expect(textOf(restored)).toBe(textOf(host));
  return { state: JSON.parse(text).state, host: restored };
}

describe.each(TYPE1_VERSIONS)('Linux %s', (version) => {
  test('a device that is gone and one of its name: the pin is still the first one’s', () => {
    const again = [...join('d1'), pin('d1', 1), map(5), pin('d1', 5)];
    const { state } = goOn(
      [...join('d0'), ...join('d1'), map(1), pin('d1', 1), ...leave('d1'), ...again],
      [{ call: 'unpin-pages', device: 'd0', iova: PAGE, npage: 1 }, ...leave('d1'), unmap(5)],
      version,
    );
    expect(state.formerDevices).toEqual([{ number: 1, device: 'd1' }]);
    expect(state.containers[0].iommu.mappings[0].pins[0].holders).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  test('a device that is gone, of a group that is closed: its calls are answered as before', () => {
    const calls = ['open-device', 'close-device', 'open-group', 'close-group', 'remove-device'];
    goOn(
      [...join('d0'), ...leave('d0')],
      calls.map((call) => ({ call, device: 'd0' })),
      version,
    );
  });

  test('two devices of one name that are gone, the file of the first one’s group open: an exit closes it', () => {
    const made = { call: 'create-device', device: 'd0', driver: ignore };
    const gone = { call: 'remove-device', device: 'd0' };
    const { state } = goOn(
      [made, { call: 'open-group', device: 'd0' }, gone, made, gone],
      [
        { call: 'open-group', device: 'd0' },
        { call: 'exit-process', process: 'p0' },
      ],
      version,
    );
    expect(state.processes[0].files).toHaveLength(2);
  });

  const ofG9 = (device: string) => ({ call: 'create-device', device, kind: 'vfio-pci', group: 'g9' });
  const open = (device: string) => ({ call: 'open-group', device });
  const close = (device: string) => ({ call: 'close-group', device });

  test('a device that is gone, of a group that another one is in: it is that group that its calls are about', () => {
    goOn(
      [ofG9('d0'), ofG9('d1'), { call: 'remove-device', device: 'd0' }],
      [open('d0'), close('d1'), open('d1'), close('d0')],
      version,
    );
  });

  test('a device that is gone with its group, and another group of that name: its calls are not about that', () => {
    goOn(
      [ofG9('d0'), { call: 'remove-device', device: 'd0' }, ofG9('d1'), open('d1')],
      [close('d0'), open('d0'), close('d1')],
      version,
    );
  });

  test('the spare word behind a dirty bitmap', () => {
    const get = { call: 'dirty-get', container: 'c0', pageSize: PAGE };
    const { state } = goOn(
      [
        ...join('d0'),
        map(70, 60),
        pin('d0', 129),
        { call: 'dirty-start', container: 'c0' },
        { ...get, iova: 60 * PAGE, size: 70 * PAGE },
        { ...get, iova: 50 * PAGE, size: 80 * PAGE },
      ],
      [
        { ...get, iova: 60 * PAGE, size: 80 * PAGE },
        { ...get, iova: 0, size: 200 * PAGE },
        { call: 'dirty-stop', container: 'c0' },
      ],
      version,
    );
    expect(state.containers[0].iommu.mappings[0].dirty.map(([word]: number[]) => word)).toContain(1);
  });

  test('a device behind the IOMMU, and again without it', () => {
    const { state } = goOn(
      [
        ...join('pci', { kind: 'vfio-pci' }),
        ...join('d0'),
        map(1, 4),
        { call: 'dirty-start', container: 'c0' },
      ],
      [pin('d0', 2), { call: 'iommu-info', container: 'c0' }, ...leave('pci'), map(2 ** 40), unmap(1, 4)],
      version,
    );
    expect(state.containers[0].iommu).toMatchObject({ hadDomain: true, domainGroups: ['g0'] });
    goOn(
      [...join('pci', { kind: 'vfio-pci' }), ...join('d0'), ...leave('pci')],
      [map(2 ** 40), map(1)],
      version,
    );
  });
});

test('an invalid vaddr', () => {
  const vaddr = { call: 'map-dma', container: 'c0', flags: 4, size: PAGE };
  const { state } = goOn(
    [...join('pci', { kind: 'vfio-pci' }), map(1), map(2), unmap(1, 1, { flags: 4 })],
    [...join('d0'), unmap(1, 2, { flags: 4 }), { ...vaddr, iova: PAGE, vaddr: 0x50000 }, ...join('d0')],
  );
  expect(state.containers[0].iommu.mappings[0].vaddrInvalid).toBe(true);
});

test('a semaphore that dead readers hold (5.10): other readers go on, writers hang', () => {
  const { state, host } = goOn(
    [
      ...join('d0', { driver: { ...ignore, bugOnInvalidation: true } }),
      ...join('d1'),
      map(1),
      map(4),
      pin('d0', 1),
      unmap(1),
    ],
    [map(9), pin('d1', 4), { call: 'close-device', device: 'd1' }, ...join('d2'), unmap(9), unmap(4)],
    '5.10',
  );
  expect(state.containers[0].iommu.deviceListLock.readers).toEqual(['unmap-dma']);
  expect((host.machine.container('c0').iommu as Type1).deviceListLock.readers.size).toBe(2);
});

test('mappings that one at the end of the address space hides', () => {
  const top = { ...map(2 ** 52 - 4, 4), iova: '0xffffffffffffc000', vaddr: 0 };
  const { state } = goOn([...join('d0'), map(1), top, map(5), map(7), map(5)], [map(5), unmap(1, 9), map(3)]);
  expect(state.containers[0].iommu.overlapPossible).toBe(true);
});

test('a device whose open waits for a lock that died', () => {
  const manual = { driver: { type: 'manual', openDevice: true } };
  const { state } = goOn(
    [
      ...join('d0'),
      ...join('d1', manual),
      map(1),
      pin('d0', 1),
      unmap(1),
      { call: 'complete-callback', device: 'd1' },
    ],
    [{ call: 'close-device', device: 'd1' }, pin('d1', 1), { call: 'close-group', device: 'd1' }],
  );
  expect(state.devices[1]).toMatchObject({ device: 'd1', openCount: 1 });
});

describe('processes', () => {
  const exec = { call: 'exec-process', process: 'p0' };

  test('what one that has exited mapped is still its', () => {
    const { state } = goOn(
      [
        ...join('d0'),
        { call: 'fork-process', process: 'p0', child: 'p1' },
        { call: 'set-memlock', process: 'p1', bytes: 0x10000 },
        { ...map(1), process: 'p1' },
        { call: 'exit-process', process: 'p1' },
        pin('d0', 1),
      ],
      [{ call: 'unpin-pages', device: 'd0', iova: PAGE, npage: 1 }, unmap(1), map(2)],
    );
    expect(state.exited).toEqual([{ process: 'p1', number: 1, memlock: '0x10000' }]);
    expect(state.containers[0].iommu.mappings[0].owner).toEqual({ process: 1, mm: 1 });
  });

  test('what one mapped before its exec is of the memory that it had then', () => {
    const { state } = goOn([...join('d0'), map(1), map(3), exec, map(2)], [unmap(1), unmap(2), map(1)]);
    expect(state.containers[0].iommu.mappings.map((mapping: { owner?: object }) => mapping.owner)).toEqual([
      undefined,
      { process: 0, mm: 1 },
      undefined,
    ]);
  });

  test('a container whose opener has exited is that process’s', () => {
    const { state } = goOn(
      [
        ...join('d0'),
        { call: 'fork-process', process: 'p0', child: 'p1' },
        { call: 'exit-process', process: 'p0' },
      ],
      [map(1), { ...map(1), process: 'p1' }],
    );
    expect(state.exited).toEqual([{ process: 'p0', number: 0, memlock: null }]);
  });

  test('capabilities that do not follow from the limit', () => {
    const drop = { call: 'set-capabilities', process: 'p0', drop: ['CAP_IPC_LOCK', 'CAP_SYS_RAWIO'] };
    const { state } = goOn([...join('d0'), drop], [map(1)]);
    expect(state.processes[0]).toMatchObject({ memlock: null, capIpcLock: false, capSysRawio: false });
  });
});
