import type { MdevDriver } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Container } from './container.ts';
import { putContainer } from './container-file.ts';
import { closeGroup, GROUP_CLOSED, type Group, heldOpenBy, releaseGroup } from './group.ts';
import type { IommuAccess } from './iommu-ops.ts';

/**
 * What a device is bound to: vfio-pci; nothing; pci-stub, which does no DMA; or a host driver (`other`), which makes
 * its group not viable.
 */
export type Binding = 'vfio-pci' | 'none' | 'pci-stub' | 'other';

/** A device (struct vfio_device) with its driver; a vfio-pci device has none that listens. */
export class Device {
  /** Open device files (`open_count`). */
  openCount = 0;
  /** The container its files were opened through; null while none is open. */
  openedThrough: Container | null = null;
  /** What it is bound to; an mdev is bound to its driver always. */
  boundTo: Binding = 'vfio-pci';
  /** Whether it is being removed, and its group has left its container. */
  removed = false;

  /**
   * @param number counter, from 0; what pins remember of their holder
   */
  constructor(
    readonly id: string,
    readonly number: number,
    readonly kind: 'mdev' | 'vfio-pci',
    readonly driver: MdevDriver,
    readonly group: Group,
  ) {
    group.devices.push(this);
  }

  /** Whether a VFIO driver has it: it can be opened. */
  get isBound(): boolean {
    return this.boundTo === 'vfio-pci';
  }

  /** The container its driver's calls go to: the one it was opened through, or else its group's. */
  get container(): Container | null {
    return this.openedThrough ?? this.group.container;
  }

  /** What its driver's pin, unpin and dma_rw reach, if anything. */
  get iommu(): IommuAccess | null {
    return this.container?.iommu ?? null;
  }
}

/**
 * VFIO_GROUP_GET_DEVICE_FD. Opening again only counts up.
 *
 * @returns EBADF when the group's file is closed; EINVAL without a container; what the container answers
 */
export function* openDevice(task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (!group.fdOpen) return task.refuse('EBADF', GROUP_CLOSED);
  group.lock.refuseIfWedged();
  group.container?.refuseIfOpenHangs(device, 0);
  yield* task.lock(group.lock);
  // While this call waited for the lock another one may have closed the group.
  const errno = group.fdOpen ? yield* openThroughGroup(task, device) : task.refuse('EBADF', GROUP_CLOSED);
  task.unlock(group.lock);
  return errno;
}

function* openThroughGroup(task: Task, device: Device): KernelStep<Errno | null> {
  const { container } = device.group;
  // Which is looked at first decides the errno (group-mf-three-other).
  const { claimsDmaOwner } = task.kernel.gen.core;
  if (claimsDmaOwner && !device.isBound) return refuseUnbound(task, device);
  if (!container) return task.refuse('EINVAL', `group ${device.group.id} is in no container`);
  if (!claimsDmaOwner) {
    if (!container.iommu) return task.refuse('EINVAL', container.whyNoIommu);
    if (!device.group.viable)
      return task.refuse('EINVAL', 'the group is not viable: a device of it has a host driver');
    if (!device.isBound) return refuseUnbound(task, device);
  }
  return yield* container.openDevice(task, device);
}

function refuseUnbound(task: Task, { id, boundTo }: Device): Errno {
  const binding = boundTo === 'none' ? 'nothing' : boundTo === 'other' ? 'a host driver' : boundTo;
  return task.refuse('ENODEV', `${id} is bound to ${binding}, not to vfio-pci`);
}

/**
 * Closes one device file; with the last one the driver's close_device runs.
 *
 * @returns EBADF when none is open
 */
export function* closeDevice(task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (device.openCount === 0) return task.refuse('EBADF', 'the device is not open');
  group.lock.refuseIfWedged();
  device.container?.refuseIfOpenHangs(device, 1);
  const releases = !group.fdOpen && group.containerUsers === 2;
  if (releases) group.container?.refuseIfDetachHangs();
  yield* task.lock(group.lock);
  const container = device.openedThrough;
  if (!container) {
    task.unlock(group.lock);
    return task.refuse('EBADF', 'another call closed the device meanwhile');
  }
  yield* container.closeDevice(task, device);
  if (device.openCount === 0) device.openedThrough = null;
  task.unlock(group.lock);
  if (!group.fdOpen && group.containerUsers === 1) yield* releaseGroup(task, group);
  else putContainer(task, container);
  return null;
}

/**
 * The mdev is removed: its group's file goes first, as nobody could name the group any more, then its driver's
 * remove runs.
 *
 * @returns EBUSY while a device file is open; the errno of a driver's remove that does not release it
 */
export function* removeDevice(task: Task, device: Device): KernelStep<Errno | null> {
  const { kernel } = task;
  const { driver, group } = device;
  const api = kernel.driverApi(task, device);
  if (device.openCount > 0) {
    const refused = yield* driver.remove?.(api, true) ?? nothing();
    return refused ?? task.refuse('EBUSY', heldOpenBy(group));
  }
  // vfio_unregister_group_dev: the group leaves its container before the driver goes on.
  if (group.fdOpen) yield* closeGroup(task, group);
  device.removed = true;
  const errno = yield* driver.remove?.(api, false) ?? nothing();
  device.removed = false;
  if (errno) return errno;
  kernel.forget(device);
  return null;
}

function* nothing(): KernelStep<null> {
  return null;
}
