import type { Errno } from '../errno.ts';
import { bug, splatOf } from '../printk.ts';
import type { Task } from '../task.ts';
import type { Binding, Device } from './device.ts';

/**
 * A device of a shared group is taken from its driver and given another, through driver_override and `bind`.
 *
 * A host driver claims the group's DMA for the kernel: EBUSY while user space has it; before 5.19 the notifier of
 * the IOMMU group finds out too late, and is a BUG (C11) of the task that binds.
 *
 * @returns what the write to `bind` answers; the device is bound to nothing then
 */
export function bindDevice(task: Task, device: Device, to: Binding): Errno | null {
  const { group } = device;
  device.boundTo = 'none';
  if (to === 'other' && isInUse(device)) {
    if (!task.kernel.gen.core.claimsDmaOwner) bug(task, splatOf(task, 'C11'), { device: device.id });
    return task.refuse('EBUSY', `user space has the DMA of group ${group.id}: ${userOf(device)}`);
  }
  device.boundTo = to;
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
