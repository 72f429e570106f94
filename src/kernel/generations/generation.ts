import type { Engine } from '../engines.ts';
import type { SplatSites } from '../splats.ts';

/**
 * Everything in which one kernel generation differs from another, in groups. Each generation's file states all of
 * its values, so that two kernels can be held against each other line by line, and one between two is a copy.
 */
export interface Generation {
  /** As in `kernel` of a recording. */
  readonly version: string;
  /** The version of the same source whose containers type1 provides; null where this is it. */
  readonly classic: string | null;
  /** The release that was recorded, or whose source was read. */
  readonly release: string;
  /** Whether its answers were recorded; otherwise it is made of differences that its source shows. */
  readonly recorded: boolean;
  /** Who serves /dev/vfio/vfio: the classic container with type1 behind it, or iommufd. */
  readonly containerOf: Engine;
  readonly core: CoreTraits;
  readonly type1: Type1Traits;
  /** The kernel whose driver each driver model is. */
  readonly drivers: DriverKernels;
  readonly console: ConsoleTraits;
  /** Where each splat of VFIO is; null: this kernel does not have it. */
  readonly splats: SplatSites;
}

/** For each model of a driver of the kernel's tree, the version it is of. */
export interface DriverKernels {
  readonly 'vfio-ap': string;
  readonly 'vfio-ccw': string;
  /** vfio_ccw_cp.c of it: how it reads channel programs and pins their pages. */
  readonly 'vfio-ccw-program': string;
  readonly 'gvt-g': string;
}

/** VFIO's core: what a driver's calls are checked for, and when a device is registered. */
export interface CoreTraits {
  /** What pin, unpin and dma_rw ask of the caller: an open device, or a group in a container with an IOMMU. */
  readonly driverCallsNeed: 'group' | 'open-device';
  /** The open check is inlined: pin, unpin and dma_rw have a once-only flag each, not one together. */
  readonly openCheckPerCaller: boolean;
  /** A pin on a closed device warns each time, besides the once-only warning of the open check. */
  readonly closedPinWarns: boolean;
  /** A driver without dma_unmap may not pin (EINVAL) or unpin (a warning). */
  readonly pinNeedsDmaUnmap: boolean;
  /** vfio_unpin_pages looks at the count before it looks whether the device is open. */
  readonly unpinChecksCountFirst: boolean;
  /**
   * A group's DMA is claimed when it joins a container (5.19): a host driver among its devices is refused there, and
   * refused itself afterwards. Before, opening a device looks, and a host driver that binds later is a BUG.
   */
  readonly claimsDmaOwner: boolean;
  /** vfio_unpin_pages answers a count or an errno; otherwise nothing. */
  readonly unpinAnswers: boolean;
  /** Pages of one pin or unpin at most, a limit of the classic container; null: none. */
  readonly pinPagesMax: number | null;
  /** Pins are made by page frame number: an offset in the page cannot be expressed. */
  readonly pinsByPage: boolean;
  /** vfio_dma_rw exists (5.7). */
  readonly hasDmaRw: boolean;
  /** mdev calls a driver's open and release for each file of a device (up to 5.14), not for the first and the last. */
  readonly opensEachFile: boolean;
  /**
   * A group's file outlives its devices: the removal of the last one waits until the group has left its container, and
   * the file stays usable. Otherwise the removal takes the group out, and the file is dead (removal-not-open).
   */
  readonly groupOutlivesDevices: boolean;
  /** A device whose removal waits can still be opened, which then has to be closed too. */
  readonly removedCanOpen: boolean;
  /** An mdev's driver has a request operation. */
  readonly mdevsAreAsked: boolean;
  /** The line of an mdev's removal. */
  readonly detachesIommuOfMdev: boolean;
  /** What the bind of a device without an IOMMU answers while that is not allowed, and the line it prints. */
  readonly noIommuProbe: 'ENODEV' | 'EINVAL';
  readonly noIommuProbeLine: 'PR_WARN' | 'PR_ERR';
  /** A device is registered with its IOMMU driver before its open_device runs, not after. */
  readonly registersBeforeOpen: boolean;
}

/** The IOMMU driver type1. */
export interface Type1Traits {
  /**
   * How it tells drivers of an unmap: `device-list`, newest first, under a mutex that is taken inside iommu->lock;
   * or `notifier-chain`, oldest first, a read-write semaphore of its own, whose members may end the chain.
   */
  readonly channel: 'device-list' | 'notifier-chain';
  /** How unmap finds the next mapping: upwards from the lowest, or again from the root of the tree. */
  readonly unmapWalk: 'ascending' | 'from-root';
  /** What an unmap answers that finds its range bisected after a round. */
  readonly bisectedAfterRound: 'success' | 'EINVAL';
  /** VFIO_UNMAP_ALL, VFIO_UPDATE_VADDR and their flags exist. */
  readonly unmapAllAndVaddr: boolean;
  /** VFIO_IOMMU_DIRTY_PAGES, its flag of unmap and its capability exist (5.8). */
  readonly hasDirtyTracking: boolean;
  /**
   * A vaddr cannot be invalidated while an mdev is in the container (6.2, and releases of 6.1). Before, whatever needs
   * it waits until it is valid again.
   */
  readonly vaddrExcludesMdevs: boolean;
  /** Closing the container's file takes iommu->lock. */
  readonly closeNotifies: boolean;
  /** An end at 2^64 wraps to 0 in comparisons: mappings that end there are lost. */
  readonly wrapsAtTop: boolean;
  /** Answer to a range beyond 2^64. */
  readonly overflow: 'EINVAL' | 'EOVERFLOW';
  /** VFIO_TYPE1_NESTING_IOMMU can be set. */
  readonly nesting: boolean;
  /** What attaching a group answers where nesting was asked for and the IOMMU has none; null: nothing is refused. */
  readonly nestingRefused: 'EINVAL' | 'ENODEV' | null;
  /** At attach a pin at an offset in its page counts as that page's (spec-misaligned-replay). */
  readonly misalignedPinsCountAtAttach: boolean;
  /**
   * The shared zero page is pinned as it is and, a reserved page, neither charged nor limited (mem-00024); later
   * kernels give a long-term pin a page of its own (FOLL_LONGTERM unshares it), and charge it.
   */
  readonly zeroPageReserved: boolean;
  /** What the IOMMU driver answers to a page its tables cannot reach (late-pci-top). */
  readonly beyondWidth: 'EFAULT' | 'ERANGE';
  /** iommu_map cuts a mapping into powers of two of any size, not into the hardware's page sizes. */
  readonly mapsPowersOfTwo: boolean;
  /** A page of a device's memory can be pinned by a driver; otherwise EINVAL: it has no struct page (mem-device-mdev). */
  readonly pinsDeviceMemory: boolean;
  /** A mapping is unmapped only by a process that has its maker's memory; another's unmap stops there, with success. */
  readonly unmapsOwnOnly: boolean;
  /** An IOMMU in scalable mode counts as coherent (width-sm-info). */
  readonly scalableIsCoherent: boolean;
  /** Page sizes of an IOMMU-backed domain, as a bitmap. */
  readonly iommuPageSizes: bigint;
}

/** How the kernel's console writes. */
export interface ConsoleTraits {
  /** How a console shows a warning: up to 6.12 `CPU: n PID: m at FILE:LINE`, then `FILE:LINE at FUNCTION`. */
  readonly warningLine: 'cpu-first' | 'file-first';
  /** The functions between a driver's dma_unmap and the ioctl that unmaps, innermost first. */
  readonly callbackFrames: readonly string[];
}
