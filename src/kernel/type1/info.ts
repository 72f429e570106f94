import { VFIO_DMA_CC_IOMMU, VFIO_UNMAP_ALL, VFIO_UPDATE_VADDR } from '../../../schemas/uapi.ts';
import type { Generation } from '../generations/generation.ts';
import { isCoherent } from '../iommu/hardware.ts';
import type { KernelStep, Task } from '../task.ts';
import type { IommuInfo } from '../vfio/iommu-ops.ts';
import { DIRTY_BITMAP_SIZE_MAX } from './dirty-bitmap.ts';
import type { Iommu } from './iommu.ts';

/** vfio_iommu_type1_get_info. */
export function* getInfo(task: Task, iommu: Iommu): KernelStep<IommuInfo> {
  yield* task.lock(iommu.lock);
  const info: IommuInfo = {
    pageSizes: iommu.pageSizes,
    dmaAvail: iommu.dmaAvail,
    // Of the page sizes the smallest one.
    migration: iommu.gen.type1.hasDirtyTracking
      ? { pageSizes: iommu.pageSizes & -iommu.pageSizes, maxBitmapSize: BigInt(DIRTY_BITMAP_SIZE_MAX) }
      : null,
    iovaRanges: iommu.iovaList,
  };
  task.unlock(iommu.lock);
  return info;
}

/**
 * vfio_iommu_type1_check_extension on an instance.
 *
 * @returns 1 or 0
 */
export function* checkExtension(task: Task, iommu: Iommu, extension: number): KernelStep<number> {
  if (extension !== VFIO_UPDATE_VADDR && extension !== VFIO_DMA_CC_IOMMU)
    return extensionOfModule(iommu.gen, extension);
  const { unmapAllAndVaddr, vaddrExcludesMdevs } = iommu.gen.type1;
  if (extension === VFIO_UPDATE_VADDR && !(unmapAllAndVaddr && vaddrExcludesMdevs))
    return extensionOfModule(iommu.gen, extension);
  yield* task.lock(iommu.lock);
  task.unlock(iommu.lock);
  if (extension === VFIO_UPDATE_VADDR) return iommu.emulatedGroups.length === 0 ? 1 : 0;
  // Without a domain there is nothing to enforce.
  return iommu.hardware.every((hardware) => isCoherent(hardware, iommu.gen)) ? 1 : 0;
}

/** vfio_iommu_type1_check_extension before SET_IOMMU: 1 or 0. */
export function extensionOfModule(gen: Generation, extension: number): number {
  switch (extension) {
    case 1:
    case 3:
      return 1;
    case VFIO_UNMAP_ALL:
      return gen.type1.unmapAllAndVaddr ? 1 : 0;
    case VFIO_UPDATE_VADDR:
      return gen.type1.unmapAllAndVaddr && !gen.type1.vaddrExcludesMdevs ? 1 : 0;
    case 6:
      return gen.type1.nesting ? 1 : 0;
    default:
      return 0;
  }
}
