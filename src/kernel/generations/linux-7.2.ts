import type { Generation } from './generation.ts';
import { absent, at, CONTAINER, TYPE1, VFIO_MAIN } from './sites.ts';

/** Linux 7.2.12 (Debian forky). */
export const LINUX_7_2: Generation = {
  version: '7.2',
  release: '7.2.12',
  containerOf: 'type1',
  core: {
    driverCallsNeed: 'open-device',
    openCheckPerCaller: true,
    closedPinWarns: true,
    pinNeedsDmaUnmap: true,
    unpinChecksCountFirst: false,
    claimsDmaOwner: true,
    unpinAnswers: false,
    pinsByPage: false,
    registersBeforeOpen: true,
  },
  type1: {
    channel: 'device-list',
    unmapWalk: 'ascending',
    bisectedAfterRound: 'success',
    unmapAllAndVaddr: true,
    closeNotifies: false,
    wrapsAtTop: false,
    overflow: 'EOVERFLOW',
    nesting: false,
    nestingRefused: 'EINVAL',
    misalignedPinsCountAtAttach: true,
    zeroPageReserved: false,
    beyondWidth: 'ERANGE',
    mapsPowersOfTwo: false,
    scalableIsCoherent: false,
    iommuPageSizes: 0x40201000n,
  },
  drivers: { 'vfio-ap': '6.12', 'vfio-ccw': '6.12', 'gvt-g': '6.12' },
  console: {
    warningLine: 'file-first',
    callbackFrames: ['vfio_notify_dma_unmap', 'vfio_dma_do_unmap'],
  },
  // W1 and W15 are not recorded here: W1's line is counted from the others, W15's is that of 6.1.192.
  splats: {
    B1: at('vfio_dma_do_unmap', TYPE1, 1522),
    W1: at('vfio_iommu_type1_pin_pages', TYPE1, 921),
    W2: at('vfio_iommu_type1_unpin_pages', TYPE1, 1029),
    W3: at('vfio_iommu_type1_unpin_pages', TYPE1, 1055),
    W6: at('vfio_remove_dma', TYPE1, 1235),
    W15: at('vfio_iommu_type1_dma_rw', TYPE1, 3228),
    C1: at('vfio_assert_device_open', VFIO_MAIN, 505),
    C2: at('vfio_device_container_unpin_pages', CONTAINER, 553),
    C3: at('vfio_unpin_pages', VFIO_MAIN, 1740),
    C9: at('vfio_pin_pages', VFIO_MAIN, 1701),
    C10: at('vfio_unpin_pages', VFIO_MAIN, 1742),
    C11: absent,
    L1: at('vfio_pin_pages_remote', TYPE1, null),
    L2: at('vfio_pin_page_external', TYPE1, null),
  },
};
