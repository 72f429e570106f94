import { NOIOMMU_TYPE } from '../../../schemas/uapi.ts';
import type { Kernel } from '../kernel.ts';
import type { IommuDriver } from '../vfio/iommu-ops.ts';
import { NoIommu } from './noiommu.ts';

/** vfio-noiommu (vfio_noiommu_ops): there while the parameter enable_unsafe_noiommu_mode is on. */
export const NOIOMMU_DRIVER: IommuDriver = {
  checkExtension: ({ kernel }, extension) => noIommuExtension(kernel, extension),
  open: (_kernel, _container, type) => new NoIommu(type),
  *restore() {
    return new NoIommu(NOIOMMU_TYPE);
  },
};

/** vfio_noiommu_ioctl of VFIO_CHECK_EXTENSION: 1 or 0. */
export function noIommuExtension({ enableUnsafeNoiommuMode }: Kernel, extension: number): number {
  return enableUnsafeNoiommuMode && extension === NOIOMMU_TYPE ? 1 : 0;
}
