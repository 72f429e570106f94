import type { KernelDifference } from './difference.ts';

/** What differs between the kernels whose containers type1 provides. */
export const TYPE1_DIFFERENCES: readonly KernelDifference[] = [
  {
    id: 'invalidation-channel',
    title: 'Notifier chain or dma_unmap callback',
    text:
      'Up to 5.19 drivers are notified of an unmap through a notifier chain, first opened first, and NOTIFY_BAD ends it; ' +
      'from 6.0 on type1 calls dma_unmap of every open device, last opened first, and nobody can end the round. ' +
      'The list of devices has a lock inside the container’s, so that opening, closing or unmapping during a callback can deadlock.',
    traits: ['type1.channel'],
    scenarios: ['hand-cb-order', 'hand-cb-order-reopen', 'spec-39-lifo'],
  },
  {
    id: 'unmap-walk',
    title: 'Which mapping an unmap takes first',
    text:
      '5.10 searches the tree again from its root for any overlapping mapping, so the order follows the shape of the ' +
      'red-black tree; from 5.12 on an unmap goes upwards from the lowest mapping.',
    traits: ['type1.unmapWalk'],
    scenarios: ['deep-00170', 'deep-00179', 'rand-00094'],
  },
  {
    id: 'bisected-after-round',
    title: 'A range that turns out bisected after a callback round',
    text:
      'When a map made during a callback bisects the range, 5.10 answers EINVAL; later kernels answer success with ' +
      'the size removed so far, because the result was set to 0 before the first callback.',
    traits: ['type1.bisectedAfterRound'],
    scenarios: [],
  },
  {
    id: 'unpin-answer',
    title: 'unpin has an answer, or warns',
    text:
      'On 5.10 vfio_unpin_pages returns the number of pages walked or an errno and never warns; from 6.0 on it ' +
      'returns nothing and warns about a bad count, a missing mapping or a v1 container.',
    traits: ['core.unpinAnswers'],
    scenarios: ['hand-unpin-nothing', 'hand-v1-basic', 'spec-29-unpin-hole'],
  },
  {
    id: 'open-device-required',
    title: 'A closed device may go on',
    text:
      'On 5.10 pin, unpin and dma_rw work as long as the group is in a container with an IOMMU; from 6.1 on the ' +
      'device itself must be open (EINVAL and a warning).',
    traits: ['core.driverCallsNeed'],
    scenarios: ['hand-closed-device', 'hand-never-open', 'hand-rw-closed'],
  },
  {
    id: 'open-check-flags',
    title: 'The once-only flag of the open check',
    text:
      'Up to 6.1 pin, unpin and dma_rw share one once-only warning about a closed device; later each of them ' +
      'reports once.',
    traits: ['core.openCheckPerCaller'],
    scenarios: ['hand-closed-device'],
  },
  {
    id: 'closed-pin-warns',
    title: 'A pin on a closed device warns twice',
    text: 'From 6.2 on vfio_pin_pages on a closed device warns each time, besides the once-only warning.',
    traits: ['core.closedPinWarns'],
    scenarios: ['hand-closed-device', 'hand-never-open'],
  },
  {
    id: 'pin-needs-dma-unmap',
    title: 'A driver without dma_unmap cannot pin',
    text:
      'Up to 6.1 a driver that does not listen may pin while another device of the container listens, and then ends ' +
      'an unmap in the BUG; from 6.2 on its pin is EINVAL and its unpin warns.',
    traits: ['core.pinNeedsDmaUnmap'],
    scenarios: ['hand-nocb-with-cb', 'hand-nocb-with-cb-bug', 'hand-nocb-last-cb-closed'],
  },
  {
    id: 'unpin-check-order',
    title: 'Order of the checks of unpin',
    text: '6.1 looks at the count before it looks whether the device is open; later kernels do it the other way round.',
    traits: ['core.unpinChecksCountFirst'],
    scenarios: [],
  },
  {
    id: 'pins-by-page',
    title: 'Pins by page frame or by exact address',
    text:
      'On 5.10 a driver names page frames, so an offset in the page cannot be expressed and is dropped; from 6.0 on ' +
      'the exact IOVA is the key, and two offsets in one page are two pins.',
    traits: ['core.pinsByPage'],
    scenarios: ['hand-pin-misaligned'],
  },
  {
    id: 'unmap-all-and-vaddr',
    title: 'Unmap-all and vaddr updates',
    text: 'VFIO_UNMAP_ALL and VFIO_UPDATE_VADDR came with 5.12: on 5.10 their flags are EINVAL and their extensions 0.',
    traits: ['type1.unmapAllAndVaddr'],
    scenarios: ['hand-unmap-all', 'hand-pci-vaddr', 'spec-group-9-10'],
  },
  {
    id: 'iommu-page-sizes',
    title: 'Page sizes of an IOMMU-backed container',
    text:
      '5.10 reports every multiple of 4 KiB; later kernels what the hardware has (4 KiB, 2 MiB, 1 GiB). A change of ' +
      'the Intel IOMMU driver.',
    traits: ['type1.iommuPageSizes'],
    scenarios: ['hand-pci-basic'],
  },
  {
    id: 'close-notification',
    title: 'Closing a container takes its lock',
    text:
      'From 5.12 to 6.2 closing the container’s file takes iommu->lock, so on a wedged container it hangs; before ' +
      'and after it does not.',
    traits: ['type1.closeNotifies'],
    scenarios: [],
  },
  {
    id: 'register-before-open',
    title: 'Registered before or after open_device',
    text:
      'From 6.2 on a device is registered with type1 before its open_device runs, so that it may pin there; up to ' +
      '6.1 only afterwards.',
    traits: ['core.registersBeforeOpen'],
    scenarios: [],
  },
  {
    id: 'top-of-address-space',
    title: 'Mappings that end at 2^64',
    text:
      'Up to 6.17 a mapping that ends at 2^64 is accepted but cannot be found again, and at the root of the tree it ' +
      'hides others; from 6.18 on it is a mapping like any other.',
    traits: ['type1.wrapsAtTop'],
    scenarios: ['spec-19-top-twice', 'spec-21-top-root', 'hand-map-top'],
  },
  {
    id: 'overflow-errno',
    title: 'Ranges beyond 2^64',
    text: 'A range that ends beyond 2^64 is EINVAL up to 6.17, and EOVERFLOW from 6.18 on.',
    traits: ['type1.overflow'],
    scenarios: ['hand-map-wrap', 'hand-unmap-bad'],
  },
  {
    id: 'nesting',
    title: 'Nesting (type 6) is gone',
    text: 'VFIO_TYPE1_NESTING_IOMMU was removed in 6.13: CHECK_EXTENSION answers 0 and SET_IOMMU ENODEV.',
    traits: ['type1.nesting'],
    scenarios: ['hand-nesting', 'hand-iommu-types'],
  },
  {
    id: 'nesting-errno',
    title: 'Nesting behind an IOMMU that cannot nest',
    text:
      'A device behind an IOMMU without nested translation does not join a nesting container: the Intel IOMMU driver ' +
      'of 5.10 answers ENODEV, later ones EINVAL; that of 5.15 takes the domain as it is, and 5.4 knows no nesting (EINVAL).',
    traits: ['type1.nestingRefused'],
    scenarios: ['multi-00018', 'multi-00155'],
  },
  {
    id: 'misaligned-at-attach',
    title: 'A misaligned pin when an IOMMU domain is attached',
    text:
      'When a domain is attached, 6.1 and 6.12 do not see that a pin at an offset already holds its page and charge ' +
      'it again; 7.2 counts it once.',
    traits: ['type1.misalignedPinsCountAtAttach'],
    scenarios: ['spec-misaligned-replay'],
  },
  {
    id: 'zero-page',
    title: 'Memory that was never written',
    text:
      'What nobody ever wrote is the shared zero page. Up to 6.1 it is pinned as it is, a reserved page that is neither ' +
      'charged nor limited; later kernels give a long-term pin a page of its own and charge it. (An aligned 2 MiB of it ' +
      'is one huge zero page, which all of them charge.)',
    traits: ['type1.zeroPageReserved'],
    scenarios: ['mem-00024', 'mem-00036'],
  },
  {
    id: 'beyond-width',
    title: 'A mapping that the tables of a joining IOMMU cannot reach',
    text:
      'A group that joins a container with a mapping beyond the width of its IOMMU is refused with EFAULT by the IOMMU ' +
      'driver up to 6.12; on 7.2 the page tables answer ERANGE.',
    traits: ['type1.beyondWidth'],
    scenarios: ['late-pci-beyond-39'],
  },
  {
    id: 'dma-owner',
    title: 'A host driver in a shared group',
    text:
      'From 5.19 on a group that joins a container claims its DMA: with a host driver among its devices set-container ' +
      'is EPERM, and a host driver that binds later is EBUSY. Before, only opening a device looks (EINVAL), and a host ' +
      'driver that binds to a group in use is a BUG of the task that binds.',
    traits: ['core.claimsDmaOwner'],
    scenarios: ['group-mf-two-other', 'group-mf-rebind-other-in-container'],
  },
  {
    id: 'map-pieces',
    title: 'The pieces in which a mapping is entered',
    text:
      '5.10 hands its IOMMU driver powers of two of pages, later kernels as many as lie together in memory: the line ' +
      'about the width names another address.',
    traits: ['type1.mapsPowersOfTwo'],
    scenarios: ['width-late-straddle-57'],
  },
  {
    id: 'scalable-coherency',
    title: 'Coherency of an IOMMU in scalable mode',
    text: 'On 5.10 an IOMMU in scalable mode counts as coherent: CHECK_EXTENSION of VFIO_DMA_CC_IOMMU is 1, later 0.',
    traits: ['type1.scalableIsCoherent'],
    scenarios: ['width-sm-info'],
  },
  {
    id: 'dirty-tracking',
    title: 'Dirty pages',
    text:
      'VFIO_IOMMU_DIRTY_PAGES came with 5.8: on 5.4 it is ENOTTY, unmap knows no flag for it, and GET_INFO has no ' +
      'migration capability.',
    traits: ['type1.hasDirtyTracking'],
    scenarios: [],
  },
  {
    id: 'dma-rw',
    title: 'Drivers that read and write by IOVA',
    text: 'vfio_dma_rw came with 5.7. A driver that calls it on 5.4 cannot be built; here it is told EOPNOTSUPP.',
    traits: ['core.hasDmaRw'],
    scenarios: [],
  },
  {
    id: 'open-each-file',
    title: 'A driver is called for each file, or for the first and the last',
    text:
      'Up to 5.14 mdev calls a driver’s open and release for each file of its device, and one that registers its ' +
      'notifiers there does so twice; from 5.15 on VFIO calls open_device for the first and close_device for the last.',
    traits: ['core.opensEachFile'],
    scenarios: [],
  },
  {
    id: 'vaddr-and-mdevs',
    title: 'Invalidating a vaddr beside an mdev',
    text:
      'Up to 6.0 a vaddr can be invalidated while an mdev is in the container, and a pin, a dma_rw or a group that ' +
      'needs it waits until it is valid again; releases of 6.1 and everything later refuse the unmap with EBUSY.',
    traits: ['type1.vaddrExcludesMdevs'],
    scenarios: [],
  },
  {
    id: 'splat-sites',
    title: 'Where a splat is reported',
    text: 'The same condition is reported under another function or file.',
    traits: ['splats'],
    scenarios: ['hand-pin-huge-count'],
  },
  {
    id: 'warning-line',
    title: 'The first line of a warning',
    text: 'Up to 6.12 `WARNING: CPU: n PID: m at FILE:LINE FUNCTION`; 7.2 has `WARNING: FILE:LINE at FUNCTION`.',
    traits: ['console.warningLine'],
    scenarios: [],
  },
];
