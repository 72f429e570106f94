import { ANY_PAGE_SIZE } from '../type1/page-sizes.ts';
import type { Generation } from './generation.ts';
import { absent, at, TYPE1, VFIO } from './sites.ts';

/** Linux 5.10.262 (Debian bullseye): the notifier era. */
export const LINUX_5_10: Generation = {
  version: '5.10',
  release: '5.10.262',
  containerOf: 'type1',
  core: {
    driverCallsNeed: 'group',
    openCheckPerCaller: false,
    closedPinWarns: false,
    pinNeedsDmaUnmap: false,
    unpinChecksCountFirst: true,
    claimsDmaOwner: false,
    unpinAnswers: true,
    pinsByPage: true,
    registersBeforeOpen: false,
  },
  type1: {
    channel: 'notifier-chain',
    unmapWalk: 'from-root',
    bisectedAfterRound: 'EINVAL',
    unmapAllAndVaddr: false,
    closeNotifies: false,
    wrapsAtTop: true,
    overflow: 'EINVAL',
    nesting: true,
    nestingRefused: 'ENODEV',
    misalignedPinsCountAtAttach: false,
    zeroPageReserved: true,
    beyondWidth: 'EFAULT',
    mapsPowersOfTwo: true,
    scalableIsCoherent: true,
    iommuPageSizes: ANY_PAGE_SIZE,
  },
  drivers: { 'vfio-ap': '5.10', 'vfio-ccw': '5.10', 'gvt-g': '5.10' },
  console: {
    warningLine: 'cpu-first',
    callbackFrames: ['notifier_call_chain', 'blocking_notifier_call_chain', 'vfio_dma_do_unmap'],
  },
  splats: {
    B1: at('vfio_dma_do_unmap', TYPE1, 1253),
    W1: absent,
    W2: absent,
    W3: absent,
    W6: at('vfio_remove_dma', TYPE1, 1031),
    W15: absent,
    C1: absent,
    C2: absent,
    C3: absent,
    C9: absent,
    C10: absent,
    C11: at('vfio_iommu_group_notifier', VFIO, 698),
    L1: at('vfio_pin_pages_remote', TYPE1, null),
    L2: at('vfio_pin_page_external', TYPE1, null),
  },
};
