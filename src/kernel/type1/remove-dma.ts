import { addressOf } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
import type { Iommu } from './iommu.ts';
import { leftoverPins } from './leftover-pins.ts';

/**
 * vfio_remove_dma: takes a mapping away. Pages pinned for the domain are unpinned and given back; pins of
 * drivers that are still there leak, with a WARN_ON (W6).
 */
export function removeMapping(task: Task, iommu: Iommu, slot: number): void {
  const { mappings } = iommu;
  if (mappings.hasPins(slot)) {
    task.warn('W6', {
      iova: addressOf(mappings.iova[slot]!),
      size: addressOf(mappings.size[slot]!),
      ...leftoverPins(iommu, slot),
    });
  }
  if (mappings.iommuMapped(slot)) unmapUnpin(iommu, slot);
  iommu.pins.drop(mappings.pinTree(slot), mappings.pinCount[slot]!);
  if (mappings.vaddrInvalid(slot)) iommu.vaddrValid();
  for (const watcher of iommu.watchers) watcher.forget(slot);
  iommu.freeBitmap(slot);
  iommu.forgetOwner(slot);
  mappings.remove(slot);
  iommu.dmaAvail++;
  if (mappings.root === NIL) iommu.overlapPossible = false;
}

/**
 * vfio_unmap_unpin: unmaps a mapping from the domain and gives back its pages, also those that a driver's pin
 * leaked (late-00222). A mapping that ends at 2^64 is not walked where ends wrap: its pages leak.
 */
function unmapUnpin(iommu: Iommu, slot: number): void {
  iommu.lockAcct(slot, -releaseDomainPages(iommu, slot));
}

/** Takes a mapping's pages out of the domain; how many of them had been charged. */
function releaseDomainPages(iommu: Iommu, slot: number): number {
  const { mappings } = iommu;
  if (!mappings.iommuMapped(slot)) return 0;
  mappings.setIommuMapped(slot, false);
  const reserved = iommu.takeReservedPages(slot);
  return mappings.end(slot) === 0 ? 0 : mappings.size[slot]! - reserved;
}

/** Remembers that a mapping goes because of a call. */
export function noteRemoval(task: Task, { mappings, container }: Iommu, slot: number): void {
  if (task.kernel.hasWords) container.history.noteRemoval(task, mappings.iova[slot]!, mappings.size[slot]!);
}

/** vfio_iommu_unmap_unpin_all: removes every mapping. */
export function* removeAllMappings(task: Task, iommu: Iommu): KernelStep<void> {
  const { mappings } = iommu;
  for (const slot of mappings.inOrder()) {
    const pins = mappings.pinCount[slot]!;
    noteRemoval(task, iommu, slot);
    removeMapping(task, iommu, slot);
    if (task.worked(1 + pins)) yield RESCHED;
  }
}

/**
 * vfio_iommu_unmap_unpin_reaccount: the domain goes, drivers' pins stay. Every mapping leaves the IOMMU; what
 * stays charged is one page a pin.
 */
export function* unmapUnpinReaccount(task: Task, iommu: Iommu): KernelStep<void> {
  const { mappings, pins } = iommu;
  for (const slot of mappings.inOrder()) {
    let locked = 0;
    for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
      if (!iommu.isReserved(pins.pfn[pin]!)) locked++;
      if (task.worked()) yield RESCHED;
    }
    if (task.worked()) yield RESCHED;
    iommu.lockAcct(slot, locked - releaseDomainPages(iommu, slot));
  }
}
