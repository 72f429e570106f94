import type { KernelContext } from '../context.ts';
import type { Errno } from '../errno.ts';
import { hex, isPageAligned, pageOf, TOP, TOP_PAGE } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { acquire, type KernelStep, refuse, type Task, tryAcquire } from '../task.ts';
import { chargeMapping, IOMMU_READ, IOMMU_WRITE } from './charge-mapping.ts';
import type { Iommu } from './iommu.ts';
import { removeMapping } from './remove-dma.ts';

/** VFIO_DMA_MAP_FLAG_READ, _WRITE and _VADDR. */
export const MAP_READ = IOMMU_READ;
export const MAP_WRITE = IOMMU_WRITE;
export const MAP_VADDR = 4;

/** Arguments of VFIO_IOMMU_MAP_DMA; addresses and size in bytes, flags as the raw u32. */
export interface MapDmaArgs {
  readonly iova: bigint;
  readonly vaddr: bigint;
  readonly size: bigint;
  readonly flags: number;
}

/**
 * vfio_iommu_type1_map_dma.
 *
 * @returns EINVAL for unknown or conflicting flags, misalignment, wrap-around, or IOVA outside the usable
 *   ranges; EEXIST on overlap; ENOSPC beyond dma_entry_limit; ENOENT (VADDR without a mapping); with an IOMMU
 *   domain also EFAULT and ENOMEM; EINVAL or ENOMEM for a dirty bitmap that cannot be had
 */
export function* mapDma(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  args: MapDmaArgs,
): KernelStep<Errno | null> {
  const { flags } = args;
  const known = MAP_READ | MAP_WRITE | (k.gen.unmapAllAndVaddr ? MAP_VADDR : 0);
  if ((flags & ~known) !== 0) {
    return refuse(task, 'EINVAL', `flags 0x${flags.toString(16)} has unknown bits`);
  }
  const refused = k.gen.wrapsAtTop
    ? checkFlags(task, flags)
    : (checkRange(k, task, args) ?? checkFlags(task, flags));
  if (refused) return refused;
  if (!tryAcquire(task, iommu.lock)) yield* acquire(task, iommu.lock);
  const errno = doMap(k, task, iommu, args);
  k.release(task, iommu.lock);
  return errno;
}

/** The combinations of flags that make sense. */
function checkFlags(task: Task, flags: number): Errno | null {
  if (flags === 0) return refuse(task, 'EINVAL', 'flags has neither read nor write nor vaddr');
  if ((flags & MAP_VADDR) !== 0 && flags !== MAP_VADDR) {
    return refuse(task, 'EINVAL', 'the flag vaddr excludes read and write');
  }
  return null;
}

/** Size and end of the range. From 6.18 on this comes before the flags and the lock, up to 6.12 after both. */
function checkRange(k: KernelContext, task: Task, { iova, vaddr, size }: MapDmaArgs): Errno | null {
  if (size === 0n) return refuse(task, 'EINVAL', 'size is 0');
  if (iova + size > TOP) {
    return refuse(task, k.gen.overflow, `iova ${hex(iova)} + size ${hex(size)} is beyond 2^64`);
  }
  if (vaddr + size > TOP) {
    return refuse(task, k.gen.overflow, `vaddr ${hex(vaddr)} + size ${hex(size)} is beyond 2^64`);
  }
  return null;
}

/** vfio_dma_do_map, with iommu->lock held. */
function doMap(k: KernelContext, task: Task, iommu: Iommu, args: MapDmaArgs): Errno | null {
  const { iova, vaddr, size, flags } = args;
  if (!isPageAligned(size | iova | vaddr)) {
    const [name, value] = Object.entries({ size, iova, vaddr }).find(([, at]) => !isPageAligned(at))!;
    return refuse(task, 'EINVAL', `${name} ${hex(value)} is not a multiple of 4096`);
  }
  const refused = checkRange(k, task, args);
  if (refused) return refused;
  const { mappings } = iommu;
  const start = pageOf(iova);
  const pages = pageOf(size);
  const existing = mappings.find(start, mappings.wrapEnd(start + pages));
  if (flags === MAP_VADDR) return updateVaddr(task, iommu, existing, start, pages, pageOf(vaddr));
  if (existing !== NIL) {
    return refuse(
      task,
      'EEXIST',
      `${hex(iova)}+${hex(size)} overlaps the mapping ${mappings.describe(existing)}`,
    );
  }
  if (iommu.dmaAvail === 0)
    return refuse(task, 'ENOSPC', 'the container has dma_entry_limit mappings already');
  if (!inIovaList(iommu, start, start + pages)) {
    return refuse(task, 'EINVAL', `${hex(iova)}+${hex(size)} is not inside one of the IOVA ranges`);
  }

  const slot = mappings.add(start, pages, pageOf(vaddr), flags, iommu.process.capIpcLock);
  iommu.dmaAvail--;
  const lost = k.gen.wrapsAtTop && start + pages === TOP_PAGE;
  if (lost) iommu.overlapPossible = true;
  let errno = iommu.hasDomain ? pinMapDma(k, task, iommu, slot) : null;
  if (errno === null && iommu.dirtyTracking) errno = iommu.allocBitmap(slot);
  if (errno !== null) removeMapping(k, task, iommu, slot);
  else if (lost) k.adviseBug(task, 'top-of-address-space', iova);
  return errno;
}

/** VFIO_DMA_MAP_FLAG_VADDR: gives a mapping whose vaddr was invalidated a new one. */
function updateVaddr(
  task: Task,
  iommu: Iommu,
  slot: number,
  start: number,
  pages: number,
  vaddr: number,
): Errno | null {
  const { mappings } = iommu;
  if (slot === NIL) return refuse(task, 'ENOENT', 'there is no mapping whose vaddr could be updated');
  const same = mappings.iova[slot] === start && mappings.size[slot] === pages;
  if (!mappings.vaddrInvalid(slot)) {
    return refuse(task, 'EINVAL', `the vaddr of the mapping ${mappings.describe(slot)} is valid`);
  }
  if (!same) return refuse(task, 'EINVAL', `the mapping is ${mappings.describe(slot)}`);
  mappings.vaddr[slot] = vaddr;
  mappings.setVaddrInvalid(slot, false);
  iommu.vaddrInvalidCount--;
  return null;
}

/** vfio_iommu_iova_dma_valid: the range lies inside one usable range. */
function inIovaList(iommu: Iommu, start: number, end: number): boolean {
  if (iommu.iovaList.length === 0) return true;
  return iommu.iovaList.some((range) => start >= range.start && end <= range.end);
}

/** vfio_pin_map_dma: pins every page of a new mapping for the domain and charges it. */
function pinMapDma(k: KernelContext, task: Task, iommu: Iommu, slot: number): Errno | null {
  const errno = chargeMapping(k, task, iommu, slot);
  if (errno === null) iommu.mappings.setIommuMapped(slot, true);
  return errno;
}
