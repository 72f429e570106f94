import type { Errno } from '../errno.ts';
import { hexAddress } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { Iommu } from './iommu.ts';

/** That no look-up finds a mapping at an IOVA, in words, with why: it is lost at 2^64, or which call removed it. */
export function noMapping(
  { mappings, overlapPossible, container }: Iommu,
  page: number,
  offset: number,
): string {
  const none = `there is no mapping at iova ${hexAddress(page, offset)}`;
  const slot = overlapPossible ? mappings.floor(page) : NIL;
  if (slot !== NIL && page < mappings.iova[slot]! + mappings.size[slot]!) {
    return `${none} that this kernel finds: ${mappings.describe(slot)} ends at 2^64, or is hidden by one that does`;
  }
  const removed = container.history.removedIn(page, page + 1);
  return removed ? `${none}: ${removed}` : none;
}

/** EINVAL: no look-up finds a mapping there. */
export function refuseUnmapped(task: Task, iommu: Iommu, page: number, offset: number): Errno {
  return task.refuse('EINVAL', () => noMapping(iommu, page, offset));
}
