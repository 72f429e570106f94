import type { Errno } from '../errno.ts';
import type { IommuHardware } from '../iommu/hardware.ts';
import { Lock } from '../lock.ts';
import type { KernelStep, Task } from '../task.ts';
import { VFIO_GROUP_FLAGS_CONTAINER_SET, VFIO_GROUP_FLAGS_VIABLE } from '../uapi.ts';
import type { Container } from './container.ts';
import { putContainer } from './container-file.ts';

const GROUP_CLOSED = "the group's file is closed";

/** An IOMMU group with its one device (struct vfio_group). */
export class Group {
  container: Container | null = null;
  /** 0 without a container; 1 with one, plus one for each open device file that holds it. */
  containerUsers = 0;
  /** Whether the caller's /dev/vfio/N is open. */
  fdOpen = false;
  /** Whether the group file exists: its own fd or a device's keeps it (`opened_file`). */
  fileOpen = false;
  /** Only pins make this group's pages dirty; false for an IOMMU-backed group that never pinned. */
  pinnedPageDirtyScope = false;
  /** Whether a device that is open outside any container of the group owns its DMA (iommufd). */
  dmaOwnerClaimed = false;
  /** `group_lock`. */
  readonly lock: Lock;

  constructor(
    readonly id: string,
    /** What its devices lie behind; null for mdevs (VFIO_EMULATED_IOMMU). */
    public iommu: IommuHardware | null,
  ) {
    this.lock = new Lock(`group ${id} group_lock`);
  }

  /** Whether its devices are mdevs (VFIO_EMULATED_IOMMU). */
  get emulated(): boolean {
    return this.iommu === null;
  }
}

/** vfio_group_fops_open. EBUSY while the group's file exists, be it only for a device that is still open. */
export function openGroup(group: Group): Errno | null {
  if (group.fileOpen) return 'EBUSY';
  group.fileOpen = true;
  group.fdOpen = true;
  return null;
}

/**
 * Closes the caller's group fd. The group itself is released with the last device file that holds it
 * (spec section 1.3).
 *
 * @returns EBADF when it is not open
 */
export function* closeGroup(task: Task, group: Group): KernelStep<Errno | null> {
  if (!group.fdOpen) return task.refuse('EBADF', GROUP_CLOSED);
  const release = openDeviceFiles(group) === 0;
  if (release) group.container?.refuseIfDetachHangs();
  group.fdOpen = false;
  if (release) yield* releaseGroup(task, group);
  return null;
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
  if (container) putContainer(task, container);
}

/**
 * VFIO_GROUP_SET_CONTAINER.
 *
 * @returns EBADF when either file is closed; EINVAL with a container set already; what the container answers
 */
export function* setContainer(task: Task, group: Group, container: Container): KernelStep<Errno | null> {
  if (!group.fdOpen) return task.refuse('EBADF', GROUP_CLOSED);
  if (!container.open) return task.refuse('EBADF', "the container's file is closed");
  yield* task.lock(group.lock);
  const errno = group.container
    ? task.refuse('EINVAL', `the group is in container ${group.container.id} already`)
    : yield* container.attachGroup(task, group);
  task.unlock(group.lock);
  return errno;
}

/** VFIO_GROUP_UNSET_CONTAINER: EBADF, EINVAL without a container, otherwise what the container answers. */
export function* unsetContainer(task: Task, group: Group): KernelStep<Errno | null> {
  if (!group.fdOpen) return task.refuse('EBADF', GROUP_CLOSED);
  yield* task.lock(group.lock);
  const { container } = group;
  const errno = container
    ? yield* container.detachGroup(task, group, false)
    : task.refuse('EINVAL', 'the group has no container');
  task.unlock(group.lock);
  if (container) putContainer(task, container);
  return errno;
}

/** VFIO_GROUP_GET_STATUS: the flags word, or EBADF. */
export function* groupStatus(task: Task, group: Group): KernelStep<Errno | number> {
  if (!group.fdOpen) return task.refuse('EBADF', GROUP_CLOSED);
  yield* task.lock(group.lock);
  const viable = group.dmaOwnerClaimed ? 0 : VFIO_GROUP_FLAGS_VIABLE;
  const flags = group.container ? VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET : viable;
  task.unlock(group.lock);
  return flags;
}
