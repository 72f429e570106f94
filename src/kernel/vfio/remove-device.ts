import type { Errno } from '../errno.ts';
import { noteEffect } from '../kernel.ts';
import { print } from '../printk.ts';
import type { KernelStep, Task } from '../task.ts';
import { putContainer } from './container-file.ts';
import type { Device } from './device.ts';
import { closeGroup, type Group } from './group.ts';

/** How often the driver is asked to let a device go, milliseconds (HZ * 10). */
const ASKS_EVERY_MS = 10_000;
/** The line of a request is printed once in so many. */
const PRINTED_EVERY = 10;

/**
 * A device is unbound from its VFIO driver, or an mdev removed: that waits until nobody has a file or a mapping of it
 * (removal-open), and asks its driver for it again and again. Then the driver's remove runs.
 *
 * @param refuse not to wait: EBUSY where a device file is open, or its group would be waited for
 * @returns what the driver's remove says that does not let it go
 */
export function* removeDevice(task: Task, device: Device, refuse: boolean): KernelStep<Errno | null> {
  const { kernel } = task;
  const { driver } = device;
  if (device.unregistering) return task.refuse('EBUSY', `${device.id} is being removed already`);
  const api = kernel.driverApi(task, device);
  if (device.openCount > 0 && refuse) {
    const refused = yield* driver.remove?.(api, true) ?? nothing();
    return refused ?? task.refuse('EBUSY', `${device.id} is open`);
  }
  if (refuse && waitsForGroup(task, device)) {
    return task.refuse('EBUSY', `the group of ${device.id} is in a container`);
  }
  const refused = yield* unregister(task, device);
  if (refused) return refused;
  device.removed = true;
  const errno = yield* driver.remove?.(api, false) ?? nothing();
  device.removed = false;
  if (errno) {
    device.unregistering = false;
    device.unlisted = false;
    return errno;
  }
  if (device.kind === 'mdev' && kernel.gen.core.detachesIommuOfMdev) {
    print(task, 'PR_INFO', 'vfio_mdev', 'vfio_mdev MDEV: MDEV: detaching iommu');
  }
  kernel.forget(device);
  return null;
}

/** Whether no other device of its group is listed. */
function isLastOf(group: Group, device: Device): boolean {
  return !group.devices.some((other) => other !== device && other.isListed);
}

/** Whether the removal of a closed device would wait until its group has left its container. */
function waitsForGroup({ kernel }: Task, device: Device): boolean {
  const { group, driver } = device;
  return (
    kernel.gen.core.groupOutlivesDevices &&
    isLastOf(group, device) &&
    group.container !== null &&
    !driver.closesGroupFirst
  );
}

/** vfio_unregister_group_dev, vfio_del_group_dev up to 5.15. Also of a device that is only unbound. */
export function* unregister(task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  const { groupOutlivesDevices, removedCanOpen } = task.kernel.gen.core;
  if (isLastOf(group, device) && device.openCount === 0 && !groupOutlivesDevices)
    group.container?.refuseIfDetachHangs();
  device.unregistering = true;
  device.unlisted = !removedCanOpen || device.openCount === 0;
  for (let count = 0; device.openCount > 0; count++) {
    const refused = yield* request(task, device, count);
    if (refused) {
      device.unregistering = false;
      device.unlisted = false;
      return refused;
    }
    yield { until: device.released, timeoutMs: ASKS_EVERY_MS };
  }
  device.unlisted = true;
  if (group.devices.some((other) => other.isListed)) return null;
  if (groupOutlivesDevices) {
    if (device.driver.closesGroupFirst) yield* closeGroup(task, group);
    while (group.container) yield { until: group.left, timeoutMs: null };
  } else yield* revoke(task, group);
  return null;
}

/** The driver's request operation: it tells user space that the device is to be released. */
function* request(task: Task, device: Device, count: number): KernelStep<Errno | null> {
  const { driver, kind, id } = device;
  if (kind === 'mdev') {
    if (driver.hasRequest && task.kernel.gen.core.mdevsAreAsked) noteEffect(task, 'requests', id);
    return (yield* driver.remove?.(task.kernel.driverApi(task, device), true) ?? nothing()) ?? null;
  }
  if (device.requests !== null) {
    device.requests++;
    if (count % PRINTED_EVERY === 0) {
      print(task, 'PR_NOTICE', 'vfio_pci', `vfio-pci ${id}: Relaying device request to user (#${count})`);
    }
  } else if (count === 0) {
    const text = 'No device request channel registered, blocked until released by user';
    print(task, 'PR_WARN', 'vfio_pci', `vfio-pci ${id}: ${text}`);
  }
  return null;
}

/** vfio_device_remove_group of the last device: the group leaves its container, and its file is dead (removal-not-open). */
function* revoke(task: Task, group: Group): KernelStep<void> {
  yield* task.lock(group.lock);
  const { container } = group;
  if (container) yield* container.detachGroup(task, group, true);
  group.revoked = true;
  task.unlock(group.lock);
  if (container) putContainer(task, container);
}

function* nothing(): KernelStep<null> {
  return null;
}
