import type { Static } from '@sinclair/typebox';
import { oneOf } from './values.ts';

/** What a device is: an mdev, a device behind an IOMMU, or one without. */
export const DeviceKind = oneOf('mdev', 'vfio-pci', 'noiommu');
export type DeviceKind = Static<typeof DeviceKind>;

/**
 * What a device is bound to: vfio-pci; nothing; pci-stub, which does no DMA; or a host driver (`other`), which makes
 * its group not viable.
 */
export const Binding = oneOf('vfio-pci', 'none', 'pci-stub', 'other');
export type Binding = Static<typeof Binding>;

/** What is behind a region of memory: nothing but memory, a memfd, hugetlb, a file, or a BAR. */
export const RegionKind = oneOf('anonymous', 'shared', 'hugetlb', 'file', 'device');
export type RegionKind = Static<typeof RegionKind>;

/** Types of reserved regions of an IOMMU: identity mapped for firmware (RMRR), reserved, MSI, IOMMU_RESV_SW_MSI. */
export const REGION_TYPES = ['direct', 'reserved', 'msi', 'software-msi'] as const;
export type RegionType = (typeof REGION_TYPES)[number];

/** Devices that were removed and are still known to calls, at most: of more the one that was removed first is forgotten. */
export const GONE_MAX = 1024;

/** Pages that a process has pinned by its count, either way, as a snapshot has it: all of 2^64 bytes. */
export const PINNED_VM_MAX = 2 ** 52;

/** Pins that a log line names at most, and devices that hold one of them. */
export const NAMED_PINS = 16;
export const NAMED_HOLDERS = 64;
