import type { KernelContext } from '../context.ts';
import type { Errno } from '../errno.ts';
import type { Container, Group } from '../objects.ts';
import { acquire, type KernelStep, refuse, refuseIfWedged, type Task } from '../task.ts';
import { attachGroup, detachGroup } from '../type1/attach-group.ts';
import { checkExtension } from '../type1/info.ts';
import { Iommu, type Type1Type } from '../type1/iommu.ts';

/** VFIO_UNMAP_ALL and VFIO_UPDATE_VADDR as an IOMMU type. */
const UNMAP_ALL_TYPE = 9;

/**
 * vfio_ioctl_set_iommu.
 *
 * @param type VFIO_TYPE1_IOMMU 1, VFIO_TYPE1v2_IOMMU 3, VFIO_TYPE1_NESTING_IOMMU 6, or any other number
 * @returns EINVAL without a group, with a driver set already, or for type 9; ENODEV for a type nobody claims;
 *   what attaching a group answers
 */
export function* setIommu(
  k: KernelContext,
  task: Task,
  container: Container,
  type: number,
): KernelStep<Errno | null> {
  yield* acquire(task, container.groupLock);
  const errno = yield* openIommu(k, task, container, type);
  k.release(task, container.groupLock);
  return errno;
}

function* openIommu(
  k: KernelContext,
  task: Task,
  container: Container,
  type: number,
): KernelStep<Errno | null> {
  if (container.groups.length === 0) return refuse(task, 'EINVAL', 'the container has no group');
  if (container.iommu) return refuse(task, 'EINVAL', 'the container has an IOMMU already');
  if ((yield* checkExtension(k, task, null, type)) <= 0) {
    return refuse(task, 'ENODEV', `no IOMMU driver claims type ${type}`);
  }
  if (type === UNMAP_ALL_TYPE) return refuse(task, 'EINVAL', 'type 9 is an extension, not an IOMMU type');
  const iommu = new Iommu(
    container.id,
    container.process,
    type as Type1Type,
    k.dmaEntryLimit,
    k.gen,
    k.limits,
  );
  const attached: Group[] = [];
  for (const group of container.groups) {
    const errno = yield* attachGroup(k, task, iommu, group);
    if (errno) {
      for (const done of attached.reverse()) yield* detachGroup(k, task, iommu, done);
      return errno;
    }
    attached.push(group);
  }
  container.iommu = iommu;
  return null;
}

/**
 * CHECK_EXTENSION on a container.
 *
 * @returns 0 or 1; never an errno
 */
export function* containerCheckExtension(
  k: KernelContext,
  task: Task,
  container: Container,
  extension: number,
): KernelStep<number> {
  yield* acquire(task, container.groupLock);
  const value = yield* checkExtension(k, task, container.iommu, extension);
  k.release(task, container.groupLock);
  return value;
}

/** vfio_fops_release: closes the container's file. It lives on while groups hold it. */
export function* closeContainer(k: KernelContext, task: Task, container: Container): KernelStep<void> {
  const { iommu } = container;
  if (iommu && k.gen.closeNotifies) {
    // The close notification of 5.12 to 6.2.
    yield* acquire(task, iommu.lock);
    k.release(task, iommu.lock);
  }
  container.open = false;
}

/** vfio_group_detach_container, with the group's lock held; the last group takes the type1 instance with it. */
export function* detachContainer(k: KernelContext, task: Task, group: Group): KernelStep<void> {
  const container = group.container!;
  yield* acquire(task, container.groupLock);
  if (container.iommu) yield* detachGroup(k, task, container.iommu, group);
  container.groups.splice(container.groups.indexOf(group), 1);
  group.container = null;
  group.containerUsers = 0;
  if (container.groups.length === 0) container.iommu = null;
  k.release(task, container.groupLock);
}

/** Refuses, before anything changes, a call that would detach a group from a container that hangs. */
export function refuseIfDetachHangs(group: Group): void {
  const container = group.container;
  if (!container) return;
  refuseIfWedged(container.groupLock);
  if (container.iommu) refuseIfWedged(container.iommu.lock);
}
