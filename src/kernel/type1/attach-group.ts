import type { Errno } from '../errno.ts';
import { ALL_IOVA, apertureEnd, type IommuHardware, limitOf, usableRanges } from '../iommu/hardware.ts';
import { printWidthExceeded, refuseLocked } from '../iommu/intel.ts';
import type { Mm } from '../mm.ts';
import { addressOf, hex, hexAddress } from '../pages.ts';
import { print } from '../printk.ts';
import { NIL } from '../rb-links.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
import type { Group } from '../vfio/group.ts';
import { chargeMapping } from './charge-mapping.ts';
import type { Iommu } from './iommu.ts';
import { removeAllMappings, unmapUnpinReaccount } from './remove-dma.ts';
import { waitAllValid } from './vaddr-wait.ts';

const NO_REMAPPING =
  "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param 'allow_unsafe_interrupts' to enable VFIO IOMMU support on this platform";

/**
 * vfio_iommu_type1_attach_group.
 *
 * @returns EBUSY while a vaddr is invalid; for a group behind the IOMMU also EINVAL when a mapping does not fit
 *   its aperture or reserved regions, or (5.10: ENODEV,
 *   multi-00018) nesting was asked for; EFAULT or ENOMEM (L1) from replaying mappings
 */
export function* attachGroup(task: Task, iommu: Iommu, group: Group): KernelStep<Errno | null> {
  yield* task.lock(iommu.lock);
  const waited = group.emulated ? null : yield* waitAllValid(task, iommu);
  const errno = waited ?? (yield* doAttach(task, iommu, group));
  task.unlock(iommu.lock);
  return errno;
}

function* doAttach(task: Task, iommu: Iommu, group: Group): KernelStep<Errno | null> {
  if (iommu.vaddrInvalidCount > 0 && iommu.gen.type1.vaddrExcludesMdevs)
    return task.refuse('EBUSY', iommu.whyInvalid);
  if (group.emulated) {
    iommu.emulatedGroups.unshift(group);
    group.pinnedPageDirtyScope = true;
    return null;
  }
  const hardware = group.iommu!;
  const { nestingRefused } = iommu.gen.type1;
  if (iommu.nesting && nestingRefused) {
    return task.refuse(nestingRefused, 'the IOMMU has no nested translation');
  }
  const errno = yield* attachDomain(task, iommu, group, hardware);
  if (errno) return errno;
  iommu.domainGroups.unshift(group);
  iommu.iovaList = usableRanges(iommu.hardware);
  group.pinnedPageDirtyScope = false;
  iommu.nonPinnedGroups++;
  return null;
}

/** Joins the domain of the groups whose IOMMUs are alike, or makes one, into which every mapping is replayed. */
function* attachDomain(
  task: Task,
  iommu: Iommu,
  group: Group,
  hardware: IommuHardware,
): KernelStep<Errno | null> {
  const refused =
    refuseLocked(task, group, hardware) ??
    checkAperture(task, iommu, hardware) ??
    checkInterrupts(task, hardware);
  if (refused) return refused;
  if (iommu.domainGroups.some((other) => other.iommu!.key === hardware.key)) return null;
  return yield* replay(task, iommu, hardware);
}

/** vfio_iommu_aper_conflict and vfio_iommu_resv_conflict: the mappings there are must fit. */
function checkAperture(task: Task, iommu: Iommu, hardware: IommuHardware): Errno | null {
  const { mappings } = iommu;
  const end = apertureEnd(hardware);
  const last = iommu.iovaList.at(-1);
  if (last && last.end > end && mappings.find(end, mappings.wrapEnd(last.end)) !== NIL) {
    const beyond = mappings.find(end, mappings.wrapEnd(last.end));
    return task.refuse('EINVAL', `the mapping ${mappings.describe(beyond)} lies beyond ${limitOf(hardware)}`);
  }
  for (const { start, end: regionEnd, type } of hardware.reserved) {
    const slot = mappings.find(start, mappings.wrapEnd(regionEnd));
    if (slot === NIL) continue;
    const range = `${hexAddress(start)}-${hex(addressOf(regionEnd) - 1n)}`;
    return task.refuse(
      'EINVAL',
      `the mapping ${mappings.describe(slot)} lies in the reserved region ${range} (${type})`,
    );
  }
  if (usableRanges([...iommu.hardware, hardware]).length > 0) return null;
  return task.refuse('EINVAL', 'no IOVA is usable behind all IOMMUs of the container');
}

/** Without interrupt remapping a device could forge interrupts (noir-plain-1). */
function checkInterrupts(task: Task, hardware: IommuHardware): Errno | null {
  if (hardware.interruptRemapping || task.kernel.allowUnsafeInterrupts) return null;
  print(task, 'PR_WARN', 'vfio_iommu_type1', NO_REMAPPING);
  return task.refuse('EPERM', 'the IOMMU has no interrupt remapping, and allow_unsafe_interrupts is off');
}

/** vfio_iommu_replay: enters every mapping into the new domain, pinning and charging what no domain has yet. */
function* replay(task: Task, iommu: Iommu, hardware: IommuHardware): KernelStep<Errno | null> {
  const { mappings } = iommu;
  const before = new Map<Mm, number>();
  const first = !iommu.hasDomain;
  let errno: Errno | null = null;
  for (const slot of mappings.inOrder()) {
    // A loop up to an end that wraps to 0 does nothing: no page is mapped or charged (late-pci-top).
    if (mappings.end(slot) === 0) {
      task.adviseBug('top-of-address-space', addressOf(mappings.iova[slot]!));
      continue;
    }
    const { mm } = iommu.ownerOf(slot);
    if (!before.has(mm)) before.set(mm, mm.lockedVm);
    errno = (first ? chargeMapping(task, iommu, slot) : null) ?? enterDomain(task, iommu, slot, hardware);
    if (errno) break;
    if (task.worked(1 + mappings.pinCount[slot]!)) yield RESCHED;
  }
  if (errno) {
    for (const [mm, lockedVm] of before) mm.lockedVm = lockedVm;
    if (first) for (const slot of mappings.inOrder()) iommu.takeReservedPages(slot);
    return errno;
  }
  for (const slot of mappings.inOrder()) mappings.setIommuMapped(slot, true);
  return null;
}

/** iommu_map of one mapping: what the tables of this IOMMU cannot reach is refused by its driver. */
export function enterDomain(task: Task, iommu: Iommu, slot: number, hardware: IommuHardware): Errno | null {
  const { mappings } = iommu;
  const size = mappings.size[slot]!;
  const iova = mappings.iova[slot]!;
  if (iova + size > apertureEnd(hardware)) {
    const intel = hardware.vendor === 'intel';
    if (intel) printWidthExceeded(task, hardware, { iova, vaddr: mappings.vaddr[slot]!, size });
    return task.refuse(
      intel ? task.kernel.gen.type1.beyondWidth : 'ERANGE',
      `the mapping ${mappings.describe(slot)} reaches beyond ${limitOf(hardware)}`,
    );
  }
  return hardware.mapErrno ? task.refuse(hardware.mapErrno, 'the IOMMU fails every map') : null;
}

/** vfio_iommu_type1_detach_group. The last group takes every mapping with it (W6 where pins are left). */
export function* detachGroup(task: Task, iommu: Iommu, group: Group): KernelStep<void> {
  yield* task.lock(iommu.lock);
  if (group.emulated) {
    iommu.emulatedGroups.splice(iommu.emulatedGroups.indexOf(group), 1);
    if (iommu.emulatedGroups.length === 0 && !iommu.hasDomain) yield* removeAllMappings(task, iommu);
  } else {
    yield* detachDomainGroup(task, iommu, group);
  }
  task.unlock(iommu.lock);
}

function* detachDomainGroup(task: Task, iommu: Iommu, group: Group): KernelStep<void> {
  const lastOfAll = iommu.domainGroups.length === 1;
  if (lastOfAll) {
    if (iommu.emulatedGroups.length === 0) yield* removeAllMappings(task, iommu);
    else yield* unmapUnpinReaccount(task, iommu);
  }
  iommu.domainGroups.splice(iommu.domainGroups.indexOf(group), 1);
  iommu.iovaList = lastOfAll ? [ALL_IOVA] : usableRanges(iommu.hardware);
  if (group.pinnedPageDirtyScope) return;
  iommu.nonPinnedGroups--;
  if (!iommu.dirtyTracking) return;
  for (const slot of iommu.mappings.inOrder()) {
    const bitmap = iommu.bitmapOf(slot);
    bitmap.setAll();
    if (task.worked(1 + bitmap.work)) yield RESCHED;
  }
}
