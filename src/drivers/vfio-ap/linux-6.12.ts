import { IOMMU_READ_WRITE } from '../../../schemas/uapi.ts';
// drivers/s390/crypto/vfio_ap_ops.c of Linux 6.12.117: dma_unmap looks at the queues, resets end in a work.
import type { DriverApi, DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import {
  AP_ASSOC_FAILED,
  AP_ASSOC_SECRET_NOT_UNIQUE,
  AP_BUSY,
  AP_CHECKSTOPPED,
  AP_DECONFIGURED,
  AP_INVALID_ADDRESS,
  AP_NORMAL,
  AP_OTHERWISE_CHANGED,
  AP_Q_NOT_AVAIL,
  AP_RESET_IN_PROGRESS,
  AP_STATE_CHANGE_IN_PROGRESS,
  type ApStatus,
} from './hardware.ts';
import { HotPlug } from './hot-plug.ts';
import { type ApMask, adapterOf, mkqid } from './masks.ts';
import type { MatrixMdev } from './mdev.ts';
import type { VfioApQueue } from './queue.ts';
import { type ApSplats, apSplats } from './splats.ts';
import { answered, INTERVAL } from './vfio-ap.ts';

export class Linux612 extends HotPlug {
  static readonly splats: ApSplats = apSplats(
    { A1: 258, A2: 264, A3: 281, A4: 285, A5: 332, A6: 338, A7: 2014, A10: 494, A11: 1938 },
    { A3: '!q->matrix_mdev' },
  );
  readonly splats: ApSplats = Linux612.splats;
  readonly bus = { scan: 'caller', resetsNewQueues: true, bindsTwice: 'EBUSY' } as const;

  /** vfio_ap_free_aqic_resources: without a guest the ISC is forgotten silently. */
  protected *freeAqicResources(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    const { matrixMdev } = q;
    if (q.savedIsc !== null) {
      if (!matrixMdev) this.warn(task, q, 'A3');
      else matrixMdev.kvm?.giscUnregister(task, q.savedIsc);
      q.savedIsc = null;
    }
    if (q.savedIova === 0n) return;
    if (!matrixMdev) return this.warn(task, q, 'A4');
    yield* matrixMdev.vdev(task).unpinPages(q.savedIova, 1);
    q.savedIova = 0n;
  }

  /** vfio_ap_irq_enable: a protected guest's NIB must be shared; that, and a refused ISC, are 06. */
  protected *irqEnable(task: DriverTask, q: VfioApQueue, nib: bigint, isc: number): KernelStep<ApStatus> {
    const mdev = q.matrixMdev!;
    const kvm = mdev.kvm!;
    const vdev = mdev.vdev(task);
    if (nib === 0n || !kvm.hasMemoryAt(nib)) return answered(AP_INVALID_ADDRESS);
    const pinned = yield* vdev.pinPages(nib, 1, IOMMU_READ_WRITE);
    if (typeof pinned === 'string') return answered(AP_INVALID_ADDRESS);
    if ((kvm.protected && !kvm.sharesNib) || !kvm.giscRegister(isc)) {
      yield* vdev.unpinPages(nib, 1);
      return answered(AP_INVALID_ADDRESS);
    }
    const status = this.matrixDev.hardware.aqicEnable(task, q.apqn, isc, nib);
    if (status.response === AP_NORMAL) {
      yield* this.freeAqicResources(task, q);
      q.savedIova = nib;
      q.savedIsc = isc;
    } else if (status.response === AP_OTHERWISE_CHANGED) {
      kvm.giscUnregister(task, isc);
      yield* vdev.unpinPages(nib, 1);
    } else {
      // This frees what the queue had before; the new pin is forgotten.
      this.warnOfEnable(task, q, status.response);
      yield* this.irqDisable(task, q);
    }
    return status;
  }

  /** vfio_ap_mdev_dma_unmap. It waits for the hardware, under the lock of all matrix mdevs. */
  *dmaUnmap(api: DriverApi, mdev: MatrixMdev, iova: bigint, length: bigint): KernelStep<void> {
    yield* api.lock(this.matrixDev.mdevsLock);
    for (const q of mdev.qtable.list()) {
      // unmap_iova. A queue without a pin has savedIova 0: a range that starts at 0 disables it.
      if (q.savedIova >= iova && q.savedIova < iova + length) yield* this.irqDisable(api, q);
    }
    api.unlock(this.matrixDev.mdevsLock);
  }

  /** _queue_passable. */
  protected passable({ resetResponse }: VfioApQueue): boolean {
    return [AP_NORMAL, AP_DECONFIGURED, AP_CHECKSTOPPED].includes(resetResponse);
  }

  /** reset_queues_for_apids. */
  protected *afterFilter(task: DriverTask, mdev: MatrixMdev, filtered: ApMask): KernelStep<void> {
    const queues = filtered.list().flatMap((apid) => this.queuesToReset(mdev, apid));
    yield* this.resetAll(task, queues);
  }

  /** collect_queues_to_reset. */
  private queuesToReset({ qtable, shadowApcb }: MatrixMdev, apid: number): VfioApQueue[] {
    return shadowApcb.aqm.list().flatMap((apqi) => qtable.get(mkqid(apid, apqi)) ?? []);
  }

  /** vfio_ap_mdev_reset_qlist: all the ZAPQs first; then it waits for every queue's work. */
  protected *resetAll(task: DriverTask, queues: readonly VfioApQueue[]): KernelStep<Errno | null> {
    const works: VfioApQueue[] = [];
    for (const q of queues) if (yield* this.resetQueue(task, q)) works.push(q);
    yield* this.flushWorks(task, works);
    const failed = queues.findLast(({ resetResponse }) => resetResponse !== AP_NORMAL);
    return failed ? this.refuseReset(task, 'EIO', failed.apqn, failed.resetResponse) : null;
  }

  /** vfio_ap_mdev_reset_queue: whether the rest is left to the queue's work. */
  private *resetQueue(task: DriverTask, q: VfioApQueue): KernelStep<boolean> {
    this.zapq(task, q);
    switch (q.resetResponse) {
      case AP_NORMAL:
      case AP_RESET_IN_PROGRESS:
      case AP_BUSY:
      case AP_STATE_CHANGE_IN_PROGRESS:
        return true;
      case AP_DECONFIGURED:
      case AP_CHECKSTOPPED:
      case AP_Q_NOT_AVAIL:
        yield* this.freeAqicResources(task, q);
        return false;
      default:
        this.warn(task, q, 'A7');
        return false;
    }
  }

  private zapq(task: DriverTask, q: VfioApQueue): void {
    q.resetResponse = this.matrixDev.hardware.execute(task, 'zapq', q.apqn).response;
  }

  /** flush_work of each: the works look at their queues every 20 ms, side by side. */
  private *flushWorks(task: DriverTask, works: VfioApQueue[]): KernelStep<void> {
    const worker = task.inWorker();
    let left = works;
    while (left.length > 0) {
      yield* task.sleep(INTERVAL);
      const again: VfioApQueue[] = [];
      for (const q of left) if (yield* this.resetCheck(worker, q)) again.push(q);
      left = again;
    }
  }

  /** One round of apq_reset_check: whether there is another. */
  private *resetCheck(task: DriverTask, q: VfioApQueue): KernelStep<boolean> {
    const { response } = this.matrixDev.hardware.execute(task, 'tapq', q.apqn);
    // apq_status_check.
    switch (response) {
      case AP_RESET_IN_PROGRESS:
      case AP_BUSY:
        return true;
      case AP_Q_NOT_AVAIL:
        yield* this.freeAqicResources(task, q);
        return false;
      case AP_NORMAL:
      case AP_DECONFIGURED:
      case AP_CHECKSTOPPED:
      case AP_ASSOC_SECRET_NOT_UNIQUE:
      case AP_ASSOC_FAILED:
        break;
      default:
        this.warn(task, q, 'A11');
        return false;
    }
    const unbound = response === AP_ASSOC_SECRET_NOT_UNIQUE || response === AP_ASSOC_FAILED;
    if (unbound || [AP_RESET_IN_PROGRESS, AP_BUSY, AP_STATE_CHANGE_IN_PROGRESS].includes(q.resetResponse)) {
      this.zapq(task, q);
      return true;
    }
    if (q.savedIsc !== null) yield* this.freeAqicResources(task, q);
    return false;
  }

  protected unplugOrder(queues: readonly VfioApQueue[]): readonly VfioApQueue[] {
    return queues;
  }

  /** vfio_ap_mdev_remove_queue: the guest loses the adapter, and every queue of it is reset. */
  *removeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    const mdev = q.matrixMdev;
    const kvm = yield* this.getUpdateLocks(task, mdev);
    if (mdev && this.hidesAdapterOf(mdev, q)) {
      yield* this.resetAll(task, this.queuesToReset(mdev, adapterOf(q.apqn)));
    } else if (this.matrixDev.info.has(q.apqn)) yield* this.resetAll(task, [q]);
    else yield* this.freeAqicResources(task, q);
    mdev?.qtable.delete(q);
    this.releaseUpdateLocks(task, kvm);
  }
}
