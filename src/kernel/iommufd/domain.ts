import type { Errno } from '../errno.ts';
import {
  apertureEnd,
  type IommuHardware,
  pageSizesOf,
  usableRanges,
  whyUnusable,
} from '../iommu/hardware.ts';
import { refuseLocked } from '../iommu/intel.ts';
import { adviseChargedTwice } from '../memlock.ts';
import { hex, PAGE_SIZE } from '../pages.ts';
import { print } from '../printk.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import { refuseHostDriver } from '../vfio/group.ts';
import { pagesIn } from './access-table.ts';
import type { Ioas } from './ioas.ts';

const NOT_ISOLATED =
  'MSI interrupts are not secure, they cannot be isolated by the platform. Check that platform features like interrupt ' +
  'remapping are enabled. Use the "allow_unsafe_interrupts" module parameter to override';

/** iommufd_device_bind: EPERM where a device could forge interrupts, or a host driver has the DMA of its group. */
export function iommufdDeviceBind(task: Task, device: Device): Errno | null {
  const iommu = device.group.iommu!;
  if (iommu.interruptRemapping) return refuseHostDriver(task, device.group);
  if (!task.kernel.allowUnsafeInterrupts) {
    return task.refuse('EPERM', 'the IOMMU has no interrupt remapping, and allow_unsafe_interrupts is off');
  }
  print(task, 'PR_WARN', 'iommufd', `vfio-pci ${device.id}: ${NOT_ISOLATED}`, iommu.logged);
  return refuseHostDriver(task, device.group);
}

/**
 * iommufd_device_attach of a device behind an IOMMU: joins the domain of those whose IOMMUs are alike, or makes one,
 * into which every mapping is entered; the first one pins them.
 *
 * @returns EADDRINUSE when a mapping lies where the IOMMU reserves or cannot reach, or is not made of whole pages;
 *   EPERM where firmware has a region of its own; EINVAL where the IOMMU has no pages of 4096 bytes; then what filling
 *   the domain answers. Nothing has changed then (fd-pci-attach-fault-state)
 */
export function iommufdDeviceAttach(task: Task, ioas: Ioas, device: Device): Errno | null {
  const iommu = device.group.iommu!;
  const errno = checkReserved(task, ioas, iommu) ?? refuseLocked(task, device.group, iommu);
  if (errno) return errno;
  if (!ioas.hardware.some(({ key }) => key === iommu.key)) {
    const failed = ioptTableAddDomain(task, ioas, iommu);
    if (failed) return failed;
  }
  ioas.domainDevices.push(device);
  ioas.calculateIovaAlignment(task);
  return null;
}

/** iopt_table_add_domain. */
function ioptTableAddDomain(task: Task, ioas: Ioas, iommu: IommuHardware): Errno | null {
  const pageSizes = pageSizesOf(iommu, task.kernel.gen);
  if ((pageSizes & BigInt(PAGE_SIZE)) === 0n) {
    return task.refuse('EINVAL', `the page sizes ${hex(pageSizes)} of the IOMMU are all above ${PAGE_SIZE}`);
  }
  return ioas.checkIovaAlignment(task) ?? ioptFillDomain(task, ioas, iommu);
}

/** iommufd_device_detach: with the last device the last domain goes (iopt_table_remove_domain). */
export function iommufdDeviceDetach(task: Task, ioas: Ioas, device: Device): void {
  ioas.domainDevices.splice(ioas.domainDevices.indexOf(device), 1);
  if (ioas.hasDomain) return;
  for (const slot of ioas.areas.inOrder()) ioptAreaUnfillDomain(task, ioas, slot);
  ioas.calculateIovaAlignment(task);
}

/** iopt_table_enforce_dev_resv_regions, and the domain's aperture. */
function checkReserved(task: Task, { areas }: Ioas, iommu: IommuHardware): Errno | null {
  for (const slot of areas.inOrder()) {
    if (!isReserved(iommu, areas.firstPage[slot]!, areas.lastPage[slot]!)) continue;
    const range = areas.describe(slot);
    const why = whyUnusable(
      [iommu],
      usableRanges([iommu]),
      areas.firstPage[slot]!,
      areas.lastPage[slot]! + 1,
    );
    return task.refuse('EADDRINUSE', `the mapping ${range} ${why}`);
  }
  return null;
}

/** Whether an IOMMU reserves or cannot reach one of these pages; both ends inclusive. */
export function isReserved(iommu: IommuHardware, firstPage: number, lastPage: number): boolean {
  if (lastPage >= apertureEnd(iommu)) return true;
  return iommu.reserved.some(({ start, end }) => firstPage < end && lastPage >= start);
}

/** iopt_fill_domain: every mapping, lowest first, or none. */
function ioptFillDomain(task: Task, ioas: Ioas, iommu: IommuHardware): Errno | null {
  const { areas } = ioas;
  for (let slot = areas.first(areas.root); slot !== NIL; slot = areas.next(slot)) {
    const errno = ioptAreaFillDomain(task, ioas, slot, !ioas.hasDomain, [iommu]);
    if (!errno) continue;
    for (const done of areas.inOrder()) {
      if (done === slot) return errno;
      if (!ioas.hasDomain) ioptAreaUnfillDomain(task, ioas, done);
    }
  }
  return null;
}

/** iopt_area_fill_domains: a new mapping's pages are pinned, and entered in every domain. */
export function ioptAreaFillDomains(task: Task, ioas: Ioas, slot: number): Errno | null {
  ioas.filling = slot;
  const errno = ioptAreaFillDomain(task, ioas, slot, true, ioas.hardware);
  ioas.filling = NIL;
  return errno;
}

/**
 * iopt_area_fill_domain.
 *
 * @param pins whether no domain has the mapping yet: the pages that no mdev has pinned are pinned
 * @returns EFAULT for memory that is not there; EINVAL for a mapping that may be neither read nor written, which the
 *   IOMMU drivers refuse (fd-pci-attach-flags0), or what else one fails with; ENOMEM beyond RLIMIT_MEMLOCK
 */
function ioptAreaFillDomain(
  task: Task,
  ioas: Ioas,
  slot: number,
  pins: boolean,
  iommus: readonly IommuHardware[],
): Errno | null {
  const { areas } = ioas;
  const pages = areas.pages(slot);
  const gaps = pins ? gapsOf(ioas, slot) : [];
  const fault = pages.faultAll(task, gaps);
  if (fault) return fault;
  if (areas.prot[slot] === 0) {
    return task.refuse('EINVAL', `the mapping ${areas.describe(slot)} may be neither read nor written`);
  }
  for (const { mapErrno } of iommus) if (mapErrno) return task.refuse(mapErrno, 'the IOMMU fails every map');
  const errno = pages.account(task, pagesIn(gaps));
  if (!errno && pins && pages.accounted) {
    const vaddr = areas.vaddrPage[slot]!;
    adviseChargedTwice(task, ioas.container, {
      iova: areas.firstPage[slot]!,
      vaddr,
      pages: areas.pageCount(slot),
    });
  }
  return errno;
}

/** iopt_area_unfill_domain, of the last one: what no mdev has pinned is given back. */
export function ioptAreaUnfillDomain(task: Task, ioas: Ioas, slot: number): void {
  ioas.areas.pages(slot).account(task, -pagesIn(gapsOf(ioas, slot)));
}

/** The pages of a mapping that no mdev has pinned. */
function gapsOf({ areas, accesses }: Ioas, slot: number): number[] {
  const start = areas.vaddrPage[slot]!;
  return accesses.gaps(areas.pages(slot), start, start + areas.pageCount(slot) - 1);
}

/** The pages that a mapping is charged for: all of one in a domain, otherwise those that are pinned, each once. */
export function chargedIn(ioas: Ioas, slot: number): number {
  const { areas, hasDomain, filling } = ioas;
  if (!areas.pages(slot).accounted || slot === filling) return 0;
  return areas.pageCount(slot) - (hasDomain ? 0 : pagesIn(gapsOf(ioas, slot)));
}
