import type { KernelContext } from '../context.ts';
import type { Errno } from '../errno.ts';
import type { Container, Group } from '../objects.ts';
import { acquire, type KernelStep, refuse, type Task } from '../task.ts';
import { attachGroup } from '../type1/attach-group.ts';
import { detachContainer, refuseIfDetachHangs } from './container.ts';

/** VFIO_GROUP_FLAGS_VIABLE and _CONTAINER_SET. */
const VIABLE = 1;
const CONTAINER_SET = 2;

const GROUP_CLOSED = "the group's file is closed";

/** vfio_group_fops_open. EBUSY while the group's file exists, be it only for a device that is still open. */
export function openGroup(group: Group): Errno | null {
  if (group.fileOpen) return 'EBUSY';
  group.fileOpen = true;
  group.fdOpen = true;
  return null;
}

/**
 * Closes the caller's group fd. The group itself is released with the last device file (spec section 1.3).
 *
 * @returns EBADF when it is not open
 */
export function* closeGroup(k: KernelContext, task: Task, group: Group): KernelStep<Errno | null> {
  if (!group.fdOpen) return refuse(task, 'EBADF', GROUP_CLOSED);
  const release = openDeviceFiles(group) === 0;
  if (release) refuseIfDetachHangs(group);
  group.fdOpen = false;
  if (release) yield* releaseGroup(k, task, group);
  return null;
}

/** Device files of the group that are open. */
function openDeviceFiles(group: Group): number {
  return group.container ? group.containerUsers - 1 : 0;
}

/** vfio_group_fops_release, once nobody holds the group's file: it leaves its container. */
export function* releaseGroup(k: KernelContext, task: Task, group: Group): KernelStep<void> {
  yield* acquire(task, group.lock);
  if (group.container) yield* detachContainer(k, task, group);
  group.fileOpen = false;
  k.release(task, group.lock);
}

/**
 * VFIO_GROUP_SET_CONTAINER.
 *
 * @returns EBADF when either file is closed; EINVAL with a container set already; what type1's attach answers
 */
export function* setContainer(
  k: KernelContext,
  task: Task,
  group: Group,
  container: Container,
): KernelStep<Errno | null> {
  if (!group.fdOpen) return refuse(task, 'EBADF', GROUP_CLOSED);
  if (!container.open) return refuse(task, 'EBADF', "the container's file is closed");
  yield* acquire(task, group.lock);
  const errno = yield* attachContainer(k, task, group, container);
  k.release(task, group.lock);
  return errno;
}

function* attachContainer(
  k: KernelContext,
  task: Task,
  group: Group,
  container: Container,
): KernelStep<Errno | null> {
  if (group.container)
    return refuse(task, 'EINVAL', `the group is in container ${group.container.id} already`);
  yield* acquire(task, container.groupLock);
  const errno = container.iommu ? yield* attachGroup(k, task, container.iommu, group) : null;
  if (errno === null) {
    group.container = container;
    group.containerUsers = 1;
    container.groups.unshift(group);
  }
  k.release(task, container.groupLock);
  return errno;
}

/** VFIO_GROUP_UNSET_CONTAINER: EBADF, EINVAL without a container, EBUSY while a device file is open. */
export function* unsetContainer(k: KernelContext, task: Task, group: Group): KernelStep<Errno | null> {
  if (!group.fdOpen) return refuse(task, 'EBADF', GROUP_CLOSED);
  yield* acquire(task, group.lock);
  let errno: Errno | null = null;
  if (!group.container) errno = refuse(task, 'EINVAL', 'the group has no container');
  else if (group.containerUsers !== 1) errno = refuse(task, 'EBUSY', 'the device is open');
  else yield* detachContainer(k, task, group);
  k.release(task, group.lock);
  return errno;
}

/** VFIO_GROUP_GET_STATUS: the flags word, or EBADF. */
export function* groupStatus(k: KernelContext, task: Task, group: Group): KernelStep<Errno | number> {
  if (!group.fdOpen) return refuse(task, 'EBADF', GROUP_CLOSED);
  yield* acquire(task, group.lock);
  const flags = group.container ? VIABLE | CONTAINER_SET : VIABLE;
  k.release(task, group.lock);
  return flags;
}
