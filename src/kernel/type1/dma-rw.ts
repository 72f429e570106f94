import { IOMMU_READ, IOMMU_WRITE } from '../../../schemas/uapi.ts';
import type { DmaAccess } from '../driver.ts';
import type { Errno } from '../errno.ts';
import { PROT_READ, PROT_WRITE } from '../memory.ts';
import { addressOf, COPIED_AT_ONCE, hex, offsetInPage, PAGE_SIZE, pageOf, TOP, wrapPage } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Iommu } from './iommu.ts';
import { refuseUnmapped } from './no-mapping.ts';
import { waitsForVaddr, waitValid } from './vaddr-wait.ts';

/**
 * vfio_iommu_type1_dma_rw: copies between a driver's buffer and the process's memory, mapping by mapping.
 *
 * @param iova first byte; need not be aligned
 * @returns the bytes read (empty for a write), or EBUSY (W15) with an invalid vaddr, EINVAL where no mapping
 *   is, EPERM where the mapping is not readable, or not writable for a write, EFAULT where the memory is not
 *   there. What was copied before the error stays
 */
export function* dmaRw(
  task: Task,
  iommu: Iommu,
  device: Device,
  iova: bigint,
  access: DmaAccess,
): KernelStep<Errno | Uint8Array> {
  if (!task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
  if (waitsForVaddr(iommu)) {
    const length = 'write' in access ? access.write.length : access.read;
    const end = pageOf(iova) + Math.ceil((offsetInPage(iova) + length) / PAGE_SIZE);
    const errno = yield* waitValid(task, iommu, pageOf(iova), end);
    if (errno) {
      task.unlock(iommu.lock);
      return errno;
    }
  }
  const result = yield* doRw(task, iommu, device, iova, access);
  task.unlock(iommu.lock);
  return result;
}

function* doRw(
  task: Task,
  iommu: Iommu,
  device: Device,
  iova: bigint,
  access: DmaAccess,
): KernelStep<Errno | Uint8Array> {
  if (iommu.vaddrInvalidCount > 0 && iommu.gen.type1.vaddrExcludesMdevs) {
    task.warn('W15', { device: device.id, iova });
    return task.refuse('EBUSY', iommu.whyInvalid);
  }
  const length = 'write' in access ? access.write.length : access.read;
  const out = new Uint8Array('write' in access ? 0 : length);
  const pages = Math.ceil((offsetInPage(iova) + length) / PAGE_SIZE);
  iommu.shadow.used(task, device, pageOf(iova), pages);
  let done = 0;
  while (done < length) {
    const count = rwChunk(task, iommu, (iova + BigInt(done)) % TOP, access, out, done);
    if (typeof count !== 'number') return count;
    done += count;
    if (length > COPIED_AT_ONCE) yield RESCHED;
  }
  return out;
}

/** vfio_iommu_type1_dma_rw_chunk: the part that lies in one mapping. Bytes copied, or an errno. */
function rwChunk(
  task: Task,
  iommu: Iommu,
  iova: bigint,
  access: DmaAccess,
  out: Uint8Array,
  done: number,
): number | Errno {
  const { mappings } = iommu;
  const write = 'write' in access;
  const page = pageOf(iova);
  const offset = offsetInPage(iova);
  const end = page + 1;
  const atTop = offset === PAGE_SIZE - 1;
  const slot = mappings.find(page, atTop ? mappings.wrapEnd(end) : end);
  if (slot === NIL) return refuseUnmapped(task, iommu, page, offset);
  const prot = mappings.prot[slot]!;
  if ((prot & IOMMU_READ) === 0) {
    return task.refuse('EPERM', `the mapping ${mappings.describe(slot)} is not readable`);
  }
  if (write && (prot & IOMMU_WRITE) === 0) {
    return task.refuse('EPERM', `the mapping ${mappings.describe(slot)} is not writable`);
  }
  const { process, mm } = iommu.ownerOf(slot);
  if (!mm.alive) return task.refuse('EPERM', `the memory of ${process.id}, which made the mapping, is gone`);
  if (task.process && task.process.mm !== mm) {
    return task.refuse('EFAULT', `the mapping is of the memory of ${process.id}, not of ${task.process.id}`);
  }
  const left = (write ? access.write.length : access.read) - done;
  const inMapping = (mappings.iova[slot]! + mappings.size[slot]! - page) * PAGE_SIZE - offset;
  const count = Math.min(left, inMapping, COPIED_AT_ONCE);
  const vaddr = addressOf(wrapPage(mappings.vaddr[slot]! + (page - mappings.iova[slot]!)), offset);
  const reachable = mm.accessibleBytes(vaddr, count, write ? PROT_WRITE : PROT_READ | PROT_WRITE);
  if (write) {
    const errno = mm.write(vaddr, access.write.subarray(done, done + reachable));
    if (errno)
      return task.refuse(errno, `this host has no room for what would be written at vaddr ${hex(vaddr)}`);
  } else {
    mm.read(vaddr, reachable, out.subarray(done, done + reachable));
  }
  if (reachable < count) {
    const fault = hex(vaddr + BigInt(reachable));
    return task.refuse('EFAULT', `vaddr ${fault} is not memory the process may access so`);
  }
  if (write && iommu.dirtyTracking) {
    const pages = Math.ceil((offset + count) / PAGE_SIZE);
    for (let i = 0; i < pages; i++) iommu.markPageDirty(slot, page + i);
  }
  return count;
}
