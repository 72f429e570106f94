import type { Binding, DeviceKind } from '../../../schemas/kinds.ts';
import type { MdevDriver } from '../driver.ts';
import type { Errno } from '../errno.ts';
import { closeFile, holderOf, OpenFile, refuseFile } from '../files.ts';
import type { PageStore } from '../page-store.ts';
import { print } from '../printk.ts';
import { MASKED_USER } from '../splats.ts';
import type { KernelStep, Task } from '../task.ts';
import { WaitQueue } from '../wait-queue.ts';
import type { Container } from './container.ts';
import { putContainer } from './container-file.ts';
import { GROUP_CLOSED, type Group, hasGroupOpen, refuseRawIo, releaseGroup } from './group.ts';
import type { IommuAccess } from './iommu-ops.ts';

/** A device (struct vfio_device) with its driver; a vfio-pci device has none that listens. */
export class Device {
  /** Open device files (`open_count`). */
  openCount = 0;
  /** The files that are open of it, in the order in which they were opened. */
  readonly files: OpenFile[] = [];
  /** The container its files were opened through; null while none is open. */
  openedThrough: Container | null = null;
  /** What it is bound to; an mdev is bound to its driver always. */
  boundTo: Binding = 'vfio-pci';
  /** Whether it is being removed, and its group has left its container. */
  removed = false;
  /** Its removal waits, or is done. */
  unregistering = false;
  /** It is found by nobody who opens devices any more: it is removed, or about to be. */
  unlisted = false;
  /** Somebody waits until nobody has it open. */
  readonly released: WaitQueue;
  /** What the eventfd of its request channel counted; null: it has none. */
  requests: number | null = null;
  /** The memory bit of the PCI command register: whether its BARs answer. */
  memoryEnabled = true;
  /** The contents of its BAR 0; null until somebody maps it. */
  bar: PageStore | null = null;

  /**
   * @param number counter, from 0; what pins remember of their holder
   */
  constructor(
    readonly id: string,
    readonly number: number,
    readonly kind: DeviceKind,
    readonly driver: MdevDriver,
    readonly group: Group,
  ) {
    this.released = new WaitQueue(`nobody has ${id} open`);
    group.devices.push(this);
  }

  /** Whether a VFIO driver has it: it can be opened. */
  get isBound(): boolean {
    return this.boundTo === 'vfio-pci';
  }

  /** Whether it is found by who opens devices. */
  get isListed(): boolean {
    return this.isBound && !this.unlisted;
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
 * @returns EBADF when the group's file is closed; EMFILE where the caller may open no more; EINVAL without a container; what the container answers
 */
export function* openDevice(task: Task, device: Device): KernelStep<Errno | null> {
  const { group } = device;
  if (!hasGroupOpen(task, group)) return task.refuse('EBADF', GROUP_CLOSED);
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
  const full = refuseFile(task);
  if (full) return full;
  // Which is looked at first decides the errno (group-mf-three-other).
  const { claimsDmaOwner } = task.kernel.gen.core;
  if (claimsDmaOwner && !device.isListed) return refuseUnbound(task, device);
  if (!container) return task.refuse('EINVAL', `group ${device.group.id} is in no container`);
  if (!claimsDmaOwner) {
    if (!container.iommu) return task.refuse('EINVAL', container.whyNoIommu);
    if (!device.group.viable)
      return task.refuse('EINVAL', 'the group is not viable: a device of it has a host driver');
    if (!device.group.noIommu && !device.isListed) return refuseUnbound(task, device);
  }
  const refused = device.group.noIommu && container.iommu ? refuseRawIo(task) : null;
  if (refused) return refused;
  if (!device.isListed) return refuseUnbound(task, device);
  const errno = yield* container.openDevice(task, device);
  if (errno) return errno;
  if (device.group.noIommu) {
    const text = `vfio-pci ${device.id}: vfio-noiommu device opened by user (${MASKED_USER})`;
    print(task, 'PR_WARN', 'vfio', text);
  }
  const file = new OpenFile(device, task.process, (closing) => releaseDevice(closing, device, file));
  device.files.push(file);
  task.process?.files.add(file);
  return null;
}

function refuseUnbound(task: Task, { id, boundTo, unlisted }: Device): Errno {
  if (unlisted) return task.refuse('ENODEV', `${id} is removed, or about to be`);
  const binding = boundTo === 'none' ? 'nothing' : boundTo === 'other' ? 'a host driver' : boundTo;
  return task.refuse('ENODEV', `${id} is bound to ${binding}, not to vfio-pci`);
}

/**
 * Closes the caller's newest descriptor of the device.
 *
 * @returns EBADF when there is none
 */
export function* closeDevice(task: Task, device: Device): KernelStep<Errno | null> {
  const file = device.files.findLast((one) => !one.closing && holderOf(task, one) !== null);
  const closed = file && (yield* closeFile(task, file));
  return closed ? null : task.refuse('EBADF', 'the device is not open');
}

/** Whether the caller has the device open. */
export function hasDeviceOpen(task: Task, { files }: Device): boolean {
  return files.some((file) => holderOf(task, file) !== null);
}

/** vfio_device_fops_release: one device file less; with the last one the driver's close_device runs. */
export function* releaseDevice(task: Task, device: Device, file: OpenFile): KernelStep<void> {
  const { group } = device;
  group.lock.refuseIfWedged();
  device.container?.refuseIfOpenHangs(device, 1);
  const releases = !group.fdOpen && group.containerUsers === 2;
  if (releases) group.container?.refuseIfDetachHangs();
  yield* task.lock(group.lock);
  const container = device.openedThrough!;
  yield* container.closeDevice(task, device);
  device.files.splice(device.files.indexOf(file), 1);
  if (device.openCount === 0) device.openedThrough = null;
  task.unlock(group.lock);
  if (!group.fdOpen && group.containerUsers === 1) yield* releaseGroup(task, group);
  else putContainer(task, container);
  // What its closing did in a container whose removal waits comes before the removal goes on.
  if (device.openCount === 0) {
    device.requests = null;
    device.released.wake(task);
  }
}
