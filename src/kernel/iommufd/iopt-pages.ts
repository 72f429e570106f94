import type { Errno } from '../errno.ts';
import { refuseMemlock } from '../memlock.ts';
import { PROT_READ, PROT_WRITE } from '../memory.ts';
import type { Mm } from '../mm.ts';
import { hexAddress } from '../pages.ts';
import type { MappingOwner } from '../process.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';

/**
 * The memory behind one mapping, or behind the pieces it was cut into (struct iopt_pages). Pages are named by their
 * number in the process's address space.
 */
export class IoptPages {
  /** Root of the accesses in the IOAS's AccessTable (`access_itree`). */
  accesses: number = NIL;

  /**
   * iopt_alloc_pages.
   *
   * @param writable the mapping was made with WRITE: pages are pinned for writing, even to read them
   * @param accounted the process had no CAP_IPC_LOCK when it made the mapping: pinned pages count in its locked_vm
   */
  constructor(
    readonly owner: MappingOwner,
    readonly writable: boolean,
    readonly accounted: boolean,
  ) {}

  /** pin_user_pages of ranges, each a page and how many: EFAULT where the memory is not there, or may not be written. */
  faultAll(task: Task, ranges: readonly number[]): Errno | null {
    for (let i = 0; i < ranges.length; i += 2) {
      const errno = this.fault(task, ranges[i]!, ranges[i + 1]!);
      if (errno) return errno;
    }
    return null;
  }

  /** pin_user_pages of [page, page+count). */
  private fault(task: Task, page: number, count: number): Errno | null {
    const { process, mm } = this.owner;
    if (!mm.alive)
      return task.refuse('EFAULT', `the memory of ${process.id}, which made the mapping, is gone`);
    const accessible = mm.accessiblePages(page, count, this.writable ? PROT_WRITE : PROT_READ);
    // GUP finds no struct page of a device's memory.
    const reached = mm.devicePages(page, accessible) > 0 ? firstOfDevice(mm, page) : accessible;
    if (this.writable) mm.memory.faultToWrite(page, reached);
    if (reached === count) return null;
    return task.refuse(
      'EFAULT',
      `the page at vaddr ${hexAddress(page + reached)} is not memory the mapping may use`,
    );
  }

  /**
   * iopt_pages_update_pinned: charges pages that are pinned now (negative: gives back).
   *
   * @returns ENOMEM, with nothing charged, beyond RLIMIT_MEMLOCK as it is now (acct-late-limit)
   */
  account(task: Task, pages: number): Errno | null {
    if (pages === 0) return null;
    const { process, mm } = this.owner;
    if (this.accounted) {
      if (pages > 0 && mm.lockedVm + pages > process.memlockPages) {
        return refuseMemlock(task, process, pages);
      }
      mm.lockedVm += pages;
    }
    mm.pinnedVm += pages;
    return null;
  }
}

/** How many pages from one on are before the first that is a device's; there is one. */
function firstOfDevice(mm: Mm, page: number): number {
  let count = 0;
  while (mm.memory.deviceFrame(page + count) === null) count++;
  return count;
}
