import type { Errno } from '../errno.ts';
import { NIL } from '../rb-links.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Group } from '../vfio/group.ts';
import type { IovaRange } from '../vfio/iommu-ops.ts';
import { chargeMapping } from './charge-mapping.ts';
import { ALL_IOVA, type Iommu } from './iommu.ts';
import { removeAllMappings, unmapUnpinReaccount } from './remove-dma.ts';

/** Aperture of the recorded (emulated Intel) IOMMU: 39 bits, in pages. */
const APERTURE: IovaRange = { start: 0, end: 2 ** 27 };
/** Its reserved region, the MSI window 0xfee00000-0xfeefffff, in pages. */
const MSI_WINDOW: IovaRange = { start: 0xfee00, end: 0xfef00 };
/** What is left of the aperture without the reserved region. */
export const USABLE: readonly IovaRange[] = [
  { start: APERTURE.start, end: MSI_WINDOW.start },
  { start: MSI_WINDOW.end, end: APERTURE.end },
];

/**
 * vfio_iommu_type1_attach_group.
 *
 * @returns EBUSY while a vaddr is invalid; for a group behind the IOMMU also EINVAL when a mapping does not fit
 *   its aperture or reserved regions, or (5.10: ENODEV,
 *   multi-00018) nesting was asked for; EFAULT or ENOMEM (L1) from replaying mappings
 */
export function* attachGroup(task: Task, iommu: Iommu, group: Group): KernelStep<Errno | null> {
  yield* task.lock(iommu.lock);
  const errno = doAttach(task, iommu, group);
  task.unlock(iommu.lock);
  return errno;
}

function doAttach(task: Task, iommu: Iommu, group: Group): Errno | null {
  if (iommu.vaddrInvalidCount > 0) return task.refuse('EBUSY', 'a vaddr of the container is invalid');
  if (group.emulated) {
    iommu.emulatedGroups.unshift(group);
    group.pinnedPageDirtyScope = true;
    return null;
  }
  // The recorded IOMMU has no nested translation, like every x86 one.
  if (iommu.nesting)
    return task.refuse(task.kernel.gen.type1.nestingRefused, 'the IOMMU has no nested translation');
  if (!iommu.hasDomain) {
    const errno = attachDomain(task, iommu);
    if (errno) return errno;
  }
  iommu.domainGroups.unshift(group);
  iommu.iovaList = [...USABLE];
  group.pinnedPageDirtyScope = false;
  iommu.nonPinnedGroups++;
  return null;
}

/** The first group of a domain: the mappings there are must fit, and are replayed into it. */
function attachDomain(task: Task, iommu: Iommu): Errno | null {
  const { mappings } = iommu;
  const last = iommu.iovaList.at(-1);
  if (last && last.end > APERTURE.end && mappings.find(APERTURE.end, mappings.wrapEnd(last.end)) !== NIL) {
    return task.refuse('EINVAL', 'a mapping lies beyond the aperture of the IOMMU (39 bits)');
  }
  if (mappings.find(MSI_WINDOW.start, MSI_WINDOW.end) !== NIL) {
    return task.refuse('EINVAL', 'a mapping lies in the reserved region 0xfee00000-0xfeefffff');
  }
  return replay(task, iommu);
}

/** vfio_iommu_replay: pins and charges every mapping for the new domain, or none. */
function replay(task: Task, iommu: Iommu): Errno | null {
  const { mappings, process } = iommu;
  const before = process.lockedVm;
  let errno: Errno | null = null;
  for (const slot of mappings.inOrder()) {
    // A loop up to an end that wraps to 0 does nothing: no page is mapped or charged (late-pci-top).
    if (mappings.end(slot) === 0) continue;
    errno = chargeMapping(task, iommu, slot);
    if (!errno && mappings.iova[slot]! + mappings.size[slot]! > APERTURE.end) {
      errno = task.refuse(
        task.kernel.gen.type1.beyondWidth,
        `${mappings.describe(slot)} is beyond the aperture (39 bits)`,
      );
    }
    if (errno) break;
  }
  if (errno) {
    process.lockedVm = before;
    for (const slot of mappings.inOrder()) iommu.takeReservedPages(slot);
    return errno;
  }
  for (const slot of mappings.inOrder()) mappings.setIommuMapped(slot, true);
  return null;
}

/** vfio_iommu_type1_detach_group. The last group takes every mapping with it (W6 where pins are left). */
export function* detachGroup(task: Task, iommu: Iommu, group: Group): KernelStep<void> {
  yield* task.lock(iommu.lock);
  if (group.emulated) {
    iommu.emulatedGroups.splice(iommu.emulatedGroups.indexOf(group), 1);
    if (iommu.emulatedGroups.length === 0 && !iommu.hasDomain) removeAllMappings(task, iommu);
  } else {
    detachDomainGroup(task, iommu, group);
  }
  task.unlock(iommu.lock);
}

function detachDomainGroup(task: Task, iommu: Iommu, group: Group): void {
  const lastOfDomain = iommu.domainGroups.length === 1;
  if (lastOfDomain) {
    if (iommu.emulatedGroups.length === 0) removeAllMappings(task, iommu);
    else unmapUnpinReaccount(iommu);
  }
  iommu.domainGroups.splice(iommu.domainGroups.indexOf(group), 1);
  if (lastOfDomain) iommu.iovaList = [ALL_IOVA];
  if (group.pinnedPageDirtyScope) return;
  iommu.nonPinnedGroups--;
  if (!iommu.dirtyTracking) return;
  for (const slot of iommu.mappings.inOrder()) iommu.bitmapOf(slot).setAll();
}
