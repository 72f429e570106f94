import type { Generation } from './generation.ts';
import { LINUX_6_12 } from './linux-6.12.ts';
import { at, CONTAINER, TYPE1, VFIO_MAIN } from './sites.ts';

/**
 * Linux 6.6, not recorded: read in the source of 6.6.17 (drivers/vfio/container.c, group.c, vfio_main.c,
 * vfio_iommu_type1.c). For whoever calls VFIO it is 6.12; the lines are its own.
 */
export const LINUX_6_6: Generation = {
  ...LINUX_6_12,
  version: '6.6',
  release: '6.6.17',
  recorded: false,
  splats: {
    ...LINUX_6_12.splats,
    B1: at('vfio_dma_do_unmap', TYPE1, 1399),
    W1: at('vfio_iommu_type1_pin_pages', TYPE1, 818),
    W2: at('vfio_iommu_type1_unpin_pages', TYPE1, 924),
    W3: at('vfio_iommu_type1_unpin_pages', TYPE1, 943),
    W6: at('vfio_remove_dma', TYPE1, 1123),
    W15: at('vfio_iommu_type1_dma_rw', TYPE1, 3123),
    C1: at('vfio_assert_device_open', VFIO_MAIN, 441),
    C2: at('vfio_device_container_unpin_pages', CONTAINER, 553),
    C3: at('vfio_unpin_pages', VFIO_MAIN, 1576),
    C9: at('vfio_pin_pages', VFIO_MAIN, 1537),
    C10: at('vfio_unpin_pages', VFIO_MAIN, 1578),
  },
};
