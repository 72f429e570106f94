import type { KernelContext } from '../context.ts';
import { acquire, type KernelStep, type Task } from '../task.ts';
import { DIRTY_BITMAP_SIZE_MAX } from './dirty-bitmap.ts';
import type { Iommu, IovaRange } from './iommu.ts';

/** VFIO_IOMMU_GET_INFO with its capability chain; sizes in bytes. */
export interface IommuInfo {
  readonly pageSizes: bigint;
  readonly dmaAvail: number;
  /** Page sizes of the migration capability: the smallest one. */
  readonly dirtyPageSizes: bigint;
  readonly maxDirtyBitmapSize: bigint;
  /** Absent (empty) while the container never had an IOMMU domain. */
  readonly iovaRanges: readonly IovaRange[];
}

/** vfio_iommu_type1_get_info. */
export function* getInfo(k: KernelContext, task: Task, iommu: Iommu): KernelStep<IommuInfo> {
  yield* acquire(task, iommu.lock);
  const info: IommuInfo = {
    pageSizes: iommu.pageSizes,
    dmaAvail: iommu.dmaAvail,
    dirtyPageSizes: iommu.pageSizes & -iommu.pageSizes,
    maxDirtyBitmapSize: BigInt(DIRTY_BITMAP_SIZE_MAX),
    iovaRanges: iommu.iovaList,
  };
  k.release(task, iommu.lock);
  return info;
}

/** Extensions of CHECK_EXTENSION that are not IOMMU types. */
const DMA_CC_IOMMU = 4;
const UNMAP_ALL_EXTENSION = 9;
const UPDATE_VADDR = 10;

/**
 * vfio_iommu_type1_check_extension.
 *
 * @param iommu null: asked before SET_IOMMU
 * @returns 1 or 0
 */
export function* checkExtension(
  k: KernelContext,
  task: Task,
  iommu: Iommu | null,
  extension: number,
): KernelStep<number> {
  switch (extension) {
    case 1:
    case 3:
      return 1;
    case UNMAP_ALL_EXTENSION:
      return k.gen.unmapAllAndVaddr ? 1 : 0;
    case 6:
      return k.gen.nesting ? 1 : 0;
    case UPDATE_VADDR:
      if (!iommu || !k.gen.unmapAllAndVaddr) return 0;
      yield* acquire(task, iommu.lock);
      k.release(task, iommu.lock);
      return iommu.emulatedGroups.length === 0 ? 1 : 0;
    case DMA_CC_IOMMU:
      if (!iommu) return 0;
      yield* acquire(task, iommu.lock);
      k.release(task, iommu.lock);
      // The recorded IOMMU does not enforce coherency; without a domain there is nothing to enforce.
      return iommu.hasDomain ? 0 : 1;
    default:
      return 0;
  }
}
