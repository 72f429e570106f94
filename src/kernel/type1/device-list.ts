import type { KernelContext } from '../context.ts';
import type { Device } from '../objects.ts';
import { acquire, type KernelStep, type Task } from '../task.ts';
import type { Iommu } from './iommu.ts';

/** vfio_iommu_type1_register_device: a device whose driver has dma_unmap is called from now on, first of all. */
export function* registerDevice(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  device: Device,
): KernelStep<void> {
  if (!device.driver.hasDmaUnmap) return;
  yield* acquire(task, iommu.lock);
  yield* acquire(task, iommu.deviceListLock);
  iommu.deviceList.unshift(device);
  k.release(task, iommu.deviceListLock);
  k.release(task, iommu.lock);
}

/** vfio_iommu_type1_unregister_device. */
export function* unregisterDevice(
  k: KernelContext,
  task: Task,
  iommu: Iommu,
  device: Device,
): KernelStep<void> {
  if (!device.driver.hasDmaUnmap) return;
  yield* acquire(task, iommu.lock);
  yield* acquire(task, iommu.deviceListLock);
  iommu.deviceList.splice(iommu.deviceList.indexOf(device), 1);
  k.release(task, iommu.deviceListLock);
  k.release(task, iommu.lock);
}
