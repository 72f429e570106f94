import type { KernelContext } from '../context.ts';
import type { NotifyResult } from '../driver.ts';
import type { Device } from '../objects.ts';
import { acquire, acquireForGood, acquireShared, type KernelStep, type Task } from '../task.ts';
import type { Iommu } from './iommu.ts';

/**
 * vfio_iommu_type1_register_device: a device whose driver has dma_unmap is called from now on, first of all.
 * On a notifier chain (vfio_iommu_type1_register_notifier) it is called last of all.
 */
export function* registerDevice(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  device: Device,
): KernelStep<void> {
  yield* changeList(k, task, iommu, device, () => {
    if (k.gen.channel === 'device-list') iommu.deviceList.unshift(device);
    else iommu.deviceList.push(device);
  });
}

/** vfio_iommu_type1_unregister_device, or _unregister_notifier. */
export function* unregisterDevice(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  device: Device,
): KernelStep<void> {
  yield* changeList(k, task, iommu, device, () => {
    iommu.deviceList.splice(iommu.deviceList.indexOf(device), 1);
  });
}

/** The device list changes under iommu->lock and its own; a notifier chain under its own semaphore alone. */
function* changeList(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  device: Device,
  change: () => void,
): KernelStep<void> {
  if (!device.driver.hasDmaUnmap) return;
  const nested = k.gen.channel === 'device-list';
  if (nested) yield* acquire(task, iommu.lock);
  yield* acquireForGood(task, iommu.deviceListLock);
  change();
  k.release(task, iommu.deviceListLock);
  if (nested) k.release(task, iommu.lock);
}

/**
 * Calls `deliver` for every registered device with iommu->lock dropped: before, the device list's lock is taken
 * inside it (the inversion that can deadlock); a notifier chain is read after it was dropped, beside other
 * readers, and ends where a driver says NOTIFY_BAD or NOTIFY_STOP.
 */
export function* callDevices(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  deliver: (device: Device) => KernelStep<NotifyResult | void>,
): KernelStep<void> {
  const chain = k.gen.channel === 'notifier-chain';
  if (!chain) yield* acquireForGood(task, iommu.deviceListLock);
  k.release(task, iommu.lock);
  if (chain) yield* acquireShared(task, iommu.deviceListLock);
  for (const device of iommu.deviceList) {
    const result = yield* deliver(device);
    if (chain && (result === 'NOTIFY_BAD' || result === 'NOTIFY_STOP')) break;
  }
  k.release(task, iommu.deviceListLock);
  yield* acquire(task, iommu.lock);
}
