import {
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
} from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import { whyUnusable } from '../iommu/hardware.ts';
import { refuseMemlock } from '../memlock.ts';
import { hex, hexAddress, isPageAligned, pageOf, TOP, TOP_PAGE } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { KernelStep, Task } from '../task.ts';
import { counted } from '../vfio/history.ts';
import type { MapDmaArgs } from '../vfio/iommu-ops.ts';
import { enterDomain } from './attach-group.ts';
import { chargeMapping } from './charge-mapping.ts';
import { allocBitmap } from './dirty-pages.ts';
import type { Iommu } from './iommu.ts';
import { removeMapping } from './remove-dma.ts';

/** Mappings of a container, however high its dma_entry_limit: about 250 MB here. */
export const MAPPINGS_MAX = 2 ** 22;

/**
 * vfio_iommu_type1_map_dma.
 *
 * @returns EINVAL for unknown or conflicting flags, misalignment, wrap-around, or IOVA outside the usable
 *   ranges; EEXIST on overlap; ENOSPC beyond dma_entry_limit; ENOENT (VADDR without a mapping); with an IOMMU
 *   domain also EFAULT and ENOMEM; EINVAL or ENOMEM for a dirty bitmap that cannot be had
 */
export function* mapDma(task: Task, iommu: Iommu, args: MapDmaArgs): KernelStep<Errno | null> {
  const { flags } = args;
  const known =
    VFIO_DMA_MAP_FLAG_READ |
    VFIO_DMA_MAP_FLAG_WRITE |
    (task.kernel.gen.type1.unmapAllAndVaddr ? VFIO_DMA_MAP_FLAG_VADDR : 0);
  if ((flags & ~known) !== 0) {
    return task.refuse('EINVAL', `flags 0x${flags.toString(16)} has unknown bits`);
  }
  const refused = task.kernel.gen.type1.wrapsAtTop
    ? checkFlags(task, flags)
    : (checkRange(task, args) ?? checkFlags(task, flags));
  if (refused) return refused;
  if (!task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
  const errno = doMap(task, iommu, args);
  task.unlock(iommu.lock);
  return errno;
}

/** The combinations of flags that make sense. */
function checkFlags(task: Task, flags: number): Errno | null {
  if (flags === 0) return task.refuse('EINVAL', 'flags has neither read nor write nor vaddr');
  if ((flags & VFIO_DMA_MAP_FLAG_VADDR) !== 0 && flags !== VFIO_DMA_MAP_FLAG_VADDR) {
    return task.refuse('EINVAL', 'the flag vaddr excludes read and write');
  }
  return null;
}

/** Size and end of the range. From 6.18 on this comes before the flags and the lock, up to 6.12 after both. */
function checkRange(task: Task, { iova, vaddr, size }: MapDmaArgs): Errno | null {
  if (size === 0n) return task.refuse('EINVAL', 'size is 0');
  if (iova + size > TOP) {
    return task.refuse(
      task.kernel.gen.type1.overflow,
      `iova ${hex(iova)} + size ${hex(size)} is beyond 2^64`,
    );
  }
  if (vaddr + size > TOP) {
    return task.refuse(
      task.kernel.gen.type1.overflow,
      `vaddr ${hex(vaddr)} + size ${hex(size)} is beyond 2^64`,
    );
  }
  return null;
}

/** vfio_dma_do_map, with iommu->lock held. */
function doMap(task: Task, iommu: Iommu, args: MapDmaArgs): Errno | null {
  const { iova, vaddr, size, flags } = args;
  if (!isPageAligned(size) || !isPageAligned(iova) || !isPageAligned(vaddr)) {
    return task.refuse('EINVAL', () => misaligned(args));
  }
  const { mappings } = iommu;
  const start = pageOf(iova);
  const pages = pageOf(size);
  const vaddrPage = pageOf(vaddr);
  if (pages === 0 || start + pages > TOP_PAGE || vaddrPage + pages > TOP_PAGE) return checkRange(task, args);
  const existing = mappings.find(start, mappings.wrapEnd(start + pages));
  if (flags === VFIO_DMA_MAP_FLAG_VADDR) return updateVaddr(task, iommu, existing, start, pages, vaddrPage);
  if (existing !== NIL) {
    return task.refuse('EEXIST', () => {
      return `${hex(iova)}+${hex(size)} overlaps the mapping ${mappings.describe(existing)}`;
    });
  }
  if (iommu.dmaAvail === 0) return task.refuse('ENOSPC', entriesUsedUp(task, iommu));
  if (mappings.count >= MAPPINGS_MAX) {
    return task.refuse('ENOMEM', `the container has ${MAPPINGS_MAX} mappings, more than this host holds`);
  }
  const full = task.kernel.mappings.refuse(1);
  if (full) return task.refuse('ENOMEM', full);
  if (!inIovaList(iommu, start, start + pages)) {
    const why = whyUnusable(iommu.hardware, iommu.iovaList, start, start + pages);
    return task.refuse('EINVAL', `${hex(iova)}+${hex(size)} ${why}`);
  }

  const process = task.process!;
  const slot = mappings.add(start, pages, vaddrPage, flags, process.capIpcLock);
  iommu.setOwner(slot, process.owner);
  iommu.dmaAvail--;
  const lost = task.kernel.gen.type1.wrapsAtTop && start + pages === TOP_PAGE;
  if (lost) iommu.overlapPossible = true;
  let errno = iommu.hasDomain ? pinMapDma(task, iommu, slot) : null;
  if (errno === null && iommu.dirtyTracking) errno = allocBitmap(task, iommu, slot);
  if (errno !== null) removeMapping(task, iommu, slot);
  else if (lost) task.adviseBug('top-of-address-space', iova);
  return errno;
}

/** Which argument is no multiple of a page, in words. */
function misaligned({ iova, vaddr, size }: MapDmaArgs): string {
  const [name, value] = Object.entries({ size, iova, vaddr }).find(([, at]) => !isPageAligned(at))!;
  return `${name} ${hex(value)} is not a multiple of 4096`;
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
  if (slot === NIL) {
    return task.refuse('ENOENT', `no mapping is in ${range(start, pages)} whose vaddr could be updated`);
  }
  const same = mappings.iova[slot] === start && mappings.size[slot] === pages;
  if (!mappings.vaddrInvalid(slot)) {
    return task.refuse('EINVAL', `the vaddr of the mapping ${mappings.describe(slot)} is valid`);
  }
  if (!same) {
    return task.refuse('EINVAL', `${range(start, pages)} is not the mapping ${mappings.describe(slot)}`);
  }
  const errno = changeOwner(task, iommu, slot);
  if (errno) return errno;
  mappings.vaddr[slot] = vaddr;
  mappings.setVaddrInvalid(slot, false);
  iommu.vaddrValid();
  return null;
}

/**
 * vfio_change_dma_owner: the mapping is the caller's from now on, and so is its charge (proc-exec-vaddr-0).
 *
 * @returns ENOMEM beyond the caller's limit
 */
function changeOwner(task: Task, iommu: Iommu, slot: number): Errno | null {
  const process = task.process!;
  const { mm } = process;
  if (iommu.ownerOf(slot).mm === mm) return null;
  const pages = iommu.chargedBy(slot);
  if (!process.capIpcLock && mm.lockedVm + pages > process.memlockPages) {
    return refuseMemlock(task, process, pages);
  }
  iommu.lockAcct(slot, -pages);
  mm.lockedVm += pages;
  iommu.setOwner(slot, process.owner);
  iommu.mappings.setLockCap(slot, process.capIpcLock);
  return null;
}

/** dma_entry_limit counts for a container when its type is set: what it has now, and what it may have. */
function entriesUsedUp({ kernel }: Task, { container, mappings }: Iommu): string {
  const limit = `dma_entry_limit was ${mappings.count} when its type was set`;
  const now = kernel.dmaEntryLimit === mappings.count ? '' : ` (it is ${kernel.dmaEntryLimit} now)`;
  return `container ${container.id} has ${counted(mappings.count, 'mapping')}, and ${limit}${now}`;
}

function range(start: number, pages: number): string {
  return `${hexAddress(start)}+${hexAddress(pages)}`;
}

/** vfio_iommu_iova_dma_valid: the range lies inside one usable range. */
function inIovaList(iommu: Iommu, start: number, end: number): boolean {
  if (iommu.iovaList.length === 0) return true;
  return iommu.iovaList.some((range) => start >= range.start && end <= range.end);
}

/** vfio_pin_map_dma: pins every page of a new mapping for the domain and charges it; gives them back where that fails. */
function pinMapDma(task: Task, iommu: Iommu, slot: number): Errno | null {
  let errno = chargeMapping(task, iommu, slot);
  if (errno !== null) return errno;
  for (const hardware of iommu.hardware) errno ??= enterDomain(task, iommu, slot, hardware);
  if (errno === null) iommu.mappings.setIommuMapped(slot, true);
  else iommu.lockAcct(slot, iommu.takeReservedPages(slot) - iommu.mappings.size[slot]!);
  return errno;
}
