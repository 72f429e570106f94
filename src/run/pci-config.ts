import type { PciSpec } from './spec.ts';

/** Size of a conventional device's configuration space, bytes. */
const SIZE = 256;
/** PCI command: memory, I/O, bus master is off. */
const COMMAND = 0x0103;
/** PCI status: there are capabilities. */
const STATUS_CAPABILITIES = 0x0010;
const MSI_CAPABILITY = 5;
/** Where the MSI capability lies. */
const MSI_AT = 0x40;
/** Where the firmware has put BAR 0 of the n-th device: that far from each other. */
export const BAR_BASE = 0x8000_0000;

/** The configuration space of a device as vfio-pci shows it. `bar0At` is the address of its BAR 0. */
export function pciConfig(pci: PciSpec, bar0At: number): Buffer {
  const config = Buffer.alloc(SIZE);
  config.writeUInt16LE(pci.vendor, 0x00);
  config.writeUInt16LE(pci.device, 0x02);
  config.writeUInt16LE(COMMAND, 0x04);
  config[0x08] = 0x10; // revision
  config[0x0b] = 0xff; // class: of none
  if (pci.bar0 > 0) config.writeUInt32LE(bar0At, 0x10);
  config.writeUInt16LE(0x1af4, 0x2c);
  config.writeUInt16LE(0x1100, 0x2e);
  config[0x3d] = 1; // INTA
  if (pci.msi > 0) {
    config.writeUInt16LE(STATUS_CAPABILITIES, 0x06);
    config[0x34] = MSI_AT;
    config[MSI_AT] = MSI_CAPABILITY;
    config.writeUInt16LE(0x80 | (Math.log2(pci.msi) << 1), MSI_AT + 2); // 64-bit address, vectors
  }
  return config;
}

/** The lines of a device's `resource` file: BARs, ROM and what a bridge would have. */
export function pciResources(pci: PciSpec, bar0At: number): string {
  const line = (start: number, end: number, flags: number) =>
    `${[start, end, flags].map((value) => `0x${value.toString(16).padStart(16, '0')}`).join(' ')}\n`;
  const first = pci.bar0 > 0 ? line(bar0At, bar0At + pci.bar0 - 1, 0x40200) : line(0, 0, 0);
  return first + line(0, 0, 0).repeat(12);
}
