import type { IommuPreset } from '../../../schemas/iommu.ts';
import { pageOf, TOP } from '../pages.ts';
import { type IommuHardware, iommuKey, type ReservedRegion } from './hardware.ts';

/** A region by its first and last byte. */
function region(type: ReservedRegion['type'], first: bigint, last: bigint): ReservedRegion {
  return { type, start: pageOf(first), end: last === TOP - 1n ? pageOf(TOP) : pageOf(last + 1n) };
}

/** The window of the local APICs on every x86. */
const X86_MSI: ReservedRegion = region('msi', 0xfee00000n, 0xfeefffffn);

const INTEL: Omit<IommuHardware, 'key' | 'preset' | 'addressWidth'> = {
  vendor: 'intel',
  pageSizes: null,
  reserved: [X86_MSI],
  interruptRemapping: true,
  enforcesCoherency: false,
  scalable: false,
  mapErrno: null,
  logged: true,
};
const OTHER: Omit<IommuHardware, 'key' | 'preset' | 'addressWidth' | 'pageSizes' | 'reserved'> = {
  vendor: 'other',
  interruptRemapping: true,
  enforcesCoherency: false,
  scalable: false,
  mapErrno: null,
  logged: true,
};

function named(preset: IommuPreset, hardware: Omit<IommuHardware, 'key' | 'preset'>): IommuHardware {
  return { ...hardware, preset, key: iommuKey(hardware) };
}

/**
 * IOMMUs by name. `intel-39` and `intel-48` are held against recordings; the others are from public facts: Linux'
 * drivers (intel/iommu.c, amd/iommu.c and amd_iommu_types.h, arm-smmu-v3.c, virtio-iommu.c) and QEMU's defaults.
 */
export const IOMMU_PRESETS = {
  'intel-39': named('intel-39', { ...INTEL, addressWidth: 39 }),
  'intel-48': named('intel-48', { ...INTEL, addressWidth: 48 }),
  'intel-57': named('intel-57', { ...INTEL, addressWidth: 57 }),
  // HyperTransport's addresses below 1 TiB are no memory to any device.
  amd: named('amd', {
    ...OTHER,
    addressWidth: 48,
    pageSizes: 0xffffff7ffffff000n,
    reserved: [X86_MSI, region('reserved', 0xfd00000000n, 0xffffffffffn)],
    enforcesCoherency: true,
  }),
  // MSI_IOVA_BASE and MSI_IOVA_LENGTH: where the driver itself maps the doorbell.
  'arm-smmu': named('arm-smmu', {
    ...OTHER,
    addressWidth: 48,
    pageSizes: 0x40201000n,
    reserved: [region('software-msi', 0x8000000n, 0x80fffffn)],
  }),
  virtio: named('virtio', {
    ...OTHER,
    addressWidth: 64,
    pageSizes: 0xfffffffffffff000n,
    reserved: [X86_MSI],
  }),
};

/** Whether an IOMMU like this one was recorded on a real kernel. */
export function isRecorded({ key }: IommuHardware): boolean {
  return key === IOMMU_PRESETS['intel-39'].key || key === IOMMU_PRESETS['intel-48'].key;
}

/** The IOMMU of a device that names none: the machine of the recordings. */
export const DEFAULT_IOMMU: IommuHardware = { ...IOMMU_PRESETS['intel-39'], logged: false };
