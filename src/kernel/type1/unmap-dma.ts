import {
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_DMA_UNMAP_FLAG_VADDR,
} from '../../../schemas/uapi.ts';
import type { NotifyResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import { addressOf, hex, isPageAligned, PAGE_SIZE, pageOf, TOP, TOP_PAGE } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import { PROPOSALS } from '../splats.ts';
import { type KernelStep, RESCHED, type Suspension, type Task } from '../task.ts';
import { adviseNoCallback } from '../unmap-advice.ts';
import type { Device } from '../vfio/device.ts';
import { namesOf } from '../vfio/group.ts';
import type { UnmapDmaArgs, UnmapDmaResult } from '../vfio/iommu-ops.ts';
import { callDevices } from './device-list.ts';
import { UserBitmap } from './dirty-bitmap.ts';
import {
  bisects,
  bitmapSizeInvalid,
  COPY_WORK,
  copyDirty,
  TRACKING_OFF,
  whyBisected,
} from './dirty-pages.ts';
import type { Iommu } from './iommu.ts';
import { adviseLeft, adviseNothingUnmapped } from './left-behind.ts';
import { leftoverPins } from './leftover-pins.ts';
import { noteRemoval, removeMapping } from './remove-dma.ts';

/** A walk that is to pause here. */
const PAUSE = Symbol('pause');

/** How far an unmap has come: to its end, to a mapping with pins (its slot), or to where it pauses. */
type Step = UnmapDmaResult | number | typeof PAUSE;

/** A mapping may be found with pins this often after the first time; the next time is the BUG_ON. */
const MAX_RETRIES = 10;
/** Times an unmap calls the devices of one mapping back at most. */
export const UNMAP_ATTEMPTS = MAX_RETRIES + 1;

/**
 * vfio_iommu_type1_unmap_dma.
 *
 * @returns EINVAL for unknown or conflicting flags, misalignment, wrap-around, a range that bisects a mapping
 *   (v2), or dirty tracking off; EBUSY for VADDR with an mdev in the container. Killed by BUG_ON (B1) when a
 *   mapping still has pins at its twelfth visit
 */
export function* unmapDma(task: Task, iommu: Iommu, args: UnmapDmaArgs): KernelStep<UnmapDmaResult> {
  const { flags } = args;
  const { hasDirtyTracking, unmapAllAndVaddr } = task.kernel.gen.type1;
  const known =
    (hasDirtyTracking ? VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP : 0) |
    (unmapAllAndVaddr ? VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR : 0);
  if ((flags & ~known) !== 0) {
    return task.refuse('EINVAL', `flags 0x${flags.toString(16)} has unknown bits`);
  }
  const getDirty = (flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) !== 0;
  if (getDirty && flags !== VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
    return task.refuse('EINVAL', 'the flag get-dirty-bitmap excludes all and vaddr');
  }
  if (getDirty) {
    const refused = checkBitmap(task, args);
    if (refused) return refused;
  }
  if (!task.tryLock(iommu.lock)) yield* task.lock(iommu.lock);
  const unmap = new Unmap(task, iommu, args);
  let step = unmap.begin();
  if (step === PAUSE || typeof step === 'number') step = yield* unmap.goOn(step);
  task.unlock(iommu.lock);
  return step;
}

/** The caller's bitmap, before the lock is taken. */
function checkBitmap(task: Task, { size, pageSize, bitmapSize }: UnmapDmaArgs): Errno | null {
  if (pageSize === undefined) {
    return task.refuse(
      'EINVAL',
      'get-dirty-bitmap wants a bitmap, and none was passed (pageSize is missing)',
    );
  }
  const why = bitmapSizeInvalid(size, pageSize, bitmapSize);
  return why ? task.refuse('EINVAL', why) : null;
}

/** One vfio_dma_do_unmap. */
class Unmap {
  private readonly all: boolean;
  private readonly vaddr: boolean;
  private readonly startPage: number;
  /** Page just past the range, and the same as the kernel's comparisons see it. */
  private readonly endPage: number;
  private readonly wrappedEnd: number;
  private readonly bitmap: UserBitmap | null;
  /** Pages unmapped so far. */
  private unmapped = 0;
  /** The pinned mapping visited last (`dma_last`) and how often again (`retries`). */
  private lastSlot: number = NIL;
  private retries = 0;
  private round = 0;
  /** The range that devices are told is invalid, bytes. */
  private invalidIova = 0n;
  private invalidSize = 0n;
  /** What a bisected mapping answers: EINVAL, after a round success. */
  private bisected: Errno | null = 'EINVAL';
  /** Where the walk goes on after a pause; NIL: at its beginning. */
  private next: number = NIL;
  /** VADDR: mappings that this walk has marked. */
  private marked: number[] | null = null;
  /** Where a mapping's dirty bitmap is being reported. */
  private copying: Generator<void, void> | null = null;

  constructor(
    private readonly task: Task,
    private readonly iommu: Iommu,
    private readonly args: UnmapDmaArgs,
  ) {
    this.all = (args.flags & VFIO_DMA_UNMAP_FLAG_ALL) !== 0;
    this.vaddr = (args.flags & VFIO_DMA_UNMAP_FLAG_VADDR) !== 0;
    this.startPage = pageOf(args.iova);
    // With ALL the size is 2^64-1 bytes: its end does not wrap, and reaches every page.
    this.endPage = this.all ? TOP_PAGE : this.startPage + pageOf(args.size);
    this.wrappedEnd = this.all ? TOP_PAGE : iommu.mappings.wrapEnd(this.endPage);
    const wantsBitmap = (args.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) !== 0;
    this.bitmap = wantsBitmap ? new UserBitmap(pageOf(args.size)) : null;
  }

  /** Goes as far as it can at once: most unmaps are done then, and need no generator. */
  begin(): Step {
    return this.checkArgs() ?? this.again();
  }

  /** Goes on to the end after a pause, or from a mapping with pins. */
  *goOn(from: number | typeof PAUSE): KernelStep<UnmapDmaResult> {
    const { task, iommu } = this;
    let step: Step = from;
    for (;;) {
      if (step === PAUSE) {
        yield RESCHED;
        step = this.pass();
      } else if (typeof step === 'number') {
        iommu.watchers.add(this);
        const bug = this.visit(step);
        if (bug) yield bug;
        if (iommu.deviceList.length > 0) {
          this.round++;
          yield* callDevices(task, iommu, this);
          if (task.kernel.warnOnPinnedUnmap) this.warnLeft(step);
        }
        step = this.again();
      } else return step;
    }
  }

  /** The end of the range, or a refusal. */
  private end(errno: Errno | null): UnmapDmaResult {
    const { watchers } = this.iommu;
    if (watchers.size > 0) watchers.delete(this);
    if (errno) return errno;
    this.advise();
    return { size: addressOf(this.unmapped), bitmap: this.bitmap };
  }

  /** A mapping went away; a new one in its slot is another one. */
  forget(slot: number): void {
    if (this.lastSlot === slot) this.lastSlot = NIL;
  }

  /** What the kernel does not say of an unmap that succeeded. */
  private advise(): void {
    const { task, iommu, startPage, endPage, vaddr } = this;
    const left = !vaddr && adviseLeft(task, iommu, startPage, endPage);
    if (this.unmapped === 0 && !this.all && !left) adviseNothingUnmapped(task, iommu, startPage, endPage);
    if (task.kernel.adviseNoCallback && !vaddr) adviseNoCallback(task, this.args.iova, iommu.deviceList);
  }

  private checkArgs(): Errno | null {
    const { task, iommu, args } = this;
    if (this.vaddr && iommu.emulatedGroups.length > 0 && iommu.gen.type1.vaddrExcludesMdevs) {
      const mdevs = iommu.emulatedGroups.map(namesOf).join(' and ');
      return task.refuse(
        'EBUSY',
        `a vaddr cannot be invalidated while an mdev is in the container: ${mdevs}`,
      );
    }
    if (!isPageAligned(args.iova)) {
      return task.refuse('EINVAL', () => `iova ${hex(args.iova)} is not a multiple of 4096`);
    }
    if (this.all) {
      if (args.iova !== 0n || args.size !== 0n) {
        return task.refuse('EINVAL', 'the flag all wants iova 0 and size 0');
      }
    } else {
      if (args.size === 0n || !isPageAligned(args.size)) {
        return task.refuse('EINVAL', `size ${hex(args.size)} is not a positive multiple of 4096`);
      }
      if (args.iova + args.size > TOP) {
        const range = `iova ${hex(args.iova)} + size ${hex(args.size)}`;
        return task.refuse(this.task.kernel.gen.type1.overflow, `${range} is beyond 2^64`);
      }
    }
    if (this.bitmap && !iommu.dirtyTracking) return task.refuse('EINVAL', TRACKING_OFF);
    if (this.bitmap && args.pageSize !== BigInt(PAGE_SIZE)) {
      return task.refuse('EINVAL', `pageSize ${hex(args.pageSize!)} is not 0x1000`);
    }
    return null;
  }

  /** From the kernel's `again:` on. */
  private again(): Step {
    const slot = this.iommu.v2 && !this.all ? bisects(this.iommu, this.startPage, this.endPage) : NIL;
    if (slot !== NIL) {
      if (this.bisected) this.refuseBisected(slot);
      else this.task.adviseBug('success-when-bisected', this.args.iova);
      return this.end(this.bisected);
    }
    if (this.task.kernel.gen.type1.bisectedAfterRound === 'success') this.bisected = null;
    return this.pass();
  }

  private refuseBisected(slot: number): void {
    this.task.refuse('EINVAL', () => {
      const why = whyBisected(this.iommu, slot, this.startPage, this.endPage);
      return `${why}: type1v2 unmaps whole mappings only`;
    });
  }

  /**
   * One walk over the range, ascending or by searching anew from the root; ends at a mapping with pins (its slot), or
   * with the result. It may pause.
   */
  private pass(): Step {
    const { iommu } = this;
    const { mappings } = iommu;
    const ascending = this.task.kernel.gen.type1.unmapWalk === 'ascending';
    let slot = this.next;
    if (slot === NIL) {
      slot = ascending ? mappings.findFirst(this.startPage, this.wrappedEnd) : this.findFromRoot();
    }
    this.next = NIL;
    while (slot !== NIL && mappings.iova[slot]! < this.endPage) {
      const next = mappings.next(slot);
      if (!iommu.v2 && this.startPage > mappings.iova[slot]!) break;
      if (this.stopsAt(slot)) break;
      if (this.vaddr) {
        const errno = this.invalidateVaddr(slot);
        if (errno) return this.end(errno);
      } else if (mappings.hasPins(slot)) {
        return slot;
      } else {
        if (this.bitmap && !this.hasCopied(slot, this.bitmap)) {
          this.next = slot;
          return PAUSE;
        }
        this.unmapped += mappings.size[slot]!;
        noteRemoval(this.task, iommu, slot);
        removeMapping(this.task, iommu, slot);
      }
      slot = ascending ? next : this.findFromRoot();
      if (this.task.worked() && slot !== NIL) {
        this.next = slot;
        return PAUSE;
      }
    }
    return this.end(null);
  }

  /** Reports what is dirty of a mapping; whether that is done, or it has to pause first. */
  private hasCopied(slot: number, bitmap: UserBitmap): boolean {
    this.copying ??= copyDirty(this.task, this.iommu, slot, bitmap, this.startPage);
    while (!this.copying.next().done) if (this.task.worked(COPY_WORK)) return false;
    this.copying = null;
    return true;
  }

  private findFromRoot(): number {
    return this.iommu.mappings.find(this.startPage, this.wrappedEnd);
  }

  /** Up to 5.10 only a process that has the memory of a mapping's maker may unmap it; what is found ends the walk. */
  private stopsAt(slot: number): boolean {
    const { task, iommu } = this;
    if (!task.kernel.gen.type1.unmapsOwnOnly) return false;
    const { process } = iommu.ownerOf(slot);
    if (process === task.process) return false;
    return true;
  }

  /** VADDR: marks a mapping; one that is marked already takes back what this call has marked. */
  private invalidateVaddr(slot: number): Errno | null {
    this.marked ??= [];
    const { marked } = this;
    const { mappings } = this.iommu;
    if (mappings.vaddrInvalid(slot)) {
      for (const done of marked) mappings.setVaddrInvalid(done, false);
      this.iommu.vaddrInvalidCount -= marked.length;
      marked.length = 0;
      this.unmapped = 0;
      return this.task.refuse('EINVAL', `the vaddr of ${mappings.describe(slot)} is invalid already`);
    }
    mappings.setVaddrInvalid(slot, true);
    this.iommu.vaddrInvalidCount++;
    marked.push(slot);
    this.unmapped += mappings.size[slot]!;
    return null;
  }

  /** A mapping with pins is visited: the first time, or again; the BUG_ON where that is once too often. */
  private visit(slot: number): Suspension | null {
    const { task, iommu } = this;
    const { iova, size } = iommu.mappings;
    this.invalidIova = addressOf(iova[slot]!);
    this.invalidSize = addressOf(size[slot]!);
    if (this.lastSlot !== slot) {
      this.lastSlot = slot;
      this.retries = 0;
    } else if (++this.retries > MAX_RETRIES) {
      const left = leftoverPins(iommu, slot);
      const device = left.pins[0]?.devices[0]?.device;
      const range = { iova: this.invalidIova, size: this.invalidSize };
      return task.bugStep('B1', { device, ...range, attempt: this.retries, ...left });
    }
    return null;
  }

  /** A callback begins: the mapping's whole range, to one device. */
  callbackStarts(device: Device): KernelStep<NotifyResult | void> | null {
    const { task, iommu, round, invalidIova: iova, invalidSize: length } = this;
    task.noteInvalidation({ device: device.id, iova, length, attempt: this.retries + 1, round });
    iommu.shadow.callbackStarts(device, pageOf(iova));
    return task.kernel.dmaUnmap(task, device, iova, length);
  }

  /** It has returned; what is left to do. */
  callbackEnds(device: Device): KernelStep<void> | null {
    const { task, iommu } = this;
    task.inDmaUnmap = null;
    return iommu.shadow.callbackEnds(task, iommu, device, this.lastSlot);
  }

  /** What was proposed: a warning after a round that leaves pins. The mapping may have gone during the round: then forget() has cleared lastSlot. */
  private warnLeft(slot: number): void {
    const { task, iommu } = this;
    if (this.lastSlot !== slot || !iommu.mappings.hasPins(slot)) return;
    task.warn(PROPOSALS.P2, {
      iova: this.invalidIova,
      size: this.invalidSize,
      attempt: this.retries + 1,
      ...leftoverPins(iommu, slot),
    });
  }
}
