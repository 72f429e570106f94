import type { Errno } from '../errno.ts';
import { addressOf } from '../pages.ts';
import { print } from '../printk.ts';
import type { Task } from '../task.ts';
import type { Group } from '../vfio/group.ts';
import type { IommuHardware } from './hardware.ts';

/** Pages of a transparent huge page: within one the host's memory is contiguous. */
const HUGE_PAGES = 512;

/** A mapping that is entered into a domain, in pages. */
interface Entered {
  readonly iova: number;
  readonly vaddr: number;
  readonly size: number;
}

/**
 * intel_iommu_map of a mapping that reaches beyond the width: the line that the driver prints up to 6.12. It names the
 * end of the piece that does not fit. A piece is one page size (5.10: any power of two, width-late-straddle-57), or
 * as many pages as are contiguous in memory.
 */
export function printWidthExceeded(task: Task, iommu: IommuHardware, mapping: Entered): void {
  const { gen } = task.kernel;
  if (gen.type1.beyondWidth !== 'EFAULT') return;
  const end = 2 ** (iommu.addressWidth - 12);
  // No piece reaches over the end of a huge page: those before the one with the width's end in it all fit.
  const beyond = mapping.vaddr + end - mapping.iova;
  let at = Math.max(0, beyond - (beyond % HUGE_PAGES) - mapping.vaddr);
  let reached = mapping.iova;
  do {
    const contiguous = Math.min(mapping.size - at, HUGE_PAGES - ((mapping.vaddr + at) % HUGE_PAGES));
    at += gen.type1.mapsPowersOfTwo ? powerOfTwo(mapping, at, contiguous) : contiguous;
    reached = mapping.iova + at;
  } while (at < mapping.size && reached <= end);
  const address = addressOf(reached).toString(16);
  print(
    task,
    'PR_ERR',
    'intel_iommu',
    `DMAR: intel_iommu_map: iommu width (${iommu.addressWidth}) is not sufficient for the mapped address (${address})`,
    iommu.logged,
  );
}

/** iommu_pgsize where every power of two is a page size: the largest that both addresses and the rest allow. */
function powerOfTwo({ iova, vaddr }: Entered, at: number, most: number): number {
  let pages = 1;
  while (pages * 2 <= most && (iova + at) % (pages * 2) === 0 && (vaddr + at) % (pages * 2) === 0) pages *= 2;
  return pages;
}

/** device_is_rmrr_locked: what firmware maps one to one is not given to user space. */
export function refuseLocked(task: Task, group: Group, hardware: IommuHardware): Errno | null {
  if (!hardware.reserved.some(({ type }) => type === 'direct')) return null;
  const text =
    'Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.';
  const device = [...task.kernel.devices.values()].find((one) => one.group === group);
  print(task, 'PR_WARN', 'intel_iommu', `vfio-pci ${device?.id}: ${text}`, hardware.logged);
  return task.refuse('EPERM', 'the device has a reserved region that is mapped directly for firmware (RMRR)');
}
