import { describe, expect, test } from 'vitest';
import type { IommuArgument } from '../../schemas/iommu.ts';
import type { Host } from '../../src/host/host.ts';
import { type IommuHardware, iommuKey } from '../../src/kernel/iommu/hardware.ts';
import { newHost } from '../harness/host.ts';

/** A container c0 whose vfio-pci devices d0, d1… lie behind these IOMMUs; the errno of each set-container. */
function machine(version: string, iommus: readonly IommuArgument[], before: object[] = []) {
  const host = newHost(version);
  const run = (call: object) => answer(host, call);
  run({ call: 'open-container', container: 'c0' });
  const mdev = { type: 'synthetic', onDmaUnmap: 'unpin-range' };
  run({ call: 'create-device', device: 'm', driver: mdev });
  run({ call: 'open-group', device: 'm' });
  run({ call: 'set-container', device: 'm', container: 'c0' });
  run({ call: 'set-iommu', container: 'c0', type: 3 });
  for (const call of before) run(call);
  const joined = iommus.map((iommu, i) => {
    const device = `d${i}`;
    run({ call: 'create-device', device, kind: 'vfio-pci', iommu });
    run({ call: 'open-group', device });
    return run({ call: 'set-container', device, container: 'c0' });
  });
  return { run, joined, locked: () => host.kernel.processes.get('p0')!.mm.lockedVm };
}

function answer(host: Host, call: object): Record<string, unknown> {
  const { end, log, why } = host.start(call as never).answer!;
  const value = end.how === 'returned' ? end.value : end.how;
  return { ...(typeof value === 'string' ? { errno: value, why } : value), log };
}

const ranges = (iommu: IommuArgument) => {
  const { run } = machine('6.1', [iommu]);
  const { iovaRanges, pageSizes } = run({ call: 'iommu-info', container: 'c0' });
  return { iovaRanges, pageSizes };
};

describe('the usable IOVA of an IOMMU', () => {
  test('intel-57 reaches 2^57', () => {
    expect(ranges('intel-57').iovaRanges).toEqual([
      ['0x0', '0xfedfffff'],
      ['0xfef00000', '0x1ffffffffffffff'],
    ]);
  });
  test('amd has a hole below 1 TiB', () => {
    expect(ranges('amd')).toEqual({
      pageSizes: '0xffffff7ffffff000',
      iovaRanges: [
        ['0x0', '0xfedfffff'],
        ['0xfef00000', '0xfcffffffff'],
        ['0x10000000000', '0xffffffffffff'],
      ],
    });
  });
  test('arm-smmu keeps a window for its software MSI', () => {
    expect(ranges('arm-smmu').iovaRanges).toEqual([
      ['0x0', '0x7ffffff'],
      ['0x8100000', '0xffffffffffff'],
    ]);
  });
  test('virtio reaches 2^64', () => {
    expect(ranges('virtio').iovaRanges).toEqual([
      ['0x0', '0xfedfffff'],
      ['0xfef00000', '0xffffffffffffffff'],
    ]);
  });
  test('parts override the preset', () => {
    const reserved = [{ start: '0x1000', end: '0x1fff', type: 'reserved' as const }];
    expect(ranges({ preset: 'intel-48', addressWidth: 32, pageSizes: '0x1000', reserved })).toEqual({
      pageSizes: '0x1000',
      iovaRanges: [
        ['0x0', '0xfff'],
        ['0x2000', '0xffffffff'],
      ],
    });
  });
});

describe('two IOMMUs in one container', () => {
  test('ranges and page sizes are the intersection, and go with the one that leaves', () => {
    const { run, joined } = machine('6.1', ['intel-39', 'arm-smmu']);
    expect(joined.map(({ errno }) => errno)).toEqual([undefined, undefined]);
    expect(run({ call: 'iommu-info', container: 'c0' })).toMatchObject({
      pageSizes: '0x40201000',
      iovaRanges: [
        ['0x0', '0x7ffffff'],
        ['0x8100000', '0xfedfffff'],
        ['0xfef00000', '0x7fffffffff'],
      ],
    });
    run({ call: 'unset-container', device: 'd0' });
    expect(run({ call: 'iommu-info', container: 'c0' }).iovaRanges).toEqual([
      ['0x0', '0x7ffffff'],
      ['0x8100000', '0xffffffffffff'],
    ]);
  });

  test('no common range is EINVAL', () => {
    const reserved = [{ start: '0x0', end: '0x7fffffffff', type: 'reserved' as const }];
    const { joined } = machine('6.1', ['intel-39', { preset: 'intel-48', reserved }]);
    expect(joined[1]).toMatchObject({
      errno: 'EINVAL',
      why: 'no IOVA is usable behind all IOMMUs of the container',
    });
  });

  test('a mapping is charged once for both', () => {
    const map = { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x3000, flags: 3 };
    const { run } = machine('6.1', ['intel-39', 'amd'], [map]);
    run({ ...map, iova: 0x10000 });
    const host = run({ call: 'unmap-dma', container: 'c0', iova: 0, size: 0x20000 });
    expect(host.size).toBe('0x6000');
  });
});

test('an IOMMU whose maps fail: map-dma answers its errno, and nothing is mapped or charged', () => {
  const { run } = machine('6.1', [{ mapErrno: 'ENOMEM' }]);
  const map = { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x3000, flags: 3 };
  expect(run(map)).toMatchObject({ errno: 'ENOMEM', why: 'the IOMMU fails every map' });
  expect(run({ call: 'unmap-dma', container: 'c0', iova: 0, size: 0x3000 }).size).toBe('0x0');
});

test('a mapping that the IOMMU failed leaves no charge, and nothing to the next one in its place', () => {
  const region = { call: 'add-memory-region', process: 'p0', size: 0x3000 };
  const { run, locked } = machine(
    '6.1',
    [{ mapErrno: 'ENOMEM' }],
    [
      { ...region, start: 0, prot: 1 },
      { ...region, start: 0x10000, prot: 3 },
    ],
  );
  const map = { call: 'map-dma', container: 'c0', iova: 0, size: 0x3000 };
  expect(run({ ...map, vaddr: 0x10000, flags: 3 }).errno).toBe('ENOMEM');
  expect(locked()).toBe(0);
  // Pages of the zero page, which are not charged.
  expect(run({ ...map, vaddr: 0, flags: 1 }).errno).toBe('ENOMEM');
  expect(locked()).toBe(0);
  run({ call: 'unset-container', device: 'd0' });
  run({ ...map, vaddr: 0x10000, flags: 3 });
  run({ call: 'create-device', device: 'd1', kind: 'vfio-pci', iommu: 'intel-48' });
  run({ call: 'open-group', device: 'd1' });
  expect(run({ call: 'set-container', device: 'd1', container: 'c0' })).not.toHaveProperty('errno');
  expect(locked()).toBe(3);
  run({ call: 'unmap-dma', container: 'c0', iova: 0, size: 0x3000 });
  expect(locked()).toBe(0);
});

test('a device with an RMRR is not given to user space: EPERM, and its line', () => {
  const reserved = [{ start: '0x1000', end: '0x1fff', type: 'direct' as const }];
  const { joined } = machine('6.1', [{ reserved }]);
  expect(joined[0]).toMatchObject({
    errno: 'EPERM',
    log: [{ kind: 'PR_WARN', text: expect.stringContaining('vfio-pci d0: Device is ineligible') }],
  });
});

test('the DMAR line of the default IOMMU is on the console, and in no log', () => {
  const map = { call: 'map-dma', container: 'c0', iova: '0x8000000000', vaddr: 0, size: 0x1000, flags: 3 };
  const host = newHost();
  const run = (call: object) => answer(host, call);
  run({ call: 'open-container', container: 'c0' });
  run({ call: 'create-device', device: 'm', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } });
  run({ call: 'open-group', device: 'm' });
  run({ call: 'set-container', device: 'm', container: 'c0' });
  run({ call: 'set-iommu', container: 'c0', type: 3 });
  run(map);
  run({ call: 'create-device', device: 'd', kind: 'vfio-pci' });
  run({ call: 'open-group', device: 'd' });
  expect(run({ call: 'set-container', device: 'd', container: 'c0' })).toMatchObject({
    errno: 'EFAULT',
    log: [],
  });
  expect(host.dmesg()).toContain('DMAR: intel_iommu_map: iommu width (39) is not sufficient');
});

test.each(['5.10', '6.1', '6.12'])(
  'a mapping of 2^63 bytes that an IOMMU of 57 bits does not reach (%s): refused without looking at every page',
  (version) => {
    const size = '0x8000000000000000';
    const { joined } = machine(
      version,
      ['intel-57'],
      [{ call: 'map-dma', container: 'c0', iova: 2 ** 40, vaddr: 4096, size, flags: 3 }],
    );
    expect(joined[0]).toMatchObject({ errno: 'EFAULT', log: [{ text: expect.stringContaining('(57)') }] });
  },
  2000,
);

test('groups share a domain where their IOMMUs are alike in every property', () => {
  const one: Omit<IommuHardware, 'key' | 'preset' | 'logged'> = {
    vendor: 'intel',
    addressWidth: 48,
    pageSizes: null,
    reserved: [{ start: 0xfee00, end: 0xfef00, type: 'msi' }],
    interruptRemapping: true,
    enforcesCoherency: true,
    scalable: false,
    mapErrno: null,
  };
  const others: Partial<IommuHardware>[] = [
    { vendor: 'other' },
    { addressWidth: 39 },
    { pageSizes: 0x1000n },
    { pageSizes: 0x200000n },
    { reserved: [] },
    { reserved: [{ start: 0xfee00, end: 0xfef00, type: 'direct' }] },
    { reserved: [{ start: 0xfee00, end: 0xfee80, type: 'msi' }] },
    { reserved: [{ start: 0xfed00, end: 0xfef00, type: 'msi' }] },
    { interruptRemapping: false },
    { enforcesCoherency: false },
    { scalable: true },
    { mapErrno: 'ENOMEM' },
  ];
  const keys = [{}, ...others].map((other) => iommuKey({ ...one, ...other }));
  expect(new Set(keys).size).toBe(keys.length);
  expect(iommuKey({ ...one, reserved: [...one.reserved] })).toBe(keys[0]);
});
