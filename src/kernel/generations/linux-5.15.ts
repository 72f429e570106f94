import type { Generation } from './generation.ts';
import { LINUX_5_10 } from './linux-5.10.ts';
import { LINUX_6_1 } from './linux-6.1.ts';
import { at, TYPE1, VFIO } from './sites.ts';

/**
 * Linux 5.15, not recorded: read in the source of 5.15.85 (drivers/vfio/vfio.c, vfio_iommu_type1.c,
 * drivers/iommu/intel/iommu.c). The last long-term kernel of the notifier era: its drivers are taken for those of 5.10.
 */
export const LINUX_5_15: Generation = {
  ...LINUX_5_10,
  version: '5.15',
  release: '5.15.85',
  recorded: false,
  // vfio_group_get_device_fd calls open_device for the first file alone.
  core: { ...LINUX_5_10.core, opensEachFile: false },
  type1: {
    ...LINUX_5_10.type1,
    unmapWalk: 'ascending',
    bisectedAfterRound: 'success',
    unmapAllAndVaddr: true,
    // vfio_dma_do_unmap looks for no mdev, and vfio_find_dma_valid waits (vfio_wait).
    vaddrExcludesMdevs: false,
    closeNotifies: true,
    // intel_iommu_enable_nesting refuses a domain with devices only.
    nestingRefused: null,
    // intel_iommu_map_pages; pgsize_bitmap is 4 KiB and the hardware's super pages.
    mapsPowersOfTwo: false,
    iommuPageSizes: LINUX_6_1.type1.iommuPageSizes,
  },
  splats: {
    ...LINUX_5_10.splats,
    B1: at('vfio_dma_do_unmap', TYPE1, 1428),
    W6: at('vfio_remove_dma', TYPE1, 1178),
    C11: at('vfio_iommu_group_notifier', VFIO, 771),
  },
};
