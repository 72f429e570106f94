import type { Errno } from '../errno.ts';
import { addressOf, hex, offsetInPage, PAGE_SIZE } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { Ioas } from './ioas.ts';
import { at } from './map.ts';

/**
 * iopt_disable_large_pages, for VFIO_TYPE1_IOMMU: from now on unmaps cut mappings, and mappings are of whole pages.
 *
 * @returns EINVAL while a domain has mappings in it; EADDRINUSE while a mapping is not made of whole pages
 */
export function ioptDisableLargePages(task: Task, ioas: Ioas): Errno | null {
  if (ioas.disableLargePages) return null;
  if (ioas.hasDomain && !ioas.isEmpty) {
    return task.refuse('EINVAL', 'type 1 cannot be set any more: an IOMMU domain has mappings in it');
  }
  ioas.disableLargePages = true;
  const errno = ioas.calculateIovaAlignment(task);
  if (errno) ioas.disableLargePages = false;
  return errno;
}

/**
 * iopt_cut_iova: cuts the mappings that hold these bytes after each of them. A cut that was made stays although a
 * later one fails.
 *
 * @param iovas last byte of the lower piece; modulo 2^64
 */
export function ioptCutIova(task: Task, ioas: Ioas, iovas: readonly bigint[]): Errno | null {
  for (const wide of iovas) {
    const iova = BigInt.asUintN(64, wide);
    const { page, offset } = at(iova);
    const slot = ioas.areas.find(page, offset);
    const errno = slot === NIL ? null : ioptAreaSplit(task, ioas, slot, iova);
    if (errno) return errno;
  }
  return null;
}

/**
 * iopt_area_split. A cut after a mapping's very first byte is none at all.
 *
 * @returns EBUSY for a mapping that an unmap has closed; EINVAL off the alignment, or for one with pins
 */
function ioptAreaSplit(task: Task, ioas: Ioas, slot: number, iova: bigint): Errno | null {
  const { areas } = ioas;
  if (iova === areas.iova(slot) || iova === areas.lastIova(slot)) return null;
  const range = areas.describe(slot);
  if (areas.preventAccess(slot)) {
    return task.refuse('EBUSY', `the mapping ${range} cannot be cut: an unmap has closed it`);
  }
  const start = iova + 1n;
  if (offsetInPage(start) !== 0) {
    return task.refuse(
      'EINVAL',
      `the mapping ${range} cannot be cut at ${hex(start)}, no multiple of ${PAGE_SIZE}`,
    );
  }
  if (areas.numAccesses[slot] !== 0) {
    return task.refuse('EINVAL', `the mapping ${range} cannot be cut: it has pins`);
  }
  const first = at(areas.iova(slot));
  const last = at(areas.lastIova(slot));
  const vaddr = at(addressOf(areas.vaddrPage[slot]!, areas.vaddrOffset[slot]!));
  const upper = at(start);
  const prot = areas.prot[slot]!;
  const pages = areas.pages(slot);
  areas.remove(slot);
  areas.insert({ first, last: at(iova), vaddr, prot, pages });
  const upperVaddr = { page: vaddr.page + upper.page - first.page, offset: vaddr.offset };
  areas.insert({ first: upper, last, vaddr: upperVaddr, prot, pages });
  return null;
}

/** The cuts an unmap makes: after its range, and before it unless that begins at 0 (also where it is empty, or wraps). */
export function cutsOf(iova: bigint, size: bigint): bigint[] {
  const end = iova + size - 1n;
  return iova === 0n ? [end] : [end, iova - 1n];
}
