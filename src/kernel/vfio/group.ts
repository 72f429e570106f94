import { VFIO_GROUP_FLAGS_CONTAINER_SET, VFIO_GROUP_FLAGS_VIABLE } from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import { closeFile, holderOf, OpenFile, refuseFile } from '../files.ts';
import type { GuestId } from '../guest.ts';
import type { IommuHardware } from '../iommu/hardware.ts';
import type { Kernel } from '../kernel.ts';
import { Lock } from '../lock.ts';
import type { Process } from '../process.ts';
import type { KernelStep, Task } from '../task.ts';
import { WaitQueue } from '../wait-queue.ts';
import type { Container } from './container.ts';
import { putContainer } from './container-file.ts';
import type { Device } from './device.ts';

export const GROUP_CLOSED = "the group's file is closed";

/** An IOMMU group (struct vfio_group) with its devices; an mdev is alone in its. */
export class Group {
  /** In the order in which they were made. */
  readonly devices: Device[] = [];
  container: Container | null = null;
  /** 0 without a container; 1 with one, plus one for each open device file that holds it. */
  containerUsers = 0;
  /** Whether /dev/vfio/N is open. */
  fdOpen = false;
  /** The file that is open of it; null: none. */
  file: OpenFile | null = null;
  /** Whether the group file exists: its own fd or a device's keeps it (`opened_file`). */
  fileOpen = false;
  /** Only pins make this group's pages dirty; false for an IOMMU-backed group that never pinned. */
  pinnedPageDirtyScope = false;
  /** Whether a device that is open outside any container of the group owns its DMA (iommufd). */
  dmaOwnerClaimed = false;
  /** Its last device is gone, and its file dead (its iommu_group is NULL). */
  revoked = false;
  /** Somebody waits until it has left its container. */
  readonly left: WaitQueue;
  /** The guest that the group's file was given to (`kvm`); null: none; undefined: its device's own. */
  guest: GuestId | null | undefined = undefined;
  /** The guest that had it last: whose vCPUs reach its devices. */
  lastGuest: GuestId | null = null;
  /** `group_lock`. */
  readonly lock: Lock;
  /** What a snapshot calls it: its id, unless it has that of another group (`nameGroups`). */
  savedAs: string;

  constructor(
    readonly id: string,
    /** What its devices lie behind; null for mdevs (VFIO_EMULATED_IOMMU). */
    public iommu: IommuHardware | null,
    /** Whether its device has no IOMMU although it is no mdev (VFIO_NO_IOMMU). */
    readonly noIommu: boolean = false,
  ) {
    this.savedAs = id;
    this.left = new WaitQueue(`group ${id} has left its container`);
    this.lock = new Lock(`group ${id} group_lock`);
  }

  /** Whether /dev/vfio has it: a device of it has a VFIO driver. */
  get hasNode(): boolean {
    return this.devices.some((device) => device.isBound);
  }

  /** vfio_group_viable: no device of it has a host driver, which would do DMA of its own. */
  get viable(): boolean {
    return this.devices.every(({ boundTo }) => boundTo !== 'other');
  }

  /** Whether its devices are mdevs (VFIO_EMULATED_IOMMU). */
  get emulated(): boolean {
    return this.iommu === null && !this.noIommu;
  }
}

/**
 * vfio_group_fops_open.
 *
 * @returns EMFILE where the caller may open no more; ENOENT where no device of the group has a VFIO driver; EBUSY while the group's file exists, be it only for
 *   a device that is still open
 */
export function openGroup(task: Task, group: Group): Errno | null {
  const { groupOutlivesDevices } = task.kernel.gen.core;
  const full = refuseFile(task);
  if (full) return full;
  if (!group.hasNode && !(groupOutlivesDevices && group.fileOpen))
    return task.refuse('ENOENT', `no device of group ${group.id} is bound to a VFIO driver`);
  const refused = group.noIommu ? refuseRawIo(task) : null;
  if (refused) return refused;
  if (group.fileOpen) return task.refuse('EBUSY', fileHeldBy(group));
  group.fileOpen = true;
  group.fdOpen = true;
  group.file = newGroupFile(task.kernel, group, task.process);
  task.process?.files.add(group.file);
  return null;
}

/** A file of a group's node, which the kernel knows until nobody has it open. */
export function newGroupFile({ groupFiles }: Kernel, group: Group, opener: Process | null): OpenFile {
  const file: OpenFile = new OpenFile(group, opener, function* (task) {
    yield* releaseFile(task, group, file);
    groupFiles.delete(file);
  });
  groupFiles.add(file);
  return file;
}

/** Whether the caller has the group's file open. */
export function hasGroupOpen(task: Task, { fdOpen, file }: Group): boolean {
  return fdOpen && holderOf(task, file) !== null;
}

/** Who uses a device without an IOMMU can reach all memory: EPERM without CAP_SYS_RAWIO. */
export function refuseRawIo(task: Task): Errno | null {
  if (task.process?.capSysRawio) return null;
  return task.refuse(
    'EPERM',
    `${task.process?.id} has no CAP_SYS_RAWIO, which a device without an IOMMU takes`,
  );
}

/** The group's file is dead: its last device was removed. */
function refuseRevoked(task: Task, { id, revoked }: Group): Errno | null {
  return revoked ? task.refuse('ENODEV', `the last device of group ${id} was removed`) : null;
}

/** A group's devices by name, in words. */
export function namesOf({ devices }: Group): string {
  return devices.map(({ id }) => id).join(' and ');
}

/** Which of its devices keep a group in its container, in words. */
export function heldOpenBy({ id, devices }: Group): string {
  const open = devices.filter(({ openCount }) => openCount > 0);
  const files = open.map((device) => {
    return device.openCount === 1 ? device.id : `${device.id} (${device.openCount} files)`;
  });
  return `group ${id} is in use: ${files.join(' and ')} ${open.length === 1 ? 'is' : 'are'} open`;
}

/** Who holds a group's file, in words. */
function fileHeldBy({ id, fdOpen, devices }: Group): string {
  if (fdOpen) return `the file of group ${id} is open`;
  const open = devices.filter(({ openCount }) => openCount > 0).map((device) => device.id);
  return `the file of group ${id} was closed, but ${open.join(' and ')}, opened through it, still holds it`;
}

/**
 * Closes the caller's group fd.
 *
 * @returns EBADF when it is not open
 */
export function* closeGroup(task: Task, group: Group): KernelStep<Errno | null> {
  const closed = group.fdOpen && (yield* closeFile(task, group.file));
  return closed ? null : task.refuse('EBADF', GROUP_CLOSED);
}

/** The group's file, with its last descriptor. The group itself is released with the last device file that holds it. */
function* releaseFile(task: Task, group: Group, file: OpenFile): KernelStep<void> {
  // A dead file, of before the group had devices again, is nobody's.
  if (group.file !== file) return;
  const release = openDeviceFiles(group) === 0;
  if (release) group.container?.refuseIfDetachHangs();
  group.fdOpen = false;
  group.file = null;
  if (release) yield* releaseGroup(task, group);
}

/** Device files that hold the group's. */
function openDeviceFiles(group: Group): number {
  return group.container ? group.containerUsers - 1 : 0;
}

/** vfio_group_fops_release, once nobody holds the group's file: it leaves its container. */
export function* releaseGroup(task: Task, group: Group): KernelStep<void> {
  yield* task.lock(group.lock);
  const { container } = group;
  if (container) yield* container.detachGroup(task, group, true);
  group.fileOpen = false;
  task.unlock(group.lock);
  group.left.wake(task);
  if (container) putContainer(task, container);
}

/**
 * VFIO_GROUP_SET_CONTAINER.
 *
 * @returns EBADF when either file is closed; EINVAL with a container set already; what the container answers
 */
export function* setContainer(task: Task, group: Group, container: Container): KernelStep<Errno | null> {
  if (!hasGroupOpen(task, group)) return task.refuse('EBADF', GROUP_CLOSED);
  if (!container.open || (task.namesProcess && !holderOf(task, container.file)))
    return task.refuse('EBADF', "the container's file is closed");
  yield* task.lock(group.lock);
  const errno =
    refuseRevoked(task, group) ??
    refuseSetContainer(task, group, container) ??
    (yield* container.attachGroup(task, group));
  task.unlock(group.lock);
  return errno;
}

/** A group in a container already; from 5.19 on also one whose DMA cannot be claimed. */
function refuseSetContainer(task: Task, group: Group, container: Container): Errno | null {
  if (group.container) {
    return task.refuse('EINVAL', `the group is in container ${group.container.id} already`);
  }
  const refused = group.noIommu ? refuseRawIo(task) : null;
  if (refused) return refused;
  if (container.groups.some((other) => other.noIommu !== group.noIommu)) {
    return task.refuse('EPERM', 'groups with and without an IOMMU are never in one container');
  }
  if (!task.kernel.gen.core.claimsDmaOwner || !container.holdsDma) return null;
  return refuseHostDriver(task, group);
}

/** iommu_group_claim_dma_owner: EPERM for a group with a host driver among its devices. */
export function refuseHostDriver(task: Task, group: Group): Errno | null {
  const other = group.devices.find(({ boundTo }) => boundTo === 'other');
  return other ? task.refuse('EPERM', `${other.id}, in the same group, is bound to a host driver`) : null;
}

/** VFIO_GROUP_UNSET_CONTAINER: EBADF, EINVAL without a container, otherwise what the container answers. */
export function* unsetContainer(task: Task, group: Group): KernelStep<Errno | null> {
  if (!hasGroupOpen(task, group)) return task.refuse('EBADF', GROUP_CLOSED);
  yield* task.lock(group.lock);
  const { container } = group;
  const errno = container
    ? yield* container.detachGroup(task, group, false)
    : task.refuse('EINVAL', 'the group has no container');
  task.unlock(group.lock);
  group.left.wake(task);
  if (container) putContainer(task, container);
  return errno;
}

/** VFIO_GROUP_GET_STATUS: the flags word, or EBADF. */
export function* groupStatus(task: Task, group: Group): KernelStep<Errno | number> {
  if (!hasGroupOpen(task, group)) return task.refuse('EBADF', GROUP_CLOSED);
  yield* task.lock(group.lock);
  const dead = refuseRevoked(task, group);
  if (dead) {
    task.unlock(group.lock);
    return dead;
  }
  const viable = group.viable && !group.dmaOwnerClaimed;
  const owned = group.container !== null && task.kernel.gen.core.claimsDmaOwner;
  const flags =
    (viable || owned ? VFIO_GROUP_FLAGS_VIABLE : 0) | (group.container ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
  task.unlock(group.lock);
  return flags;
}
