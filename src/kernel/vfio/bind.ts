import type { Binding } from '../../../schemas/kinds.ts';
import type { Errno } from '../errno.ts';
import { print } from '../printk.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Device } from './device.ts';
import type { Group } from './group.ts';
import { unregister } from './remove-device.ts';

/**
 * A device of a shared group is taken from its driver and given another, through driver_override and `bind`.
 *
 * Unbinding waits as a removal does.
 *
 * A host driver claims the group's DMA for the kernel: EBUSY while user space has it; before 5.19 the notifier of
 * the IOMMU group finds out too late, and is a BUG (C11) of the task that binds.
 *
 * @returns what the write to `bind` answers; the device is bound to nothing then
 */
export function* bindDevice(task: Task, device: Device, to: Binding): KernelStep<Errno | null> {
  const { group } = device;
  if (device.isBound) {
    if (to === 'vfio-pci') return null;
    if (device.unregistering) return task.refuse('EBUSY', `${device.id} is being removed`);
    yield* unregister(task, device);
    device.unregistering = false;
    device.unlisted = false;
  }
  device.boundTo = 'none';
  if (to === 'other' && isInUse(device)) {
    if (!task.kernel.gen.core.claimsDmaOwner) task.bug('C11', { device: device.id });
    return task.refuse('EBUSY', `user space has the DMA of group ${group.id}: ${userOf(device)}`);
  }
  const errno = to === 'vfio-pci' && device.kind === 'noiommu' ? probeNoIommu(task, device) : null;
  if (errno) return errno;
  device.boundTo = to;
  if (to === 'vfio-pci') renew(group);
  return null;
}

/** A group whose last device was unbound has one again: it is another group, with a file of its own. */
function renew(group: Group): void {
  if (!group.revoked) return;
  group.revoked = false;
  group.fdOpen = false;
  group.fileOpen = false;
  group.file = null;
}

/**
 * vfio_noiommu_group_alloc: a device without an IOMMU can be bound to vfio-pci while the parameter is on; the kernel is
 * tainted from then on (noiommu-param-off).
 */
function probeNoIommu(task: Task, { id }: Device): Errno | null {
  const { kernel } = task;
  const { noIommuProbe: errno, noIommuProbeLine: level } = kernel.gen.core;
  if (!kernel.enableUnsafeNoiommuMode) {
    const what =
      level === 'PR_ERR' ? `vfio-pci ${id}: probe with driver vfio-pci` : `vfio-pci: probe of ${id}`;
    print(task, level, 'vfio_pci', `${what} failed with error -22`);
    return task.refuse(errno, 'the parameter enable_unsafe_noiommu_mode is off');
  }
  kernel.taint.add('U');
  print(task, 'PR_WARN', 'vfio', `vfio-pci ${id}: Adding kernel taint for vfio-noiommu group on device`);
  return null;
}

/** Whether user space has the group's DMA: it is in a container, or a device of it is open. */
function isInUse({ group }: Device): boolean {
  return group.container?.holdsDma === true || group.devices.some(({ openCount }) => openCount > 0);
}

function userOf({ group }: Device): string {
  if (group.container?.holdsDma) return `it is in container ${group.container.id}`;
  return `${group.devices.find(({ openCount }) => openCount > 0)!.id} is open`;
}
