import { IOMMU_WRITE } from '../../../schemas/uapi.ts';
import type { PinResult, UnpinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import { adviseChargedTwice, refuseMemlock } from '../memlock.ts';
import { PROT_READ, PROT_WRITE } from '../memory.ts';
import { type Mm, ZERO_PFN } from '../mm.ts';
import { addressOf, hexAddress, offsetInPage, pageOf, TOP, wrapPage } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Iommu } from './iommu.ts';
import { noMapping, refuseUnmapped } from './no-mapping.ts';
import { waitsForVaddr, waitValid } from './vaddr-wait.ts';

/**
 * vfio_iommu_type1_pin_pages. The pages are iova, iova+4096, …; each is a key of its own, never rounded.
 *
 * @param iova exact key of the first page, bytes
 * @param npage 1 to 512 pages
 * @param prot IOMMU_READ 1, IOMMU_WRITE 2; 0 passes everywhere
 * @returns EACCES on v1; EBUSY (W1) with an invalid vaddr; EINVAL with no registered device or for a page
 *   without a mapping; EPERM when prot exceeds the mapping's; EFAULT, ENOMEM (L2). On any of them the pages
 *   before lose their reference again
 */
export function* pinPages(
  task: Task,
  iommu: Iommu,
  device: Device,
  iova: bigint,
  npage: number,
  prot: number,
): KernelStep<PinResult> {
  if (!iommu.v2) return task.refuse('EACCES', 'pinning needs a type1v2 container');
  if (!task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
  if (waitsForVaddr(iommu)) {
    const first = pageOf(iova);
    const errno = yield* waitValid(task, iommu, first, first + npage);
    if (errno) {
      task.unlock(iommu.lock);
      return errno;
    }
  }
  const result = doPin(task, iommu, device, iova, npage, prot);
  task.unlock(iommu.lock);
  return result;
}

function doPin(
  task: Task,
  iommu: Iommu,
  device: Device,
  iova: bigint,
  npage: number,
  prot: number,
): PinResult {
  if (iommu.vaddrInvalidCount > 0 && iommu.gen.type1.vaddrExcludesMdevs) {
    task.warn('W1', { device: device.id, iova });
    return task.refuse('EBUSY', iommu.whyInvalid);
  }
  if (task.kernel.gen.type1.overflow === 'EOVERFLOW' && iova + BigInt(npage) * 4096n > TOP) {
    return task.refuse('EOVERFLOW', `${npage} pages from iova ${hexAddress(pageOf(iova))} are beyond 2^64`);
  }
  if (iommu.deviceList.length === 0) {
    return task.refuse(
      'EINVAL',
      `no device with a dma_unmap operation is open in container ${iommu.container.id}`,
    );
  }
  const { mappings, pins } = iommu;
  const offset = offsetInPage(iova);
  const firstPage = pageOf(iova);
  const pfns: number[] = new Array(npage);
  let slot: number = NIL;
  for (let i = 0; i < npage; i++) {
    const page = wrapPage(firstPage + i);
    const last = slot;
    slot = findPage(iommu, last, page, offset);
    let errno: Errno | null = null;
    if (slot === NIL) {
      errno = refuseUnmapped(task, iommu, page, offset);
    } else if ((mappings.prot[slot]! & prot) !== prot) {
      errno = task.refuse('EPERM', `prot ${prot} exceeds that of the mapping ${mappings.describe(slot)}`);
    } else {
      const root = mappings.pins[slot]!;
      const onwards = slot === last && page !== 0;
      const pin = onwards ? pins.findNext(root, page, offset) : pins.find(root, page, offset);
      if (pin !== NIL) {
        pins.get(pin, device.number);
        iommu.shadow.pinned(task, iommu, device, slot, page, offset);
        pfns[i] = pins.pfn[pin]!;
        continue;
      }
      const pinned = pinPageExternal(task, iommu, slot, page, offset, device, i === 0);
      if (typeof pinned === 'number') {
        pfns[i] = pinned;
        continue;
      }
      errno = pinned;
    }
    for (let done = 0; done < i; done++) {
      unpinOne(task, iommu, device, wrapPage(firstPage + done), offset);
    }
    return errno;
  }
  return pfns;
}

/** vfio_find_dma for one page of a pin; `last` is the mapping of the page before. */
function findPage(iommu: Iommu, last: number, page: number, offset: number): number {
  const { mappings } = iommu;
  const endPage = page + (offset === 0 ? 1 : 2);
  if (last !== NIL && !iommu.overlapPossible) {
    const start = mappings.iova[last]!;
    // Mappings do not overlap, so the search would find the same one again.
    if (page >= start && endPage <= start + mappings.size[last]!) return last;
  }
  return mappings.find(page, mappings.wrapEnd(endPage));
}

/**
 * vfio_pin_page_external and vfio_add_to_pfn_list: a new pin, the one just looked for. Its host page frame, or an errno.
 *
 * @param isFirst whether it is the first page of a call: words about the others would be the same
 */
function pinPageExternal(
  task: Task,
  iommu: Iommu,
  slot: number,
  page: number,
  offset: number,
  device: Device,
  isFirst: boolean,
): number | Errno {
  const { mappings, pins } = iommu;
  const { process, mm } = iommu.ownerOf(slot);
  if (!mm.alive) {
    return task.refuse('ENODEV', `the memory of ${process.id}, which made the mapping, is gone`);
  }
  const writes = (mappings.prot[slot]! & IOMMU_WRITE) !== 0;
  const vaddr = wrapPage(mappings.vaddr[slot]! + (page - mappings.iova[slot]!));
  if (!mm.allows(vaddr, writes ? PROT_WRITE : PROT_READ)) {
    return task.refuse('EFAULT', `the page at vaddr ${hexAddress(vaddr)} is not memory the mapping may use`);
  }
  const pfn = mm.memory.isPlain ? mm.pfnOf(vaddr) : faultIn(task, mm, vaddr, writes);
  if (typeof pfn !== 'number') return pfn;
  if (!mappings.iommuMapped(slot) && !iommu.isReserved(pfn) && iommu.lockAcct(slot, 1)) {
    task.prWarn('L2', process.memlock ?? TOP);
    return refuseMemlock(task, process, 1);
  }
  const root = mappings.pins[slot]!;
  mappings.pins[slot] = pins.addMissing(root, page, offset, pfn, device.number);
  mappings.pinCount[slot]!++;
  if (iommu.dirtyTracking && !iommu.markPageDirty(slot, page)) {
    task.adviseBug('negative-bitmap-index', addressOf(page, offset), [device.id]);
  }
  iommu.shadow.pinned(task, iommu, device, slot, page, offset);
  if (isFirst && !mappings.iommuMapped(slot)) {
    adviseChargedTwice(task, iommu.container, { iova: page, vaddr, pages: 1 });
  }
  return pfn;
}

/** pin_user_pages: the page frame of one page, which is accessible and may be the zero page or a device's. */
function faultIn(task: Task, mm: Mm, vaddr: number, writes: boolean): number | Errno {
  const { zeroPageReserved, pinsDeviceMemory } = task.kernel.gen.type1;
  if (writes) mm.memory.faultToWrite(vaddr, 1);
  const ofDevice = mm.memory.deviceFrame(vaddr);
  if (ofDevice !== null && !pinsDeviceMemory) {
    return task.refuse('EINVAL', `the page at vaddr ${hexAddress(vaddr)} is a device's, not memory`);
  }
  return ofDevice ?? (zeroPageReserved && mm.isZeroPage(vaddr) ? ZERO_PFN : mm.pfnOf(vaddr));
}

/** One page of an unpin: false where no mapping is. A mapping without that pin is passed over silently. */
function unpinOne(task: Task, iommu: Iommu, device: Device, page: number, offset: number): boolean {
  const { mappings, pins } = iommu;
  const slot = mappings.find(page, mappings.wrapEnd(page + (offset === 0 ? 1 : 2)));
  if (slot === NIL) return false;
  const pin = pins.find(mappings.pins[slot]!, page, offset);
  if (pin === NIL) {
    iommu.shadow.unpinNotThere(task, iommu, device, page, offset);
    return true;
  }
  const owner = pins.put(pin, device.number);
  if (owner !== device.number) iommu.shadow.foreignUnpin(task, device, owner, page, offset);
  if (pins.refCount[pin] === 0) {
    const pfn = pins.pfn[pin]!;
    mappings.pins[slot] = pins.remove(mappings.pins[slot]!, pin);
    mappings.pinCount[slot]!--;
    if (!mappings.iommuMapped(slot) && !iommu.isReserved(pfn)) iommu.lockAcct(slot, -1);
  }
  return true;
}

/**
 * vfio_iommu_type1_unpin_pages. Any device may drop any other's reference. From 6.0 on WARN_ON on v1 (W2) and
 * when a page lies in no mapping (W3; the pages after it are not looked at); before, EACCES on v1, EINVAL when
 * the first page lies in no mapping, else the number of pages walked.
 *
 * @param npage 1 to 512 pages
 */
export function* unpinPages(
  task: Task,
  iommu: Iommu,
  device: Device,
  iova: bigint,
  npage: number,
): KernelStep<UnpinResult> {
  const { unpinAnswers } = task.kernel.gen.core;
  if (!iommu.v2) {
    if (unpinAnswers) return task.refuse('EACCES', 'unpinning needs a type1v2 container');
    task.warn('W2', { device: device.id, iova });
    iommu.shadow.unpinRefused(task, iommu, device, iova, 'a type1 container has no pins');
    return null;
  }
  if (!task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
  const offset = offsetInPage(iova);
  const firstPage = pageOf(iova);
  let done = 0;
  while (done < npage) {
    const page = wrapPage(firstPage + done);
    iommu.shadow.unpinned(device, page);
    if (!unpinOne(task, iommu, device, page, offset)) break;
    done++;
  }
  task.unlock(iommu.lock);
  if (unpinAnswers) {
    if (done > 0) return done;
    return task.refuse('EINVAL', () => {
      const held = iommu.shadow.heldNear(iommu, device, firstPage);
      return `${noMapping(iommu, firstPage, offset)}${held && `; ${held}`}`;
    });
  }
  if (done !== npage) {
    iommu.shadow.unpinNotMapped(task, iommu, device, wrapPage(firstPage + done), offset);
    task.warn('W3', {
      device: device.id,
      iova: addressOf(wrapPage(firstPage + done), offset),
      size: BigInt(npage) * 4096n,
    });
  }
  return null;
}
