import type { Generation } from './generation.ts';
import { LINUX_7_2 } from './linux-7.2.ts';
import { at, CONTAINER, TYPE1, VFIO_MAIN } from './sites.ts';

/**
 * Linux 6.18, not recorded: read in the source of 6.18.2 (drivers/vfio/container.c, vfio_main.c, vfio_iommu_type1.c,
 * drivers/iommu/intel/iommu.c, drivers/s390/crypto/vfio_ap_ops.c, kernel/panic.c). As 7.2 but for what is here.
 */
export const LINUX_6_18: Generation = {
  ...LINUX_7_2,
  version: '6.18',
  release: '6.18.2',
  recorded: false,
  // intel_iommu_map has its own page tables still.
  type1: { ...LINUX_7_2.type1, beyondWidth: 'EFAULT' },
  // __warn.
  console: { ...LINUX_7_2.console, warningLine: 'cpu-first' },
  splats: {
    ...LINUX_7_2.splats,
    B1: at('vfio_dma_do_unmap', TYPE1, 1523),
    W1: at('vfio_iommu_type1_pin_pages', TYPE1, 922),
    W2: at('vfio_iommu_type1_unpin_pages', TYPE1, 1030),
    W3: at('vfio_iommu_type1_unpin_pages', TYPE1, 1056),
    W6: at('vfio_remove_dma', TYPE1, 1236),
    W15: at('vfio_iommu_type1_dma_rw', TYPE1, 3208),
    C1: at('vfio_assert_device_open', VFIO_MAIN, 488),
    C2: at('vfio_device_container_unpin_pages', CONTAINER, 553),
    C3: at('vfio_unpin_pages', VFIO_MAIN, 1653),
    C9: at('vfio_pin_pages', VFIO_MAIN, 1614),
    C10: at('vfio_unpin_pages', VFIO_MAIN, 1655),
  },
};
