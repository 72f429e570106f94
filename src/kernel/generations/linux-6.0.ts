import type { Generation } from './generation.ts';
import { LINUX_6_1 } from './linux-6.1.ts';
import { absent, at, TYPE1, VFIO_MAIN } from './sites.ts';

/**
 * Linux 6.0, the thread's own, not recorded: read in the source of 6.0.1 (drivers/vfio/vfio_main.c, vfio_iommu_type1.c,
 * drivers/s390/cio/vfio_ccw_fsm.c). As 6.1 but for what is here.
 */
export const LINUX_6_0: Generation = {
  ...LINUX_6_1,
  version: '6.0',
  release: '6.0.1',
  recorded: false,
  // As on 5.15: vfio_find_dma_valid and vfio_wait_all_valid wait, and EBUSY and the WARNs are of later kernels.
  type1: {
    ...LINUX_6_1.type1,
    vaddrExcludesMdevs: false,
    // "Task with same address space who mapped this iova range": the check that 6.1 has no more.
    unmapsOwnOnly: true,
  },
  // fsm_notoper gives the pages back at once.
  drivers: { ...LINUX_6_1.drivers, 'vfio-ccw': '6.0' },
  splats: {
    ...LINUX_6_1.splats,
    B1: at('vfio_dma_do_unmap', TYPE1, 1445),
    W1: absent,
    W2: at('vfio_iommu_type1_unpin_pages', TYPE1, 975),
    W3: at('vfio_iommu_type1_unpin_pages', TYPE1, 994),
    W6: at('vfio_remove_dma', TYPE1, 1174),
    W15: absent,
    C1: at('vfio_assert_device_open', VFIO_MAIN, 1058),
    C2: at('vfio_unpin_pages', VFIO_MAIN, 1993),
    C3: at('vfio_unpin_pages', VFIO_MAIN, 1996),
  },
};
