import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { BAR_BASE, pciConfig, pciResources } from './pci-config.ts';
import type { PciSpec } from './spec.ts';

/** A device as the folder shows it. */
export interface ShownDevice {
  /** Its id in the service. */
  readonly id: string;
  /** Number of its group: /dev/vfio/N. */
  readonly group: number;
  /** Whether its group has no IOMMU: /dev/vfio/noiommu-N. */
  readonly noIommu: boolean;
  readonly pci: PciSpec | null;
  /** Driver of an mdev. */
  readonly driver: string | null;
}

/** What drivers that are no PCI device's are called on their bus. */
const DEVICE_API: Readonly<Record<string, string>> = { 'vfio-ccw': 'vfio-ccw', 'vfio-ap': 'vfio-ap' };

/** Makes the folder that stands in for /sys and /dev/vfio, as a program looks things up there. */
export function makeFolder(root: string, devices: readonly ShownDevice[]): void {
  const tree = new Tree(root);
  // Where the library notes who is which process of the service.
  tree.folder('processes');
  tree.file('dev/vfio/vfio', '');
  tree.file(
    'sys/module/vfio/parameters/enable_unsafe_noiommu_mode',
    devices.some((d) => d.noIommu) ? 'Y\n' : 'N\n',
  );
  tree.file('sys/module/vfio_pci/initstate', 'live\n');
  tree.file('sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts', 'N\n');
  tree.file('sys/module/vfio_iommu_type1/parameters/disable_hugepages', 'N\n');
  tree.file('sys/module/vfio_iommu_type1/parameters/dma_entry_limit', '65535\n');
  tree.folder('sys/bus/pci/devices');
  tree.folder('sys/bus/mdev/devices');
  tree.folder('sys/kernel/iommu_groups');
  for (const attribute of ['bind', 'unbind', 'new_id', 'remove_id']) {
    tree.file(`sys/bus/pci/drivers/vfio-pci/${attribute}`, '');
  }
  tree.link('sys/bus/pci/drivers/vfio-pci/module', 'sys/module/vfio_pci');
  for (const [at, device] of devices.entries()) {
    const home = device.pci ? pciDevice(tree, device.pci, at) : mdev(tree, device);
    group(tree, device, home);
  }
}

/** Returns the device's folder. */
function pciDevice(tree: Tree, pci: PciSpec, at: number): string {
  const home = `sys/devices/pci${pci.name.slice(0, 7)}/${pci.name}`;
  const hex = (value: number, digits = 4) => `0x${value.toString(16).padStart(digits, '0')}`;
  const bar0At = BAR_BASE + at * 2 ** 24;
  const config = pciConfig(pci, bar0At);
  const word = (offset: number) => config.readUInt16LE(offset);
  const id = (offset: number) =>
    `${word(offset).toString(16).padStart(4, '0')}:${word(offset + 2)
      .toString(16)
      .padStart(4, '0')}`.toUpperCase();
  const attributes: Record<string, string | Buffer> = {
    config,
    vendor: `${hex(word(0x00))}\n`,
    device: `${hex(word(0x02))}\n`,
    subsystem_vendor: `${hex(word(0x2c))}\n`,
    subsystem_device: `${hex(word(0x2e))}\n`,
    class: `${hex(config.readUInt32LE(0x08) >>> 8, 6)}\n`,
    revision: `${hex(config[0x08]!, 2)}\n`,
    resource: pciResources(pci, bar0At),
    irq: '0\n',
    numa_node: '-1\n',
    enable: '1\n',
    broken_parity_status: '0\n',
    msi_bus: '1\n',
    driver_override: 'vfio-pci\n',
    reset: '',
    uevent: `DRIVER=vfio-pci\nPCI_CLASS=${(config.readUInt32LE(0x08) >>> 8).toString(16).toUpperCase()}\nPCI_ID=${id(0x00)}\nPCI_SUBSYS_ID=${id(0x2c)}\nPCI_SLOT_NAME=${pci.name}\n`,
  };
  for (const [name, content] of Object.entries(attributes)) tree.file(`${home}/${name}`, content);
  tree.link(`${home}/driver`, 'sys/bus/pci/drivers/vfio-pci');
  tree.link(`${home}/subsystem`, 'sys/bus/pci');
  tree.link(`sys/bus/pci/devices/${pci.name}`, home);
  tree.link(`sys/bus/pci/drivers/vfio-pci/${pci.name}`, home);
  return home;
}

/** Returns the device's folder. */
function mdev(tree: Tree, { id, driver, group: number }: ShownDevice): string {
  const type = driver ?? 'mdev';
  const parent =
    type === 'vfio-ccw'
      ? `sys/devices/css0/0.0.${number.toString(16).padStart(4, '0')}`
      : `sys/devices/virtual/${type}/parent`;
  const home = `${parent}/${id}`;
  const kind = `${parent}/mdev_supported_types/${type}-1`;
  tree.file(`${kind}/name`, `${type}\n`);
  tree.file(`${kind}/device_api`, `${DEVICE_API[type] ?? 'vfio-pci'}\n`);
  tree.file(`${kind}/available_instances`, '0\n');
  tree.file(`${kind}/create`, '');
  tree.link(`${kind}/devices/${id}`, home);
  tree.link(`sys/class/mdev_bus/${type}${type === 'vfio-ccw' ? `-${number}` : ''}`, parent);
  tree.file(`${home}/remove`, '');
  tree.link(`${home}/mdev_type`, kind);
  tree.link(`${home}/subsystem`, 'sys/bus/mdev');
  tree.link(`sys/bus/mdev/devices/${id}`, home);
  return home;
}

function group(tree: Tree, { pci, id, group: number, noIommu }: ShownDevice, home: string): void {
  const folder = `sys/kernel/iommu_groups/${number}`;
  tree.file(`dev/vfio/${noIommu ? 'noiommu-' : ''}${number}`, '');
  tree.file(`${folder}/type`, 'DMA-FQ\n');
  tree.file(`${folder}/reserved_regions`, '0x00000000fee00000 0x00000000feefffff msi\n');
  if (noIommu) tree.file(`${folder}/name`, 'vfio-noiommu\n');
  tree.link(`${folder}/devices/${pci?.name ?? id}`, home);
  tree.link(`${home}/iommu_group`, folder);
}

/** Files and relative links below a folder. */
class Tree {
  constructor(private readonly root: string) {}

  folder(path: string): void {
    mkdirSync(join(this.root, path), { recursive: true });
  }

  file(path: string, content: string | Buffer): void {
    this.folder(dirname(path));
    writeFileSync(join(this.root, path), content);
  }

  /** A link to another path of the folder; one that is there already stays. */
  link(path: string, to: string): void {
    this.folder(dirname(path));
    try {
      symlinkSync(relative(dirname(path), to), join(this.root, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
