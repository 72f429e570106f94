import type { NotifyResult } from '../driver.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Iommu } from './iommu.ts';

/**
 * vfio_iommu_type1_register_device: a device whose driver has dma_unmap is called from now on, first of all.
 * On a notifier chain (vfio_iommu_type1_register_notifier) it is called last of all.
 */
export function* registerDevice(task: Task, iommu: Iommu, device: Device): KernelStep<void> {
  yield* changeList(task, iommu, device, () => {
    if (task.kernel.gen.type1.channel === 'device-list') iommu.deviceList.unshift(device);
    else iommu.deviceList.push(device);
  });
}

/** vfio_iommu_type1_unregister_device or vfio_iommu_type1_unregister_notifier, of a device that is being closed. */
export function* unregisterDevice(task: Task, iommu: Iommu, device: Device): KernelStep<void> {
  yield* unregisterNotifier(task, iommu, device);
  yield* iommu.shadow.closed(task, iommu, device);
}

/** vfio_iommu_type1_unregister_notifier, of a device that stays open. */
export function* unregisterNotifier(task: Task, iommu: Iommu, device: Device): KernelStep<void> {
  yield* changeList(task, iommu, device, () => {
    iommu.deviceList.splice(iommu.deviceList.indexOf(device), 1);
  });
}

/** The device list changes under iommu->lock and its own; a notifier chain under its own semaphore alone. */
function* changeList(task: Task, iommu: Iommu, device: Device, change: () => void): KernelStep<void> {
  if (!device.driver.hasDmaUnmap) return;
  const nested = task.kernel.gen.type1.channel === 'device-list';
  if (nested && !task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
  if (!task.tryLock(iommu.deviceListLock)) yield* task.lockNested(iommu.deviceListLock);
  change();
  task.unlock(iommu.deviceListLock);
  if (nested) task.unlock(iommu.lock);
}

/** Who calls a device back. */
interface Caller {
  /** Its callback begins; null where its driver does not see it. */
  callbackStarts(device: Device): KernelStep<NotifyResult | void> | null;
  /** It has returned; what is left to do. */
  callbackEnds(device: Device): KernelStep<void> | null;
}

/**
 * Calls every registered device with iommu->lock dropped: before, the device list's lock is taken inside it (the
 * inversion that can deadlock); a notifier chain is read after it was dropped, beside other readers, and ends where a
 * driver says NOTIFY_BAD or NOTIFY_STOP.
 */
export function* callDevices(task: Task, iommu: Iommu, caller: Caller): KernelStep<void> {
  const chain = task.kernel.gen.type1.channel === 'notifier-chain';
  if (!chain && !task.tryLock(iommu.deviceListLock)) yield* task.lockNested(iommu.deviceListLock);
  task.unlock(iommu.lock);
  if (chain) yield* task.lockShared(iommu.deviceListLock);
  const { deviceList } = iommu;
  for (let at = 0; at < deviceList.length; at++) {
    const device = deviceList[at]!;
    const callback = caller.callbackStarts(device);
    const result = callback ? yield* callback : undefined;
    const rest = caller.callbackEnds(device);
    if (rest) yield* rest;
    if (chain && (result === 'NOTIFY_BAD' || result === 'NOTIFY_STOP')) break;
  }
  task.unlock(iommu.deviceListLock);
  if (!task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
}
