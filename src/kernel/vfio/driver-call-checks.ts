import type { KernelContext } from '../context.ts';
import type { Errno } from '../errno.ts';
import type { Device } from '../objects.ts';
import type { SplatId } from '../splats.ts';
import { refuse, type Task } from '../task.ts';

/** VFIO_PIN_PAGES_MAX_ENTRIES, pages a call. */
export const PIN_PAGES_MAX = 512;

/** The once-only flags of the open check, by caller: one for all up to 6.1, then one each. */
const OPEN_CHECK: Readonly<Record<'pin' | 'unpin' | 'rw', SplatId>> = {
  pin: 'C1',
  unpin: 'C1-unpin',
  rw: 'C1-rw',
};

/** vfio_assert_device_open: warns once (C1) when it is not. */
function assertDeviceOpen(
  k: KernelContext,
  task: Task,
  device: Device,
  caller: 'pin' | 'unpin' | 'rw',
): boolean {
  if (device.openCount > 0) return true;
  k.warn(task, k.gen.openCheckPerCaller ? OPEN_CHECK[caller] : 'C1', { device: device.id });
  return false;
}

/** Whether the device may call at all: it is open, or (5.10) its group is in a container with an IOMMU. */
function mayCall(k: KernelContext, task: Task, device: Device, caller: 'pin' | 'unpin' | 'rw'): boolean {
  if (k.gen.driverCallsNeed === 'group') {
    if (device.iommu) return true;
    refuse(task, 'EINVAL', 'the group has no container with an IOMMU');
    return false;
  }
  if (assertDeviceOpen(k, task, device, caller)) return true;
  refuse(task, 'EINVAL', 'the device is not open');
  return false;
}

/** More than 512, or negative: the comparison is unsigned. */
function countIsBad(npage: number): boolean {
  return npage < 0 || npage > PIN_PAGES_MAX;
}

function badCount(task: Task, npage: number): Errno {
  return refuse(task, 'E2BIG', `npage ${npage} is not from 1 to ${PIN_PAGES_MAX}`);
}

/** What vfio_pin_pages checks before type1 sees the call; null lets it through. */
export function checkPin(k: KernelContext, task: Task, device: Device, npage: number): Errno | null {
  if (npage === 0) return refuse(task, 'EINVAL', 'npage is 0');
  if (k.gen.driverCallsNeed === 'group' && countIsBad(npage)) return badCount(task, npage);
  if (!mayCall(k, task, device, 'pin')) {
    if (k.gen.closedPinWarns) k.warn(task, 'C9', { device: device.id });
    return 'EINVAL';
  }
  if (k.gen.pinNeedsDmaUnmap && !device.driver.hasDmaUnmap) {
    return refuse(task, 'EINVAL', 'the driver has no dma_unmap operation');
  }
  return countIsBad(npage) ? badCount(task, npage) : null;
}

/**
 * What vfio_unpin_pages checks before type1 sees the call; null lets it through. An errno only where the
 * function has an answer; otherwise it warns and returns (`refused`).
 */
export function checkUnpin(
  k: KernelContext,
  task: Task,
  device: Device,
  npage: number,
): Errno | 'refused' | null {
  if (k.gen.unpinAnswers) {
    if (npage === 0) return refuse(task, 'EINVAL', 'npage is 0');
    if (countIsBad(npage)) return badCount(task, npage);
    return mayCall(k, task, device, 'unpin') ? null : 'EINVAL';
  }
  const warn = (id: SplatId): 'refused' => {
    k.warn(task, id, { device: device.id });
    return 'refused';
  };
  const bad = npage === 0 || countIsBad(npage);
  if (bad && k.gen.unpinChecksCountFirst) return warn('C2');
  if (!mayCall(k, task, device, 'unpin')) {
    return k.gen.driverCallsNeed === 'open-device' ? warn('C3') : 'refused';
  }
  if (k.gen.pinNeedsDmaUnmap && !device.driver.hasDmaUnmap) return warn('C10');
  return bad ? warn('C2') : null;
}

/** What vfio_dma_rw checks of a call of `length` bytes before type1 sees it; null lets it through. */
export function checkRw(k: KernelContext, task: Task, device: Device, length: number): Errno | null {
  if (length === 0) return refuse(task, 'EINVAL', 'length is 0');
  return mayCall(k, task, device, 'rw') ? null : 'EINVAL';
}
