import type { DmaAccess, PinResult, UnpinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Device } from './device.ts';
import { checkPin, checkRw, checkUnpin } from './driver-call-checks.ts';

/** The key a driver's IOVA becomes: the exact byte, or its page where pins are made by page frame (5.10). */
export function pinKey(task: Task, iova: bigint): bigint {
  return task.kernel.gen.core.pinsByPage ? iova & ~0xfffn : iova;
}

/**
 * vfio_pin_pages.
 *
 * @param npage any 32-bit number: 0 is EINVAL; above 512, or negative, E2BIG (the comparison is unsigned)
 */
export function* vfioPinPages(
  task: Task,
  device: Device,
  iova: bigint,
  npage: number,
  prot: number,
): KernelStep<PinResult> {
  const refused = checkPin(task, device, npage);
  if (refused) return refused;
  return yield* device.iommu!.pinPages(task, device, pinKey(task, iova), npage, prot);
}

/**
 * vfio_unpin_pages. Where the function answers nothing it warns; where it has an answer that is the number of
 * pages walked, or an errno.
 */
export function* vfioUnpinPages(
  task: Task,
  device: Device,
  iova: bigint,
  npage: number,
): KernelStep<UnpinResult> {
  const refused = checkUnpin(task, device, npage);
  if (typeof refused === 'string') return refused;
  if (refused) {
    device.iommu?.unpinRefused(task, device, iova, refused.why);
    return null;
  }
  return yield* device.iommu!.unpinPages(task, device, pinKey(task, iova), npage);
}

/** vfio_dma_rw: EINVAL for no bytes or a closed device, otherwise what the engine answers. */
export function* vfioDmaRw(
  task: Task,
  device: Device,
  iova: bigint,
  access: DmaAccess,
): KernelStep<Errno | Uint8Array> {
  const length = 'write' in access ? access.write.length : access.read;
  const refused = checkRw(task, device, length);
  if (refused) return refused;
  return yield* device.iommu!.dmaRw(task, device, iova, access);
}
