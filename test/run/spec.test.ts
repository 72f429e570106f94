import { expect, test } from 'vitest';
import { UsageError } from '../../src/arguments.ts';
import { parseDevices } from '../../src/run/spec.ts';

const EDU = { vendor: 0x1234, device: 0x11e8, bar0: 0x10_0000, msi: 1 };

test.each([
  ['vfio-pci', { device: '0000-01-00.0', kind: 'vfio-pci' }, { name: '0000:01:00.0', ...EDU }],
  ['vfio-pci:0000:06:0d.1', { device: '0000-06-0d.1', kind: 'vfio-pci' }, { name: '0000:06:0d.1', ...EDU }],
  ['vfio-pci:06:0D.0', { device: '0000-06-0d.0', kind: 'vfio-pci' }, { name: '0000:06:0d.0', ...EDU }],
  [
    'vfio-pci,iommu=intel-48,group=g7',
    { device: '0000-01-00.0', kind: 'vfio-pci', iommu: 'intel-48', group: 'g7' },
    { name: '0000:01:00.0', ...EDU },
  ],
  [
    'vfio-pci,id=8086:10D3,bar0=0x20000,msi=4',
    { device: '0000-01-00.0', kind: 'vfio-pci' },
    { name: '0000:01:00.0', vendor: 0x8086, device: 0x10d3, bar0: 0x2_0000, msi: 4 },
  ],
  [
    'mdev:synthetic,onDmaUnmap=ignore,ignoreFirst=3,unpinOnClose=true,device=m0',
    { device: 'm0', driver: { type: 'synthetic', onDmaUnmap: 'ignore', ignoreFirst: 3, unpinOnClose: true } },
    null,
  ],
  [
    'mdev:webhook,url=http://127.0.0.1:9000/x',
    { driver: { type: 'webhook', url: 'http://127.0.0.1:9000/x' } },
    null,
  ],
  ['{"kind": "mdev", "driver": {"type": "mtty"}}', { kind: 'mdev', driver: { type: 'mtty' } }, null],
  [
    '{"kind": "vfio-pci", "device": "0000-09-00.0"}',
    { kind: 'vfio-pci', device: '0000-09-00.0' },
    { name: '0000:09:00.0', ...EDU },
  ],
])('%s', (spec, create, pci) => {
  expect(parseDevices([spec], false)).toEqual([{ create, pci }]);
});

test('without an IOMMU, PCI devices are of that kind; each has a bus of its own', () => {
  const devices = parseDevices(['vfio-pci', 'vfio-pci'], true);
  expect(devices.map(({ create, pci }) => [create.kind, pci?.name])).toEqual([
    ['noiommu', '0000:01:00.0'],
    ['noiommu', '0000:02:00.0'],
  ]);
});

test.each([
  ['pci', 'it must be vfio-pci[:BDF]'],
  ['mdev', 'it must be vfio-pci[:BDF]'],
  ['vfio-pci:xyz', '"xyz" is not [DOMAIN:]BUS:SLOT.FUNCTION'],
  ['vfio-pci,iommu', '"iommu" is not key=value'],
  ['vfio-pci,bar0=12', 'bar0 is "12", but must be 0 or a power of two'],
  ['vfio-pci,msi=3', 'msi is "3", but must be 0 or a power of two'],
  ['vfio-pci,id=8086', 'id is "8086", but must be VENDOR:DEVICE'],
  ['{"kind"', 'JSON'],
])('%s is refused', (spec, words) => {
  expect(() => parseDevices([spec], false)).toThrow(UsageError);
  expect(() => parseDevices([spec], false)).toThrow(words);
});
