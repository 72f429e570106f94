import {
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
} from '../../../schemas/uapi.ts';
import type { Errno } from '../errno.ts';
import { addressOf, hex, hexAddress, isPageAligned, PAGE_SIZE, pageOf, TOP } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
import type { DirtyRange } from '../vfio/iommu-ops.ts';
import { DIRTY_BITMAP_PAGES_MAX, DIRTY_BITMAP_SIZE_MAX, UserBitmap } from './dirty-bitmap.ts';
import type { Iommu } from './iommu.ts';

/** What copying a part of a bitmap counts as, in units of a task's work. */
export const COPY_WORK = 64;

/** Why no bitmap can be had, in words. */
export const TRACKING_OFF = 'dirty tracking is off: dirty-start was not called, or dirty-stop was';

/**
 * vfio_iommu_type1_dirty_pages.
 *
 * @param flags the raw word
 * @param range with GET_BITMAP
 * @returns EACCES on v1; EINVAL for other flags than exactly one known one, for a bad range, a page size other
 *   than 4096, a range that bisects a mapping, or tracking off; on START also what allocating answers
 */
export function* dirtyPages(
  task: Task,
  iommu: Iommu,
  flags: number,
  range: DirtyRange | null,
): KernelStep<Errno | UserBitmap | null> {
  const { gen } = task.kernel;
  if (!gen.type1.hasDirtyTracking) {
    return task.refuse('ENOTTY', `Linux ${gen.version} has no VFIO_IOMMU_DIRTY_PAGES, which came with 5.8`);
  }
  if (!iommu.v2) return task.refuse('EACCES', 'dirty tracking needs a type1v2 container');
  if (
    flags !== VFIO_IOMMU_DIRTY_PAGES_FLAG_START &&
    flags !== VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP &&
    flags !== VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP
  ) {
    return task.refuse('EINVAL', `flags 0x${flags.toString(16)} is not exactly one of start, stop, get`);
  }
  if (flags === VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) {
    if (!range) return task.refuse('EINVAL', 'there is no range and bitmap to get');
    const errno = checkRange(task, range);
    if (errno) return errno;
  }
  yield* task.lock(iommu.lock);
  let result: Errno | UserBitmap | null;
  if (flags === VFIO_IOMMU_DIRTY_PAGES_FLAG_START) result = yield* start(task, iommu);
  else if (flags === VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP) result = stop(iommu);
  else result = yield* getBitmap(task, iommu, range!);
  task.unlock(iommu.lock);
  return result;
}

/** Checks of GET_BITMAP made before the lock is taken. */
function checkRange(task: Task, { iova, size, pageSize, bitmapSize }: DirtyRange): Errno | null {
  if (task.kernel.gen.type1.wrapsAtTop ? iova + size >= TOP : iova + size > TOP) {
    return task.refuse(
      task.kernel.gen.type1.overflow,
      iova + size === TOP
        ? `iova ${hex(iova)} + size ${hex(size)} is 2^64, which this kernel takes for an overflow`
        : `iova ${hex(iova)} + size ${hex(size)} is beyond 2^64`,
    );
  }
  const why = bitmapSizeInvalid(size, pageSize, bitmapSize);
  return why ? task.refuse('EINVAL', why) : null;
}

/**
 * verify_bitmap_size: no page at all, a bitmap that is too small for the pages, or more than 2^28 bytes; why, in words.
 * Other page sizes than 4096 are refused later; 0 here, where the kernel's shift is undefined.
 */
export function bitmapSizeInvalid(size: bigint, pageSize: bigint, bitmapSize?: bigint): string | null {
  if (pageSize === 0n) return 'pageSize is 0';
  const lowestBit = pageSize & -pageSize;
  const bits = size / lowestBit;
  if (bits === 0n) return `size ${hex(size)} is less than a page of pageSize ${hex(pageSize)}`;
  const needed = ((bits + 63n) / 64n) * 8n;
  if (bitmapSize !== undefined && bitmapSize < needed) {
    return `size ${hex(size)} needs a bitmap of ${needed} bytes, and bitmapSize is ${bitmapSize}`;
  }
  const bytes = bitmapSize ?? needed;
  if (bytes <= BigInt(DIRTY_BITMAP_SIZE_MAX)) return null;
  return `a bitmap of ${bytes} bytes is more than ${DIRTY_BITMAP_SIZE_MAX}`;
}

function* start(task: Task, iommu: Iommu): KernelStep<Errno | null> {
  if (iommu.dirtyTracking) return null;
  for (const slot of iommu.mappings.inOrder()) {
    const errno = allocBitmap(task, iommu, slot);
    if (errno) {
      iommu.freeAllBitmaps();
      return errno;
    }
    yield* populate(task, iommu, slot);
  }
  iommu.dirtyTracking = true;
  return null;
}

/** vfio_dma_populate_bitmap: sets the bits of the pages that are pinned now. */
function* populate(task: Task, iommu: Iommu, slot: number): KernelStep<void> {
  const { mappings, pins } = iommu;
  let outside: bigint | null = null;
  for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
    if (!iommu.markPageDirty(slot, pins.page[pin]!))
      outside ??= addressOf(pins.page[pin]!, pins.offset[pin]!);
    if (task.worked()) yield RESCHED;
  }
  if (task.worked()) yield RESCHED;
  if (outside !== null) task.adviseBug('negative-bitmap-index', outside);
}

/** vfio_dma_bitmap_alloc of one mapping, with what stands in the way, in words. */
export function allocBitmap(task: Task, iommu: Iommu, slot: number): Errno | null {
  const errno = iommu.allocBitmap(slot);
  if (!errno) return null;
  const mapping = `the mapping ${iommu.mappings.describe(slot)}`;
  if (errno === 'EINVAL') {
    return task.refuse(
      errno,
      `${mapping} has more pages than a dirty bitmap covers (${DIRTY_BITMAP_PAGES_MAX})`,
    );
  }
  return task.refuse(
    errno,
    `with ${mapping} the dirty bitmaps take more than this host's ${task.kernel.dirtyBitmaps.inWords}`,
  );
}

function stop(iommu: Iommu): null {
  iommu.dirtyTracking = false;
  iommu.freeAllBitmaps();
  return null;
}

function* getBitmap(
  task: Task,
  iommu: Iommu,
  { iova, size, pageSize }: DirtyRange,
): KernelStep<Errno | UserBitmap> {
  if (pageSize !== BigInt(PAGE_SIZE)) return task.refuse('EINVAL', `pageSize ${hex(pageSize)} is not 0x1000`);
  if (!isPageAligned(iova)) return task.refuse('EINVAL', `iova ${hex(iova)} is not a multiple of 4096`);
  if (size === 0n || !isPageAligned(size)) {
    return task.refuse('EINVAL', `size ${hex(size)} is not a positive multiple of 4096`);
  }
  if (!iommu.dirtyTracking) return task.refuse('EINVAL', TRACKING_OFF);
  const { mappings } = iommu;
  const base = pageOf(iova);
  const end = base + pageOf(size);
  const bisected = bisects(iommu, base, end);
  if (bisected !== NIL) return task.refuse('EINVAL', whyBisected(iommu, bisected, base, end));
  const user = new UserBitmap(pageOf(size));
  for (
    let slot = mappings.lowerBound(base);
    slot !== NIL && mappings.iova[slot]! < end;
    slot = mappings.next(slot)
  ) {
    const bitmap = iommu.bitmapOf(slot);
    for (const _ of copyDirty(task, iommu, slot, user, base)) if (task.worked(COPY_WORK)) yield RESCHED;
    if (task.worked(bitmap.work)) yield RESCHED;
    bitmap.clear();
    yield* populate(task, iommu, slot);
  }
  return user;
}

/**
 * update_user_bitmap: reports one mapping into the caller's bitmap, whose bit 0 is page `base`. Stops after each part that
 * counts as COPY_WORK.
 */
export function* copyDirty(
  task: Task,
  iommu: Iommu,
  slot: number,
  user: UserBitmap,
  base: number,
): Generator<void, void> {
  const bitmap = iommu.bitmapOf(slot);
  if (iommu.nonPinnedGroups > 0 && iommu.mappings.iommuMapped(slot)) bitmap.setAll();
  if (bitmap.hasStrayBits()) {
    task.adviseBug('false-dirty-bits', addressOf(iommu.mappings.iova[slot]!));
  }
  yield* bitmap.copyTo(user, iommu.mappings.iova[slot]! - base);
}

/** A mapping that reaches over either end of the pages [start, end), or NIL: the check both unmap and GET_BITMAP make. */
export function bisects(iommu: Iommu, start: number, end: number): number {
  const { mappings } = iommu;
  const first = mappings.find(start, start + 1);
  if (first !== NIL && mappings.iova[first] !== start) return first;
  // Where mappings do not overlap, the one that covers the whole range is the last one as well.
  const covers = first !== NIL && !iommu.overlapPossible && mappings.end(first) >= end;
  const last = covers ? first : mappings.find(end - 1, end);
  return last !== NIL && mappings.end(last) !== mappings.wrapEnd(end) ? last : NIL;
}

/** How a range and the mapping it bisects lie, in words. */
export function whyBisected({ mappings }: Iommu, slot: number, start: number, end: number): string {
  const over =
    mappings.iova[slot]! < start ? `begins before ${hexAddress(start)}` : `ends after ${hexAddress(end)}`;
  return `the range bisects the mapping ${mappings.describe(slot)}, which ${over}`;
}
