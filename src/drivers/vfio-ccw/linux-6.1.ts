// drivers/s390/cio/vfio_ccw_{cp,ops,drv,fsm}.c of Linux 6.1.192: the dma_unmap callback, keys of exact bytes.

import type { VfioCcwConfig } from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { type Ccw, doesDataTransfer, isIdal } from './ccw.ts';
import { ChannelProgram, copyPinned, idawAt, idawCount, type PageArray } from './channel-program.ts';
import { type CcwEvent, type Place, VfioCcwDriver } from './driver.ts';
import type { Orb } from './orb.ts';
import type { Vdev } from './vdev.ts';

/** The program since 6.0: keys of exact bytes; those that follow each other page by page go in one call. */
export class ChannelProgram61 extends ChannelProgram {
  /** CCWCHAIN_COUNT_MAX (6.1.192; before, nothing but memory limits them). */
  protected override readonly chainsMax: number = 16;

  override runs(): { iova: bigint; npage: number }[] {
    return [...this.arrays()].flatMap(({ keys }) => this.runsOf(keys));
  }

  protected override *copyFromIova(vdev: Vdev, iova: bigint, length: number): KernelStep<Errno | Uint8Array> {
    const keys = keysFrom(iova, idawCount(iova, length, 4096));
    const pfns = yield* this.pin(vdev, keys);
    if (typeof pfns === 'string') return pfns;
    yield* vdev.reached('transient-pin');
    const bytes = copyPinned(vdev, iova, length, pfns);
    yield* this.unpin(vdev, keys);
    return bytes;
  }

  /** ccwchain_fetch_direct. */
  protected override *fetchCcw(vdev: Vdev, _orb: Orb, ccw: Ccw, pa: PageArray): KernelStep<Errno | null> {
    const bytes = ccw.count || 1;
    let iova = BigInt(ccw.cda);
    if (isIdal(ccw)) {
      // The first IDAW tells where the data begins in its page.
      const first = yield* this.copyFromIova(vdev, iova, 8);
      if (typeof first === 'string') return first;
      iova = idawAt(first, 0);
    }
    const nr = idawCount(iova, bytes, 4096);
    let keys = keysFrom(iova, nr);
    if (isIdal(ccw)) {
      const list = yield* this.copyFromIova(vdev, BigInt(ccw.cda), nr * 8);
      if (typeof list === 'string') {
        // Never pinned, and unpinned all the same: whoever holds them loses a reference (two-d6).
        yield* this.unpin(vdev, keys);
        return list;
      }
      keys = Array.from({ length: nr }, (_, i) => idawAt(list, i));
    }
    if (!doesDataTransfer(ccw)) return null;
    const pfns = yield* this.pin(vdev, keys);
    if (typeof pfns === 'string') return pfns;
    pa.keys = keys;
    return null;
  }

  /** page_array_pin: every key, or none. */
  protected *pin(vdev: Vdev, keys: readonly bigint[]): KernelStep<Errno | number[]> {
    const pfns: number[] = [];
    for (const { iova, npage } of this.runsOf(keys)) {
      const pinned = yield* vdev.pinPages(iova, npage);
      if (typeof pinned === 'string') {
        yield* this.unpin(vdev, keys.slice(0, pfns.length));
        return pinned;
      }
      pfns.push(...pinned);
    }
    return pfns;
  }

  /** page_array_unpin. */
  protected *unpin(vdev: Vdev, keys: readonly bigint[]): KernelStep<void> {
    for (const { iova, npage } of this.runsOf(keys)) yield* vdev.unpinPages(iova, npage);
  }

  /** page_array_unpin_free. */
  protected override *unpinFree(vdev: Vdev, { keys }: PageArray): KernelStep<void> {
    yield* this.unpin(vdev, keys);
  }

  /** Keys as the calls they go in. */
  protected runsOf(keys: readonly bigint[]): { iova: bigint; npage: number }[] {
    const runs: { iova: bigint; npage: number }[] = [];
    for (const iova of keys) {
      const last = runs.at(-1);
      if (last && BigInt.asUintN(64, last.iova + addressOf(last.npage)) === iova) last.npage++;
      else runs.push({ iova, npage: 1 });
    }
    return runs;
  }
}

/** 6.1.192: the whole range is looked at, and a subchannel that is not operational gives its pages back later. */
export class VfioCcw61 extends VfioCcwDriver {
  /** vfio_ccw_mdev_probe. */
  constructor(config: VfioCcwConfig, place: Place, cp: ChannelProgram) {
    super(config, place, cp, 'STANDBY');
  }

  /** vfio_ccw_mdev_open_device. */
  override *openDevice(api: DriverApi): KernelStep<Errno | null> {
    if (this.fsm !== 'NOT_OPER') yield* this.event(this.vdev(api), 'OPEN');
    return this.operational(api);
  }

  /** vfio_ccw_mdev_close_device: waits for the work that gives pages back (D1). */
  override *closeDevice(api: DriverApi): KernelStep<void> {
    yield* this.event(this.vdev(api), 'CLOSE');
    const { css } = this.place;
    css.cancel(this.id, 'io');
    yield* css.flushWork(this.id, 'notoper', api);
  }

  /** vfio_ccw_mdev_remove; where the device is open its user is asked to close it. */
  override *remove(api: DriverApi, open: boolean): KernelStep<void> {
    if (open) this.request(api);
    else this.place.css.remove(this.id, this.place.sch, false);
  }

  /** vfio_ccw_dma_unmap. */
  override *dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    yield* this.workInTime(api);
    if (yield* this.cpIovaPinned(api, iova, length)) yield* this.mdevReset(this.vdev(api));
  }

  /** VFIO_DEVICE_RESET. */
  override *reset(api: DriverApi): KernelStep<Errno | null> {
    yield* this.mdevReset(this.vdev(api));
    return this.operational(api);
  }

  /** vfio_ccw_mdev_reset. */
  protected *mdevReset(vdev: Vdev): KernelStep<void> {
    yield* this.event(vdev, 'CLOSE');
    yield* this.event(vdev, 'OPEN');
  }

  /** cp_iova_pinned. */
  protected *cpIovaPinned(api: DriverApi, iova: bigint, length: bigint): KernelStep<boolean> {
    if (!this.cp.initialized) return false;
    yield* api.lock(this.ownLock);
    const pinned = this.cp.iovaPinned(iova, length);
    api.unlock(this.ownLock);
    return pinned;
  }

  /** The jump table, for OPEN, CLOSE and NOT_OPER. */
  private *event(vdev: Vdev, event: CcwEvent & ('OPEN' | 'CLOSE' | 'NOT_OPER')): KernelStep<void> {
    this.trace(vdev, event);
    if (this.fsm === 'NOT_OPER') return;
    if (event === 'OPEN' && this.fsm === 'STANDBY') yield* this.fsmOpen(vdev);
    else if (event === 'CLOSE' && this.fsm !== 'STANDBY') yield* this.fsmClose(vdev);
    else yield* this.fsmNotoper(vdev);
  }

  private *fsmOpen(vdev: Vdev): KernelStep<void> {
    if (this.cio.enable()) yield* this.event(vdev, 'NOT_OPER');
    else this.fsm = 'IDLE';
  }

  private *fsmClose(vdev: Vdev): KernelStep<void> {
    let failed: Errno | 'disabled' | null = this.place.sch.enabled ? this.cio.disable() : 'disabled';
    if (failed === 'EBUSY') failed = yield* this.cancelUntilDisabled(vdev);
    if (failed) {
      yield* this.event(vdev, 'NOT_OPER');
      return;
    }
    this.fsm = 'STANDBY';
    yield* vdev.api.lock(this.ownLock);
    yield* this.cp.free(vdev);
    vdev.api.unlock(this.ownLock);
  }

  protected *fsmNotoper(vdev: Vdev): KernelStep<void> {
    this.scheduleUnregister();
    this.fsm = 'NOT_OPER';
    // It may be in an interrupt, so the pages are given back by the workqueue.
    this.place.css.queueWork(this, 'notoper');
    this.callbacksSinceWork = 0;
    void vdev;
  }

  /** Where the device asks for it the workqueue has time at its n-th callback, instead of too late. */
  private *workInTime(api: DriverApi): KernelStep<void> {
    const { workAfterCallbacks } = this.config;
    if (!this.place.css.isQueued(this.id, 'notoper')) return;
    if (++this.callbacksSinceWork === workAfterCallbacks) yield* this.place.css.flush(api);
  }

  protected override disregardsIrq(): boolean {
    return this.fsm === 'NOT_OPER' || this.fsm === 'STANDBY';
  }

  private operational(api: DriverApi): Errno | null {
    return this.fsm === 'NOT_OPER' ? api.refuse('EINVAL', 'the subchannel is not operational') : null;
  }
}

/** Keys of the pages from an address on: the address itself, then 4096 further each. */
function keysFrom(iova: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => BigInt.asUintN(64, iova + addressOf(i)));
}
