import type { Errno } from '../errno.ts';
import { NIL } from '../rb-links.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Iommu } from './iommu.ts';

/** Whether what needs a vaddr that is invalid waits for it; later kernels refuse. */
export function waitsForVaddr({ gen, vaddrInvalidCount }: Iommu): boolean {
  return vaddrInvalidCount > 0 && !gen.type1.vaddrExcludesMdevs;
}

/**
 * vfio_wait_all_valid: waits until every vaddr is valid again, with iommu->lock dropped meanwhile. At once where nobody
 * waits on this kernel.
 *
 * @returns EFAULT once the container's file is closed
 */
export function* waitAllValid(task: Task, iommu: Iommu): KernelStep<Errno | null> {
  while (waitsForVaddr(iommu)) {
    const errno = yield* wait(task, iommu);
    if (errno) return errno;
  }
  return null;
}

/**
 * vfio_find_dma_valid of the pages [start, end): waits while the mapping found has an invalid vaddr.
 *
 * @returns EFAULT once the container's file is closed
 */
export function* waitValid(task: Task, iommu: Iommu, start: number, end: number): KernelStep<Errno | null> {
  const { mappings } = iommu;
  for (let page = start; page < end && waitsForVaddr(iommu); ) {
    const slot = mappings.find(page, mappings.wrapEnd(page + 1));
    if (slot === NIL) return null;
    if (!mappings.vaddrInvalid(slot)) {
      page = mappings.iova[slot]! + mappings.size[slot]!;
      continue;
    }
    const errno = yield* wait(task, iommu);
    if (errno) return errno;
    // Everything may have changed meanwhile: the kernel begins again.
    page = start;
  }
  return null;
}

/** vfio_wait. */
function* wait(task: Task, iommu: Iommu): KernelStep<Errno | null> {
  task.unlock(iommu.lock);
  yield { wait: iommu.vaddrWait, shared: true };
  task.unlock(iommu.vaddrWait);
  yield* task.lock(iommu.lock);
  if (iommu.container.open) return null;
  return task.refuse('EFAULT', "the container's file was closed while the call waited for a vaddr");
}
