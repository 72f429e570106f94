import type { Generation } from './generation.ts';
import { LINUX_5_10 } from './linux-5.10.ts';
import { at, TYPE1, VFIO } from './sites.ts';

/**
 * Linux 5.4, not recorded: read in the source of 5.4.286 (drivers/vfio/vfio.c, vfio_iommu_type1.c,
 * drivers/iommu/intel-iommu.c, iommu.c). As 5.10 but for what is here; later vfio-ap, vfio-ccw and GVT-g are not looked
 * into, so they are those of 5.10.
 */
export const LINUX_5_4: Generation = {
  ...LINUX_5_10,
  version: '5.4',
  release: '5.4.286',
  recorded: false,
  // vfio_dma_rw is not there.
  core: { ...LINUX_5_10.core, hasDmaRw: false },
  type1: {
    ...LINUX_5_10.type1,
    // vfio_iommu_type1_ioctl knows four ioctls, and unmap takes no flags.
    hasDirtyTracking: false,
    // intel_iommu_ops has no domain_set_attr (iommu_domain_set_attr).
    nestingRefused: 'EINVAL',
    // domain_update_iommu_snooping looks at ecap_sc_support alone.
    scalableIsCoherent: false,
  },
  console: {
    ...LINUX_5_10.console,
    callbackFrames: ['notifier_call_chain', '__blocking_notifier_call_chain', 'vfio_dma_do_unmap'],
  },
  splats: {
    ...LINUX_5_10.splats,
    B1: at('vfio_dma_do_unmap', TYPE1, 994),
    W6: at('vfio_remove_dma', TYPE1, 880),
    C11: at('vfio_iommu_group_notifier', VFIO, 755),
  },
};
