import type { Errno } from '../errno.ts';
import { closeFile, holderOf } from '../files.ts';
import type { KernelStep, Task } from '../task.ts';
import { type Container, refused } from './container.ts';
import type {
  DirtyRange,
  IommuInfo,
  MapDmaArgs,
  UnmapDmaArgs,
  UnmapDmaResult,
  UserBitmap,
} from './iommu-ops.ts';

// The ioctls of /dev/vfio/vfio (vfio_fops_unl_ioctl). Each is EBADF where the container's file is closed, and
// otherwise what the container answers. They are plain functions: a generator each would cost as much as the call.

const CLOSED = "the container's file is closed";

/** VFIO_IOMMU_MAP_DMA. */
export function mapDma(task: Task, container: Container, args: MapDmaArgs): KernelStep<Errno | null> {
  return isOpen(task, container) ? container.mapDma(task, args) : refused(task, 'EBADF', CLOSED);
}

/** VFIO_IOMMU_UNMAP_DMA. */
export function unmapDma(task: Task, container: Container, args: UnmapDmaArgs): KernelStep<UnmapDmaResult> {
  return isOpen(task, container) ? container.unmapDma(task, args) : refused(task, 'EBADF', CLOSED);
}

/** VFIO_IOMMU_DIRTY_PAGES: the raw flags; a range with GET_BITMAP. */
export function dirtyPages(
  task: Task,
  container: Container,
  flags: number,
  range: DirtyRange | null,
): KernelStep<Errno | UserBitmap | null> {
  return isOpen(task, container) ? container.dirtyPages(task, flags, range) : refused(task, 'EBADF', CLOSED);
}

/** VFIO_IOMMU_GET_INFO. */
export function getInfo(task: Task, container: Container): KernelStep<Errno | IommuInfo> {
  return isOpen(task, container) ? container.getInfo(task) : refused(task, 'EBADF', CLOSED);
}

/** VFIO_SET_IOMMU: 1, 3, 6, or any other number. */
export function setIommu(task: Task, container: Container, type: number): KernelStep<Errno | null> {
  return isOpen(task, container) ? container.setIommu(task, type) : refused(task, 'EBADF', CLOSED);
}

/** VFIO_CHECK_EXTENSION: 0 or 1. */
export function checkExtension(
  task: Task,
  container: Container,
  extension: number,
): KernelStep<Errno | number> {
  return isOpen(task, container) ? container.checkExtension(task, extension) : refused(task, 'EBADF', CLOSED);
}

/** Whether the caller has the container's file open. */
function isOpen(task: Task, { open, file }: Container): boolean {
  return open && holderOf(task, file) !== null;
}

/** Closes a descriptor of the container's file. The container lives on while groups hold it. */
export function* closeContainer(task: Task, container: Container): KernelStep<Errno | null> {
  const closed = yield* closeFile(task, container.file);
  return closed ? null : task.refuse('EBADF', CLOSED);
}

/** vfio_fops_release, with the last descriptor. */
export function* releaseContainer(task: Task, container: Container): KernelStep<void> {
  yield* container.release(task);
  container.open = false;
  container.file = null;
  putContainer(task, container);
}

/** vfio_container_put: forgets a container that nobody holds. */
export function putContainer({ kernel }: Task, container: Container): void {
  if (!container.inUse) kernel.containers.delete(container.id);
}
