import { IOMMU_WRITE } from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import { usableRanges, whyUnusable } from '../iommu/hardware.ts';
import { hex, offsetInPage, PAGE_SIZE, pageOf, TOP } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { At } from './area-table.ts';
import { ioptAreaFillDomains, isReserved } from './domain.ts';
import type { Ioas } from './ioas.ts';
import { IoptPages } from './iopt-pages.ts';

/**
 * Mappings an IOAS may have: as many as dma_entry_limit may allow with type1. The kernel's own limit is the caller's
 * memory cgroup; it answers ENOMEM as well.
 */
export const AREAS_MAX: number = 2 ** 22;

/** A mapping that is asked for: bytes, and READ 1, WRITE 2 or nothing. */
interface UserPages {
  readonly iova: bigint;
  readonly vaddr: bigint;
  readonly size: bigint;
  readonly prot: number;
}

/** A byte address as page and offset. */
export function at(address: bigint): At {
  return { page: pageOf(address), offset: offsetInPage(address) };
}

/**
 * iopt_map_user_pages: maps memory of the process. Without a domain nothing is touched yet.
 *
 * @returns EINVAL for size 0 or above 2^64-1-4096, for an iova, size or vaddr off the alignment, in a reserved range;
 *   EOVERFLOW beyond 2^64 (vaddr+size may not even reach it: fd-map-order); EEXIST over a mapping; with a domain
 *   what filling it answers
 */
export function ioptMapUserPages(task: Task, ioas: Ioas, args: UserPages): Errno | null {
  const { vaddr, size, prot } = args;
  // iopt_alloc_pages
  if (size === 0n || size > TOP - 1n - BigInt(PAGE_SIZE)) {
    return task.refuse('EINVAL', `size ${hex(size)} is not from 1 to 2^64-1-4096`);
  }
  if (vaddr + size >= TOP) {
    return task.refuse('EOVERFLOW', `vaddr ${hex(vaddr)} + size ${hex(size)} reaches 2^64`);
  }
  const process = task.process!;
  const pages = new IoptPages(process.owner, (prot & IOMMU_WRITE) !== 0, !process.capIpcLock);
  return ioptMapPages(task, ioas, args, pages);
}

/** iopt_map_pages with iopt_alloc_area_pages: the checks of the range, then the area, then its place in the domain. */
function ioptMapPages(task: Task, ioas: Ioas, args: UserPages, pages: IoptPages): Errno | null {
  const { areas, iovaAlignment } = ioas;
  const errno = ioptCheckIova(task, ioas, args.iova, args.size);
  if (errno) return errno;
  const vaddr = at(args.vaddr);
  if (iovaAlignment === PAGE_SIZE && vaddr.offset !== 0) {
    return task.refuse('EINVAL', `vaddr ${hex(args.vaddr)} is not a multiple of ${iovaAlignment}`);
  }
  if (areas.count >= AREAS_MAX) return task.refuse('ENOMEM', `the container has ${AREAS_MAX} mappings`);
  const full = task.kernel.mappings.refuse(1);
  if (full) return task.refuse('ENOMEM', full);
  const last = at(args.iova + args.size - 1n);
  const slot = areas.insert({ first: at(args.iova), last, vaddr, prot: args.prot, pages });
  const failed = ioas.hasDomain ? ioptAreaFillDomains(task, ioas, slot) : null;
  if (failed) areas.remove(slot);
  return failed;
}

/** iopt_check_iova, with the check of the length before it. */
function ioptCheckIova(task: Task, ioas: Ioas, iova: bigint, size: bigint): Errno | null {
  const { areas, iovaAlignment } = ioas;
  const mask = BigInt(iovaAlignment - 1);
  if ((size & mask) !== 0n)
    return task.refuse('EINVAL', `size ${hex(size)} is not a multiple of ${iovaAlignment}`);
  if ((iova & mask) !== 0n)
    return task.refuse('EINVAL', `iova ${hex(iova)} is not a multiple of ${iovaAlignment}`);
  const last = iova + size - 1n;
  if (last >= TOP) return task.refuse('EOVERFLOW', `iova ${hex(iova)} + size ${hex(size)} is beyond 2^64`);
  const { hardware } = ioas;
  if (hardware.some((iommu) => isReserved(iommu, pageOf(iova), pageOf(last)))) {
    const why = whyUnusable(hardware, usableRanges(hardware), pageOf(iova), pageOf(last) + 1);
    return task.refuse('EINVAL', `${hex(iova)}+${hex(size)} ${why}`);
  }
  const clash = areas.iterFirst(at(iova), at(last));
  if (clash !== NIL) {
    return task.refuse('EEXIST', `${hex(iova)}+${hex(size)} overlaps the mapping ${areas.describe(clash)}`);
  }
  return null;
}
