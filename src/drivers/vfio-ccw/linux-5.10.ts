// drivers/s390/cio/vfio_ccw_{cp,ops,drv,fsm}.c of Linux 5.10.262: page frames and the notifier.

import type { VfioCcwConfig } from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi, NotifyResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf, PAGE_SIZE, pageOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { type Ccw, doesDataTransfer, isIdal } from './ccw.ts';
import { ChannelProgram, copyPinned, idawAt, idawCount, type PageArray } from './channel-program.ts';
import { type Place, VfioCcwDriver } from './driver.ts';
import type { Orb } from './orb.ts';
import { isFinal, isSolicited } from './subchannel.ts';
import type { Vdev } from './vdev.ts';

/** The program of 5.10: pages are page frames, and all of a CCW's are pinned, and unpinned, in one call. */
export class ChannelProgram510 extends ChannelProgram {
  constructor(private readonly reads: 'pin' | 'dma-rw') {
    super();
  }

  override runs(): { iova: bigint; npage: number }[] {
    const runs: { iova: bigint; npage: number }[] = [];
    for (const { keys } of this.arrays()) {
      let last: { iova: bigint; npage: number } | null = null;
      for (const iova of keys) {
        if (last && last.iova + addressOf(last.npage) === iova) last.npage++;
        else {
          last = { iova, npage: 1 };
          runs.push(last);
        }
      }
    }
    return runs;
  }

  protected override *copyFromIova(vdev: Vdev, iova: bigint, length: number): KernelStep<Errno | Uint8Array> {
    if (this.reads === 'dma-rw') return yield* vdev.read(iova, length);
    const frames = framesFrom(iova, idawCount(iova, length, 4096));
    const pfns = yield* vdev.pinFrames(frames);
    if (typeof pfns === 'string') return pfns;
    yield* vdev.reached('transient-pin');
    const bytes = copyPinned(vdev, iova, length, pfns);
    yield* vdev.unpinFrames(frames);
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
    let frames = framesFrom(iova, nr);
    if (isIdal(ccw)) {
      const list = yield* this.copyFromIova(vdev, BigInt(ccw.cda), nr * 8);
      if (typeof list === 'string') {
        // Never pinned, and unpinned all the same: whoever holds them loses a reference (two-d6).
        yield* vdev.unpinFrames(frames);
        return list;
      }
      frames = Array.from({ length: nr }, (_, i) => pageOf(idawAt(list, i)));
    }
    if (!doesDataTransfer(ccw)) return null;
    const pfns = yield* vdev.pinFrames(frames);
    if (typeof pfns === 'string') return pfns;
    pa.keys = frames.map((frame) => addressOf(frame));
    return null;
  }

  /** pfn_array_unpin_free. */
  protected override *unpinFree(vdev: Vdev, { keys }: PageArray): KernelStep<void> {
    if (keys.length > 0) yield* vdev.unpinFrames(keys.map(pageOf));
  }
}

/** Up to 5.19: is notified of an unmap through the notifier chain, and resets when the first page is its own. */
export class VfioCcw510 extends VfioCcwDriver {
  readonly dmaUnmapFunction = 'vfio_ccw_mdev_notifier';
  protected override readonly driverName = 'vfio_mdev';

  /** vfio_ccw_mdev_create. */
  constructor(config: VfioCcwConfig, place: Place, cp: ChannelProgram) {
    super(config, place, cp, 'IDLE');
  }

  /** vfio_ccw_mdev_open: the FSM stays where it is (D9). */
  override *openDevice(): KernelStep<Errno | null> {
    return null;
  }

  /** vfio_ccw_mdev_release. */
  override *closeDevice(api: DriverApi): KernelStep<void> {
    const vdev = this.vdev(api);
    if (this.fsm !== 'NOT_OPER' && this.fsm !== 'STANDBY') {
      if (!(yield* this.mdevReset(vdev))) this.fsm = 'STANDBY';
    }
    yield* this.cp.free(vdev);
  }

  /** vfio_ccw_mdev_remove: an mdev that was never opened is quiesced, and its subchannel stays disabled. */
  override *remove(api: DriverApi, open: boolean): KernelStep<void> {
    if (open) return;
    const vdev = this.vdev(api);
    if (this.fsm !== 'NOT_OPER' && this.fsm !== 'STANDBY') {
      if (!(yield* this.schQuiesce(vdev))) this.fsm = 'STANDBY';
    }
    yield* this.cp.free(vdev);
    this.place.css.remove(this.id, this.place.sch, true);
  }

  /** vfio_ccw_mdev_notifier: cp_iova_pinned knows no length, and looks at the first page of the range. */
  override *dmaUnmap(api: DriverApi, iova: bigint): KernelStep<NotifyResult | void> {
    if (!this.cp.iovaPinned(iova, BigInt(PAGE_SIZE))) return;
    const vdev = this.vdev(api);
    if (yield* this.mdevReset(vdev)) return 'NOTIFY_BAD';
    yield* this.cp.free(vdev);
  }

  /** VFIO_DEVICE_RESET: frees nothing itself (D10). */
  override *reset(api: DriverApi): KernelStep<Errno | null> {
    const errno = yield* this.mdevReset(this.vdev(api));
    return errno && api.refuse(errno, 'the subchannel could not be quiesced and enabled again');
  }

  /** vfio_ccw_mdev_reset. */
  private *mdevReset(vdev: Vdev): KernelStep<Errno | null> {
    const errno = (yield* this.schQuiesce(vdev)) ?? this.cio.enable();
    if (!errno) this.fsm = 'IDLE';
    return errno;
  }

  /** vfio_ccw_sch_quiesce: whatever comes of it, NOT_OPER. */
  private *schQuiesce(vdev: Vdev): KernelStep<Errno | null> {
    let errno: Errno | null = null;
    if (this.place.sch.enabled) {
      errno = this.cio.disable();
      if (errno === 'EBUSY') errno = yield* this.cancelUntilDisabled(vdev);
    }
    this.fsm = 'NOT_OPER';
    return errno;
  }

  protected override disregardsIrq(): boolean {
    return this.fsm === 'NOT_OPER';
  }

  /** vfio_ccw_sch_io_todo: io_mutex is for the region alone. */
  protected override *schIoTodo(vdev: Vdev): KernelStep<void> {
    const irb = this.irb!;
    const finished = isSolicited(irb) && isFinal(irb) && this.fsm === 'CP_PENDING';
    if (finished) yield* this.cp.free(vdev);
    yield* vdev.api.lock(this.ownLock);
    this.region = irb;
    vdev.api.unlock(this.ownLock);
    if (finished) this.fsm = 'IDLE';
    vdev.signal();
  }
}

/** Page frames from an address on. */
function framesFrom(iova: bigint, count: number): number[] {
  const first = pageOf(iova);
  return Array.from({ length: count }, (_, i) => first + i);
}
