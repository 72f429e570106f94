import { IOMMU_READ, IOMMU_WRITE } from '../../../schemas/uapi.ts';
import type { PinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import { adviseChargedTwice } from '../memlock.ts';
import { addressOf, hexAddress, PAGE_SIZE, pageOf, TOP_PAGE } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { IommufdAccess } from './access.ts';
import { pagesIn } from './access-table.ts';
import type { Ioas } from './ioas.ts';

/**
 * Pages of one pin. The kernel has no limit; a driver that asks for more has to find memory for the list of pages
 * first.
 */
export const PIN_PAGES_MAX = 65_536;

/** Pages of a length that was computed from an int: a negative one is 2^64 bytes less so many pages. */
function pagesOf(npage: number): number {
  return npage < 0 ? TOP_PAGE + npage : npage;
}

/**
 * iommufd_access_pin_pages, as vfio_pin_pages calls it: the page that iova lies in and those after it, mapping by
 * mapping. Each mapping's part is a pin of its own.
 *
 * @param prot of it only IOMMU_WRITE 2 counts: with it the mapping must be writable, without it readable
 * @returns the host page frames, or EOVERFLOW beyond 2^64; ENOENT where a page has no mapping, or while the device is
 *   not attached; EINVAL in a mapping an unmap has closed; EPERM; EFAULT, ENOMEM. On any of them the parts before
 *   are unpinned again
 */
export function iommufdAccessPinPages(
  task: Task,
  access: IommufdAccess,
  iova: bigint,
  npage: number,
  prot: number,
): PinResult {
  const first = pageOf(iova);
  const last = first + pagesOf(npage) - 1;
  if (last >= TOP_PAGE) return beyondTop(task, first, npage);
  const { ioas } = access;
  if (!ioas) return task.refuse('ENOENT', `${access.device.id} is not attached to an IOAS`);
  const { areas } = ioas;
  const pfns: number[] = [];
  let page = first;
  let slot = areas.find(page);
  while (slot !== NIL) {
    const until = Math.min(last, areas.lastPage[slot]!);
    const errno =
      until - first >= PIN_PAGES_MAX ? tooMany(task) : pinInArea(task, ioas, access, slot, page, until, prot);
    if (errno) return unwind(task, ioas, access, first, page, errno);
    const vaddr = areas.vaddrOf(slot, page);
    const pfn = areas.pages(slot).owner.mm.pfnOf(vaddr);
    for (let i = 0; i <= until - page; i++) pfns.push(pfn + i);
    page = until + 1;
    if (until === last) {
      ioas.shadow.pinned(access.device, first, last);
      return pfns;
    }
    slot = nextContiguous(ioas, slot, page);
  }
  const removed = ioas.container.history.removedIn(page, page + 1);
  const none = `there is no mapping at iova ${hexAddress(page)}`;
  const hole = task.refuse('ENOENT', removed ? `${none}: ${removed}` : none);
  return unwind(task, ioas, access, first, page, hole);
}

function tooMany(task: Task): Errno {
  return task.refuse('ENOMEM', `a pin of more than ${PIN_PAGES_MAX} pages`);
}

function beyondTop(task: Task, page: number, npage: number): Errno {
  return task.refuse('EOVERFLOW', `${npage} pages from iova ${hexAddress(page)} are beyond 2^64`);
}

/** iopt_area_contig_next: the mapping that begins at a page, next to the one before. */
function nextContiguous({ areas }: Ioas, slot: number, page: number): number {
  const next = areas.next(slot);
  return next !== NIL && areas.firstPage[next] === page ? next : NIL;
}

/** The checks of one mapping's part of a pin, and iopt_area_add_access. */
function pinInArea(
  task: Task,
  ioas: Ioas,
  access: IommufdAccess,
  slot: number,
  page: number,
  until: number,
  prot: number,
): Errno | null {
  const { areas, accesses } = ioas;
  if (areas.preventAccess(slot)) {
    return task.refuse('EINVAL', `the mapping ${areas.describe(slot)} is closed by an unmap`);
  }
  const needed = prot & IOMMU_WRITE ? IOMMU_WRITE : IOMMU_READ;
  if ((areas.prot[slot]! & needed) === 0) {
    const lacks = needed === IOMMU_WRITE ? 'writable' : 'readable';
    return task.refuse('EPERM', `the mapping ${areas.describe(slot)} is not ${lacks}`);
  }
  const pages = areas.pages(slot);
  const start = areas.vaddrOf(slot, page);
  const last = areas.vaddrOf(slot, until);
  const exact = accesses.getExact(pages, start, last);
  if (exact !== NIL) {
    accesses.get(exact, access.device.number);
  } else {
    const errno = ioas.hasDomain ? null : ioptPagesFillXarray(task, ioas, slot, start, last);
    if (errno) return errno;
    accesses.add(pages, start, last, access.device.number);
    if (pages.accounted && !ioas.hasDomain) {
      adviseChargedTwice(task, ioas.container, { iova: page, vaddr: start, pages: last - start + 1 });
    }
  }
  areas.numAccesses[slot]!++;
  return null;
}

/** iopt_pages_fill_xarray: pins the pages that nobody has pinned yet, and charges them. */
function ioptPagesFillXarray(
  task: Task,
  ioas: Ioas,
  slot: number,
  start: number,
  last: number,
): Errno | null {
  const pages = ioas.areas.pages(slot);
  const gaps = ioas.accesses.gaps(pages, start, last);
  return pages.faultAll(task, gaps) ?? pages.account(task, pagesIn(gaps));
}

/** A pin failed at a page: what was pinned before is given back. */
function unwind(
  task: Task,
  ioas: Ioas,
  access: IommufdAccess,
  first: number,
  page: number,
  errno: Errno,
): Errno {
  const { areas } = ioas;
  for (let at = first; at < page; ) {
    const slot = areas.find(at);
    // Each part reached the end of its mapping: the pin goes on behind it, or failed there.
    const until = areas.lastPage[slot]!;
    ioptAreaRemoveAccess(task, ioas, access, slot, at, until);
    at = until + 1;
  }
  return errno;
}

/**
 * iommufd_access_unpin_pages, as vfio_unpin_pages calls it: gives back pins, mapping by mapping. Each must be
 * exactly one that was made (WARN_ON(!access), and it stays); whoever made it.
 */
export function iommufdAccessUnpinPages(
  task: Task,
  access: IommufdAccess,
  iova: bigint,
  npage: number,
): void {
  const { device, ioasUnpin: ioas } = access;
  const first = pageOf(iova);
  const last = first + pagesOf(npage) - 1;
  const wrong = npage === 0 ? 'F5' : last >= TOP_PAGE ? 'F6' : null;
  if (wrong || !ioas) {
    task.warn(wrong ?? 'F7', { device: device.id, iova: addressOf(first) });
    const why = npage === 0 ? 'npage is 0' : `${npage} pages are beyond 2^64`;
    if (ioas) ioas.shadow.unpinRefused(task, ioas, device, iova, why);
    return;
  }
  const { areas } = ioas;
  let page = first;
  let slot = areas.find(page);
  while (slot !== NIL) {
    const until = Math.min(last, areas.lastPage[slot]!);
    ioptAreaRemoveAccess(task, ioas, access, slot, page, until);
    page = until + 1;
    if (until === last) return;
    slot = nextContiguous(ioas, slot, page);
  }
  ioas.shadow.unpinNotMapped(task, ioas, device, page, last - page + 1);
  task.warn('F4', {
    device: device.id,
    iova: addressOf(page),
    size: BigInt(last - page + 1) * BigInt(PAGE_SIZE),
  });
}

/** iopt_area_remove_access: one reference less of exactly this pin; where there is none, WARN_ON(!access). */
function ioptAreaRemoveAccess(
  task: Task,
  ioas: Ioas,
  access: IommufdAccess,
  slot: number,
  page: number,
  until: number,
): void {
  const { areas, accesses } = ioas;
  const { device } = access;
  const pages = areas.pages(slot);
  const start = areas.vaddrOf(slot, page);
  const last = areas.vaddrOf(slot, until);
  ioas.shadow.unpinned(device, page, until - page + 1);
  const exact = accesses.getExact(pages, start, last);
  if (exact === NIL) {
    const size = BigInt(until - page + 1) * BigInt(PAGE_SIZE);
    task.warn('F8', { device: device.id, iova: addressOf(page), size });
    ioas.shadow.noSuchPin(task, ioas, device, slot, page, until);
    return;
  }
  areas.numAccesses[slot]!--;
  const owner = accesses.put(exact, device.number);
  if (owner !== device.number) ioas.shadow.foreignUnpin(task, device, owner, page, 0, until - page + 1);
  if (accesses.refCount[exact] !== 0) return;
  accesses.remove(pages, exact);
  // iopt_pages_unfill_xarray: what no other pin and no domain holds.
  if (!ioas.hasDomain) pages.account(task, -pagesIn(accesses.gaps(pages, start, last)));
}
