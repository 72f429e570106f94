import type { Generation } from './generation.ts';
import { absent, at, CONTAINER, TYPE1, VFIO_MAIN } from './sites.ts';

/** Linux 6.1.192 (Debian bookworm): the dma_unmap callback. */
export const LINUX_6_1: Generation = {
  version: '6.1',
  release: '6.1.192',
  containerOf: 'type1',
  core: {
    driverCallsNeed: 'open-device',
    openCheckPerCaller: false,
    closedPinWarns: false,
    pinNeedsDmaUnmap: false,
    unpinChecksCountFirst: true,
    unpinAnswers: false,
    pinsByPage: false,
    registersBeforeOpen: false,
  },
  type1: {
    channel: 'device-list',
    unmapWalk: 'ascending',
    bisectedAfterRound: 'success',
    unmapAllAndVaddr: true,
    closeNotifies: true,
    wrapsAtTop: true,
    overflow: 'EINVAL',
    nesting: true,
    nestingRefused: 'EINVAL',
    misalignedPinsCountAtAttach: false,
    zeroPageReserved: true,
    beyondWidth: 'EFAULT',
    iommuPageSizes: 0x40201000n,
  },
  drivers: '6.1',
  console: {
    warningLine: 'cpu-first',
    callbackFrames: ['vfio_notify_dma_unmap', 'vfio_dma_do_unmap'],
  },
  splats: {
    B1: at('vfio_dma_do_unmap', TYPE1, 1481),
    W1: at('vfio_iommu_type1_pin_pages', TYPE1, 883),
    W2: at('vfio_iommu_type1_unpin_pages', TYPE1, 1004),
    W3: at('vfio_iommu_type1_unpin_pages', TYPE1, 1023),
    W6: at('vfio_remove_dma', TYPE1, 1203),
    W15: at('vfio_iommu_type1_dma_rw', TYPE1, 3228),
    C1: at('vfio_assert_device_open', VFIO_MAIN, 747),
    C2: at('vfio_unpin_pages', CONTAINER, 595),
    C3: at('vfio_unpin_pages', CONTAINER, 598),
    C9: absent,
    C10: absent,
    L1: at('vfio_pin_pages_remote', TYPE1, null),
    L2: at('vfio_pin_page_external', TYPE1, null),
  },
};
