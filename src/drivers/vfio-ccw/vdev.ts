import type { HoldPlace } from '../../../schemas/drivers/vfio-ccw.ts';
import { IOMMU_READ_WRITE } from '../../../schemas/uapi.ts';
import type { DriverApi, VfioCall } from '../../kernel/driver.ts';
import { ERRNO, type Errno } from '../../kernel/errno.ts';
import { addressOf, hex, pageOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';

/** Calls into VFIO that one call's answer lists. */
const LISTED_CALLS = 4096;

/** Where the driver is to stop, once. */
export interface Holding {
  at: HoldPlace | null;
}

/**
 * The driver's struct vfio_device within a task: what its calls into VFIO are made on. They are listed in the
 * answer, and the pages that the driver holds are counted, by key.
 */
export class Vdev {
  /**
   * @param held references by key; the device's, in whatever task
   * @param worker whether the workqueue's thread is running, which the task stands in for
   */
  constructor(
    readonly api: DriverApi,
    readonly device: string,
    private readonly held: Map<bigint, number>,
    private readonly worker: boolean,
    private readonly holding: Holding,
  ) {}

  /** A place where a race is decided: where a test wants it, what brought the driver here stops. */
  *reached(place: HoldPlace): KernelStep<void> {
    if (this.holding.at !== place) return;
    this.holding.at = null;
    yield* this.api.hold();
  }

  /** vfio_pin_pages since 6.0: pages from a key on. */
  *pinPages(iova: bigint, npage: number): KernelStep<Errno | readonly number[]> {
    const result = yield* this.api.pinPages(iova, npage, IOMMU_READ_WRITE);
    const pinned = typeof result !== 'string';
    this.list({ op: 'pin', iova: hex(iova), npage, ret: pinned ? result.length : -ERRNO[result] });
    if (pinned) this.hold(keysFrom(iova, npage));
    return result;
  }

  /** vfio_unpin_pages since 6.0. */
  *unpinPages(iova: bigint, npage: number): KernelStep<void> {
    const result = yield* this.api.unpinPages(iova, npage);
    this.list({ op: 'unpin', iova: hex(iova), npage, ...retOf(result) });
    this.giveBack(keysFrom(iova, npage));
  }

  /** vfio_pin_pages up to 5.19: a list of page frames, all or none. */
  *pinFrames(frames: readonly number[]): KernelStep<Errno | readonly number[]> {
    const runs = framesAsRuns(frames);
    const pfns: number[] = [];
    let failed: Errno | null = null;
    for (const [i, { iova, npage }] of runs.entries()) {
      const result = yield* this.api.pinPages(iova, npage, IOMMU_READ_WRITE);
      if (typeof result !== 'string') {
        pfns.push(...result);
        continue;
      }
      failed = result;
      for (const done of runs.slice(0, i)) yield* this.api.unpinPages(done.iova, done.npage);
      break;
    }
    this.list({ op: 'pin', ...listOf(frames), ret: failed ? -ERRNO[failed] : pfns.length });
    if (failed) return failed;
    this.hold(frames.map((frame) => addressOf(frame)));
    return pfns;
  }

  /** vfio_unpin_pages up to 5.19: stops at the first page that lies in no mapping (D7). */
  *unpinFrames(frames: readonly number[]): KernelStep<void> {
    let walked = 0;
    let ret: { ret?: number } = {};
    for (const { iova, npage } of framesAsRuns(frames)) {
      const result = yield* this.api.unpinPages(iova, npage);
      if (typeof result === 'number') walked += result;
      ret = walked > 0 ? { ret: walked } : retOf(result);
      if (typeof result === 'string' || (result !== null && result < npage)) break;
    }
    this.list({ op: 'unpin', ...listOf(frames), ...ret });
    this.giveBack(frames.map((frame) => addressOf(frame)));
  }

  /** vfio_dma_rw, reading. */
  *read(iova: bigint, length: number): KernelStep<Errno | Uint8Array> {
    const result = yield* this.api.dmaRw(iova, { read: length });
    this.list({
      op: 'dma-rw',
      iova: hex(iova),
      length,
      ret: typeof result === 'string' ? -ERRNO[result] : 0,
    });
    return result;
  }

  /** eventfd_signal of the I/O interrupt. */
  signal(): void {
    const { effects } = this.api;
    effects.interruptsSignalled ??= {};
    const { interruptsSignalled } = effects;
    interruptsSignalled[this.device] = (interruptsSignalled[this.device] ?? 0) + 1;
  }

  /** How often the I/O interrupt was signalled in this task; it counts no further. */
  takeSignals(): number {
    const { effects } = this.api;
    const count = effects.interruptsSignalled?.[this.device] ?? 0;
    if (count > 0) {
      const { [this.device]: _, ...others } = effects.interruptsSignalled!;
      if (Object.keys(others).length > 0) effects.interruptsSignalled = others;
      else delete effects.interruptsSignalled;
    }
    return count;
  }

  private list(call: Omit<VfioCall, 'device' | 'by'>): void {
    const { op, ...rest } = call;
    const entry = { op, device: this.device, ...rest, ...(this.worker ? { by: 'worker' as const } : {}) };
    this.api.effects.vfio ??= [];
    if (this.api.effects.vfio.length < LISTED_CALLS) this.api.effects.vfio.push(entry);
  }

  private hold(keys: readonly bigint[]): void {
    for (const key of keys) this.held.set(key, (this.held.get(key) ?? 0) + 1);
  }

  /** Pages that it gives back without having held them are somebody else's. */
  private giveBack(keys: readonly bigint[]): void {
    const notHeld: { iova: bigint; npage: number }[] = [];
    for (const key of keys) {
      const times = this.held.get(key) ?? 0;
      if (times > 1) this.held.set(key, times - 1);
      else if (times === 1) this.held.delete(key);
      else {
        const last = notHeld.at(-1);
        if (last && last.iova + addressOf(last.npage) === key) last.npage++;
        else notHeld.push({ iova: key, npage: 1 });
      }
    }
    if (notHeld.length === 0) return;
    const { effects } = this.api;
    effects.unpinnedNotHeld ??= [];
    for (const { iova, npage } of notHeld) {
      effects.unpinnedNotHeld.push({ device: this.device, iova: hex(iova), npage });
    }
  }
}

/** The keys of `npage` pages from one on, 4096 bytes apart. */
function keysFrom(iova: bigint, npage: number): bigint[] {
  return Array.from({ length: npage }, (_, i) => BigInt.asUintN(64, iova + addressOf(i)));
}

/** Page frames that follow each other, as pages from a key on. */
function framesAsRuns(frames: readonly number[]): { iova: bigint; npage: number }[] {
  const runs: { iova: bigint; npage: number }[] = [];
  for (const frame of frames) {
    const last = runs.at(-1);
    if (last && pageOf(last.iova) + last.npage === frame) last.npage++;
    else runs.push({ iova: addressOf(frame), npage: 1 });
  }
  return runs;
}

function listOf(frames: readonly number[]): { iovas: string[]; npage: number } {
  return { iovas: frames.map((frame) => hex(addressOf(frame))), npage: frames.length };
}

/** What an unpin answered, where it answers. */
function retOf(result: Errno | number | null): { ret?: number } {
  if (result === null) return {};
  return { ret: typeof result === 'string' ? -ERRNO[result] : result };
}
