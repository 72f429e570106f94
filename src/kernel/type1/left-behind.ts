import { addressOf } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import { adviseNothing } from '../unmap-advice.ts';
import type { Iommu } from './iommu.ts';

/** How many mappings of a range are looked at for one that was left behind. */
const LOOKED_AT = 1024;

/**
 * After an unmap of the pages [start, end) that succeeded: a mapping that lies in the range and is still there because
 * the range, the mapping itself or one that hides it ends at 2^64. Whether there is one.
 */
export function adviseLeft(
  task: Task,
  { mappings, overlapPossible }: Iommu,
  start: number,
  end: number,
): boolean {
  const wraps = end > 0 && mappings.wrapEnd(end) === 0;
  if (!wraps && !overlapPossible) return false;
  let slot = mappings.lowerBound(start);
  for (let i = 0; i < LOOKED_AT && slot !== NIL; i++, slot = mappings.next(slot)) {
    const iova = mappings.iova[slot]!;
    const past = iova + mappings.size[slot]!;
    if (past > end) return false;
    if (!wraps && mappings.find(iova, mappings.wrapEnd(past)) === slot) continue;
    task.adviseBug('top-of-address-space', addressOf(iova), [], mappings.describe(slot));
    return true;
  }
  return false;
}

/** After an unmap of the pages [start, end) that removed nothing: the mapping that it let be, or what was there once. */
export function adviseNothingUnmapped(task: Task, iommu: Iommu, start: number, end: number): void {
  // A finding of words alone.
  if (!task.kernel.hasWords) return;
  const { mappings, container, v2 } = iommu;
  const overlapping = mappings.findFirst(start, mappings.wrapEnd(end));
  const iova = addressOf(start);
  if (overlapping !== NIL && !v2) {
    const mapping = mappings.describe(overlapping);
    adviseNothing(task, iova, `the mapping ${mapping} begins before the range, and type1 lets it be`);
    return;
  }
  const removed = overlapping === NIL ? container.history.removedIn(start, end) : null;
  if (removed) adviseNothing(task, iova, `nothing is mapped there: ${removed}`);
}
