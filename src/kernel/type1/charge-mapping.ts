import { IOMMU_WRITE } from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import { adviseChargedTwice, refuseMemlock } from '../memlock.ts';
import { PROT_READ, PROT_WRITE } from '../memory.ts';
import { addressOf, hexAddress } from '../pages.ts';
import type { Task } from '../task.ts';
import type { Iommu } from './iommu.ts';

/**
 * vfio_pin_pages_remote over a whole mapping: faults its pages in and charges those that have no pin of their own
 * yet. The first page that fails decides; on failure nothing is charged.
 *
 * The pages are those that the caller has at the mapping's vaddr, and the caller's limit holds, whoever's the mapping
 * is; its owner is charged, within a limit of its own.
 *
 * @returns EFAULT for memory that is not there; ENOMEM beyond RLIMIT_MEMLOCK, with pr_warn L1 the caller's
 */
export function chargeMapping(task: Task, iommu: Iommu, slot: number): Errno | null {
  const { mappings, gen } = iommu;
  const { process } = task;
  if (!process) return task.refuse('ENODEV', 'a kernel thread has no memory');
  const { mm } = process;
  const pages = mappings.size[slot]!;
  const prot = mappings.prot[slot]! & IOMMU_WRITE ? PROT_WRITE : PROT_READ;
  const vaddr = mappings.vaddr[slot]!;
  const reachable = mm.accessiblePages(vaddr, pages, prot);
  const pinned = pinnedPages(iommu, slot);
  const budget = mappings.lockCap(slot) ? Number.POSITIVE_INFINITY : process.memlockPages - mm.lockedVm;
  if (prot === PROT_WRITE) mm.memory.faultToWrite(vaddr, reachable);
  const reserved =
    mm.devicePages(vaddr, reachable) + (gen.type1.zeroPageReserved ? mm.zeroPages(vaddr, reachable) : 0);
  if (reachable - reserved - countBelow(pinned, reachable) > budget) {
    task.prWarn('L1', addressOf(process.memlockPages));
    return refuseMemlock(task, process, pages - reserved - pinned.length);
  }
  if (reachable < pages) {
    const fault = vaddr + reachable;
    return task.refuse('EFAULT', `the page at vaddr ${hexAddress(fault)} is not memory the mapping may use`);
  }
  if (iommu.lockAcct(slot, pages - reserved - pinned.length)) {
    return task.refuse('ENOMEM', 'the limit of the process that made the mapping would be exceeded');
  }
  iommu.setReservedPages(slot, reserved);
  adviseChargedTwice(task, iommu.container, { iova: mappings.iova[slot]!, vaddr, pages });
  return null;
}

/**
 * Indexes of the mapping's pages that already have a pin, ascending. Up to 6.12 the look-up is by the exact
 * address, so a pin at an offset in the page does not count (spec-misaligned-replay).
 */
function pinnedPages(iommu: Iommu, slot: number): number[] {
  const { mappings, pins } = iommu;
  const indexes: number[] = [];
  for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
    const index = pins.page[pin]! - mappings.iova[slot]!;
    // A reserved page is not charged, with or without a pin of its own.
    const exact = pins.offset[pin] === 0 || iommu.gen.type1.misalignedPinsCountAtAttach;
    const counts = exact && !iommu.isReserved(pins.pfn[pin]!);
    if (counts && index >= 0 && indexes.at(-1) !== index) indexes.push(index);
  }
  return indexes;
}

function countBelow(sorted: readonly number[], limit: number): number {
  let count = 0;
  for (const value of sorted) if (value < limit) count++;
  return count;
}
