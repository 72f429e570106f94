import type { KernelContext } from '../context.ts';
import type { PinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { Device } from '../objects.ts';
import { acquire, type KernelStep, refuse, refuseIfWedged, type Task } from '../task.ts';
import { registerDevice, unregisterDevice } from '../type1/device-list.ts';
import { type DmaAccess, dmaRw } from '../type1/dma-rw.ts';
import { pinPages, unpinPages } from '../type1/pin-pages.ts';
import { refuseIfDetachHangs } from './container.ts';
import { releaseGroup } from './group.ts';

/** VFIO_PIN_PAGES_MAX_ENTRIES, pages a call. */
export const PIN_PAGES_MAX = 512;

/**
 * VFIO_GROUP_GET_DEVICE_FD. Opening again only counts up; the driver's open_device runs at the first open, and
 * only after it the device is registered with type1.
 *
 * @returns EBADF when the group's file is closed; EINVAL without a container or its IOMMU; what open_device says
 */
export function* openDevice(k: KernelContext, task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (!group.fdOpen) return refuse(task, 'EBADF', "the group's file is closed");
  refuseIfRegistrationHangs(device);
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
  const errno = yield* k.openDevice(task, device);
  if (errno) {
    device.openCount--;
    group.containerUsers--;
    return errno;
  }
  yield* registerDevice(k, task, device.iommu, device);
  return null;
}

/** Registering and unregistering need iommu->lock: refuses, with nothing changed, where it is held for ever. */
function refuseIfRegistrationHangs(device: Device): void {
  refuseIfWedged(device.group.lock);
  if (device.iommu && device.driver.hasDmaUnmap && device.openCount <= 1) refuseIfWedged(device.iommu.lock);
}

/** Closes one device file: with the last one the driver's close_device runs, then the device is unregistered. */
export function* closeDevice(k: KernelContext, task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (device.openCount === 0) return refuse(task, 'EBADF', 'the device is not open');
  refuseIfRegistrationHangs(device);
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

/** vfio_assert_device_open: warns once (C1) when it is not. */
function assertDeviceOpen(k: KernelContext, task: Task, device: Device): boolean {
  if (device.openCount > 0) return true;
  k.warn(task, 'C1', { device: device.id });
  return false;
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
  if (npage === 0) return refuse(task, 'EINVAL', 'npage is 0');
  if (!assertDeviceOpen(k, task, device)) return refuse(task, 'EINVAL', 'the device is not open');
  if (npage < 0 || npage > PIN_PAGES_MAX) {
    return refuse(task, 'E2BIG', `npage ${npage} is not from 1 to ${PIN_PAGES_MAX}`);
  }
  return yield* pinPages(k, task, device.iommu!, device, iova, npage, prot);
}

/** vfio_unpin_pages: answers nothing; warns about a bad count (C2) and a closed device (C1, C3). */
export function* vfioUnpinPages(
  k: KernelContext,
  task: Task,
  device: Device,
  iova: bigint,
  npage: number,
): KernelStep<void> {
  if (npage <= 0 || npage > PIN_PAGES_MAX) {
    k.warn(task, 'C2', { device: device.id, iova });
    return;
  }
  if (!assertDeviceOpen(k, task, device)) {
    k.warn(task, 'C3', { device: device.id, iova });
    return;
  }
  yield* unpinPages(k, task, device.iommu!, device, iova, npage);
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
  if (length === 0) return refuse(task, 'EINVAL', 'length is 0');
  if (!assertDeviceOpen(k, task, device)) return refuse(task, 'EINVAL', 'the device is not open');
  return yield* dmaRw(k, task, device.iommu!, device, iova, access);
}
