import type { KernelContext } from '../context.ts';
import type { PinResult, UnpinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { Device } from '../objects.ts';
import { acquire, type KernelStep, refuse, refuseIfWedged, type Task } from '../task.ts';
import { registerDevice, unregisterDevice } from '../type1/device-list.ts';
import { type DmaAccess, dmaRw } from '../type1/dma-rw.ts';
import { pinPages, unpinPages } from '../type1/pin-pages.ts';
import { refuseIfDetachHangs } from './container.ts';
import { checkPin, checkRw, checkUnpin } from './driver-call-checks.ts';
import { releaseGroup } from './group.ts';

/**
 * VFIO_GROUP_GET_DEVICE_FD. Opening again only counts up; the driver's open_device runs at the first open, and
 * the device is registered with type1 after it (from 6.2: before it).
 *
 * @returns EBADF when the group's file is closed; EINVAL without a container or its IOMMU; what open_device says
 */
export function* openDevice(k: KernelContext, task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (!group.fdOpen) return refuse(task, 'EBADF', "the group's file is closed");
  refuseIfRegistrationHangs(k, device, 0);
  yield* acquire(task, group.lock);
  // While this call waited for the lock another one may have closed the group.
  const errno = group.fdOpen ? yield* doOpen(k, task, device) : 'EBADF';
  k.release(task, group.lock);
  return errno;
}

function* doOpen(k: KernelContext, task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (!device.iommu) return refuse(task, 'EINVAL', 'the group has no container with an IOMMU');
  group.containerUsers++;
  device.openCount++;
  if (device.openCount > 1) return null;
  const { registersBeforeOpen } = k.gen;
  if (registersBeforeOpen) yield* registerDevice(k, task, device.iommu, device);
  const errno = yield* k.openDevice(task, device);
  if (errno) {
    if (registersBeforeOpen) yield* unregisterDevice(k, task, device.iommu, device);
    device.openCount--;
    group.containerUsers--;
    return errno;
  }
  if (!registersBeforeOpen) yield* registerDevice(k, task, device.iommu, device);
  return null;
}

/**
 * Refuses, with nothing changed, where a lock that registering and unregistering need is held for ever. They
 * happen at the first open and at the last close: `at` open files.
 */
function refuseIfRegistrationHangs(k: KernelContext, device: Device, at: 0 | 1): void {
  refuseIfWedged(device.group.lock);
  if (!device.iommu || !device.driver.hasDmaUnmap || device.openCount !== at) return;
  if (k.gen.channel === 'device-list') refuseIfWedged(device.iommu.lock);
  else refuseIfWedged(device.iommu.deviceListLock);
}

/** Closes one device file: with the last one the driver's close_device runs, then the device is unregistered. */
export function* closeDevice(k: KernelContext, task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (device.openCount === 0) return refuse(task, 'EBADF', 'the device is not open');
  refuseIfRegistrationHangs(k, device, 1);
  const releases = !group.fdOpen && group.containerUsers === 2;
  if (releases) refuseIfDetachHangs(group);
  yield* acquire(task, group.lock);
  if (device.openCount === 0) {
    k.release(task, group.lock);
    return 'EBADF';
  }
  if (device.openCount === 1) {
    yield* k.closeDevice(task, device);
    yield* unregisterDevice(k, task, device.iommu!, device);
    device.iommu!.shadow.closed(k, task, device.iommu!, device);
  }
  device.openCount--;
  group.containerUsers--;
  k.release(task, group.lock);
  if (!group.fdOpen && group.containerUsers === 1) yield* releaseGroup(k, task, group);
  return null;
}

/** The key a driver's IOVA becomes: the exact byte, or its page where pins are made by page frame. */
function keyOf(k: KernelContext, iova: bigint): bigint {
  return k.gen.pinsByPage ? iova & ~0xfffn : iova;
}

/**
 * vfio_pin_pages.
 *
 * @param npage any 32-bit number: 0 is EINVAL; above 512, or negative, E2BIG (the comparison is unsigned)
 */
export function* vfioPinPages(
  k: KernelContext,
  task: Task,
  device: Device,
  iova: bigint,
  npage: number,
  prot: number,
): KernelStep<PinResult> {
  const refused = checkPin(k, task, device, npage);
  if (refused) return refused;
  return yield* pinPages(k, task, device.iommu!, device, keyOf(k, iova), npage, prot);
}

/**
 * vfio_unpin_pages. Where the function answers nothing it warns; where it has an answer that is the number of
 * pages walked, or an errno.
 */
export function* vfioUnpinPages(
  k: KernelContext,
  task: Task,
  device: Device,
  iova: bigint,
  npage: number,
): KernelStep<UnpinResult> {
  const refused = checkUnpin(k, task, device, npage);
  if (refused) return refused === 'refused' ? null : refused;
  return yield* unpinPages(k, task, device.iommu!, device, keyOf(k, iova), npage);
}

/** vfio_dma_rw: EINVAL for no bytes or a closed device, otherwise what type1 answers. */
export function* vfioDmaRw(
  k: KernelContext,
  task: Task,
  device: Device,
  iova: bigint,
  access: DmaAccess,
): KernelStep<Errno | Uint8Array> {
  const length = 'write' in access ? access.write.length : access.read;
  const refused = checkRw(k, task, device, length);
  if (refused) return refused;
  return yield* dmaRw(k, task, device.iommu!, device, iova, access);
}
