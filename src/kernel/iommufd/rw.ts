import type { DmaAccess } from '../driver.ts';
import type { Errno } from '../errno.ts';
import { PROT_READ, PROT_WRITE } from '../memory.ts';
import { addressOf, COPIED_AT_ONCE, hex, offsetInPage, PAGE_SIZE, pageOf, TOP } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
import type { IommufdAccess } from './access.ts';
import type { Ioas } from './ioas.ts';

/**
 * iommufd_access_rw: copies between a driver's buffer and the process's memory, mapping by mapping.
 *
 * @param iova first byte; need not be aligned. At least one byte is copied
 * @returns the bytes read (empty for a write), or EOVERFLOW beyond 2^64; ENOENT where no mapping is; EINVAL in one an
 *   unmap has closed; EPERM where the mapping is not readable, or not writable for a write; EFAULT where the memory
 *   is not there. What was copied before the error stays
 */
export function* iommufdAccessRw(
  task: Task,
  access: IommufdAccess,
  iova: bigint,
  rw: DmaAccess,
): KernelStep<Errno | Uint8Array> {
  const length = 'write' in rw ? rw.write.length : rw.read;
  if (iova + BigInt(length) > TOP) {
    return task.refuse('EOVERFLOW', `${length} bytes from iova ${hex(iova)} are beyond 2^64`);
  }
  const { ioas } = access;
  if (!ioas) return task.refuse('ENOENT', `${access.device.id} is not attached to an IOAS`);
  ioas.shadow.used(task, access.device, pageOf(iova), Math.ceil((offsetInPage(iova) + length) / PAGE_SIZE));
  const out = new Uint8Array('write' in rw ? 0 : length);
  let done = 0;
  while (done < length) {
    const count = rwInArea(task, ioas, iova + BigInt(done), rw, out, done);
    if (typeof count !== 'number') return count;
    done += count;
    if (length > COPIED_AT_ONCE) yield RESCHED;
  }
  return out;
}

/** One mapping's part, and iopt_pages_rw_access: bytes copied, or an errno. */
function rwInArea(
  task: Task,
  { areas }: Ioas,
  iova: bigint,
  rw: DmaAccess,
  out: Uint8Array,
  done: number,
): number | Errno {
  const write = 'write' in rw;
  const page = pageOf(iova);
  const offset = offsetInPage(iova);
  const slot = areas.find(page);
  if (slot === NIL) return task.refuse('ENOENT', `there is no mapping at iova ${hex(iova)}`);
  if (areas.preventAccess(slot)) {
    return task.refuse('EINVAL', `the mapping ${areas.describe(slot)} is closed by an unmap`);
  }
  if ((areas.prot[slot]! & (write ? 2 : 1)) === 0) {
    const lacks = write ? 'writable' : 'readable';
    return task.refuse('EPERM', `the mapping ${areas.describe(slot)} is not ${lacks}`);
  }
  const { process, mm } = areas.pages(slot).owner;
  if (!mm.alive) return task.refuse('EFAULT', `the memory of ${process.id}, which made the mapping, is gone`);
  const left = (write ? rw.write.length : rw.read) - done;
  const inArea = (areas.lastPage[slot]! + 1 - page) * PAGE_SIZE - offset;
  const count = Math.min(left, inArea, COPIED_AT_ONCE);
  const vaddr = addressOf(areas.vaddrOf(slot, page), offset);
  const reached = mm.accessibleBytes(vaddr, count, write ? PROT_WRITE : PROT_READ | PROT_WRITE);
  if (write) {
    const errno = mm.write(vaddr, rw.write.subarray(done, done + reached));
    if (errno) return errno;
  } else {
    mm.read(vaddr, reached, out.subarray(done, done + reached));
  }
  if (reached === count) return count;
  return task.refuse(
    'EFAULT',
    `vaddr ${hex(vaddr + BigInt(reached))} is not memory the process may access so`,
  );
}
