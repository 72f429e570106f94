import { IOMMU_READ_WRITE } from '../../../schemas/uapi.ts';
// drivers/s390/crypto/vfio_ap_ops.c of Linux 6.1.192: the first one with the dma_unmap callback.
import type { DriverApi, DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import {
  AP_INVALID_ADDRESS,
  AP_INVALID_GISA,
  AP_NORMAL,
  AP_OTHERWISE_CHANGED,
  type ApStatus,
} from './hardware.ts';
import { HotPlug } from './hot-plug.ts';
import type { MatrixMdev } from './mdev.ts';
import { QueueTable, type VfioApQueue } from './queue.ts';
import { resetQueueAtOnce } from './reset.ts';
import { type ApSplats, apSplats } from './splats.ts';
import { answered } from './vfio-ap.ts';

export class Linux61 extends HotPlug {
  static readonly splats: ApSplats = apSplats({
    A1: 255,
    A2: 261,
    A3: 278,
    A4: 282,
    A5: 329,
    A6: 335,
    A7: 1641,
    A8: 1633,
    A9: 1655,
    A10: 458,
  });
  readonly splats: ApSplats = Linux61.splats;
  readonly bus = { scan: 'work', resetsNewQueues: false, bindsTwice: 'EBUSY' } as const;

  /** vfio_ap_free_aqic_resources: without a guest the ISC stays registered. */
  protected *freeAqicResources(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    const { matrixMdev } = q;
    if (q.savedIsc !== null) {
      if (matrixMdev?.kvm) {
        matrixMdev.kvm.giscUnregister(task, q.savedIsc);
        q.savedIsc = null;
      } else this.warn(task, q, 'A3');
    }
    if (q.savedIova === 0n) return;
    if (!matrixMdev) return this.warn(task, q, 'A4');
    yield* matrixMdev.vdev(task).unpinPages(q.savedIova, 1);
    q.savedIova = 0n;
  }

  /** vfio_ap_irq_enable: the pin's key is the byte itself; a refused ISC is 08. */
  protected *irqEnable(task: DriverTask, q: VfioApQueue, nib: bigint, isc: number): KernelStep<ApStatus> {
    const mdev = q.matrixMdev!;
    const kvm = mdev.kvm!;
    const vdev = mdev.vdev(task);
    if (nib === 0n || !kvm.hasMemoryAt(nib)) return answered(AP_INVALID_ADDRESS);
    const pinned = yield* vdev.pinPages(nib, 1, IOMMU_READ_WRITE);
    if (typeof pinned === 'string') return answered(AP_INVALID_ADDRESS);
    if (!kvm.giscRegister(isc)) {
      yield* vdev.unpinPages(nib, 1);
      return answered(AP_INVALID_GISA);
    }
    const status = this.matrixDev.hardware.aqicEnable(task, q.apqn, isc, nib);
    if (status.response === AP_NORMAL) {
      yield* this.freeAqicResources(task, q);
      q.savedIova = nib;
      q.savedIsc = isc;
    } else if (status.response === AP_OTHERWISE_CHANGED) {
      yield* vdev.unpinPages(nib, 1);
      kvm.giscUnregister(task, isc);
    } else {
      // This frees what the queue had before; the new pin is forgotten.
      this.warnOfEnable(task, q, status.response);
      yield* this.irqDisable(task, q);
    }
    return status;
  }

  /** vfio_ap_mdev_dma_unmap: neither the queues nor the length are looked at. */
  *dmaUnmap(api: DriverApi, _mdev: MatrixMdev, iova: bigint): KernelStep<void> {
    yield* api.unpinPages(iova, 1);
  }

  /** vfio_ap_mdev_filter_matrix: any answer but 00 to its last ZAPQ hides a queue's adapter from the guest. */
  protected passable(q: VfioApQueue): boolean {
    return q.resetResponse === AP_NORMAL;
  }

  /** A queue that was filtered is not reset. */
  protected *afterFilter(): KernelStep<void> {}

  /** vfio_ap_mdev_reset_queues: one after the other. */
  protected *resetAll(task: DriverTask, queues: readonly VfioApQueue[]): KernelStep<Errno | null> {
    let failed: Errno | null = null;
    for (const q of queues) failed = (yield* this.resetQueue(task, q)) ?? failed;
    return failed;
  }

  /** vfio_ap_mdev_reset_queue. */
  private *resetQueue(task: DriverTask, q: VfioApQueue): KernelStep<Errno | null> {
    const warn = (id: 'A7' | 'A8' | 'A9') => this.warn(task, q, id);
    const { errno, frees, response } = yield* resetQueueAtOnce(task, this.matrixDev.hardware, q.apqn, warn);
    q.resetResponse = response;
    if (frees) yield* this.freeAqicResources(task, q);
    return errno && this.refuseReset(task, errno, q.apqn, response);
  }

  /** They move into a table of their own first. */
  protected unplugOrder(queues: readonly VfioApQueue[]): readonly VfioApQueue[] {
    const table = new QueueTable();
    for (const q of queues) table.add(q);
    return table.list();
  }

  /** vfio_ap_mdev_remove_queue: the queue is unlinked and reset; others of its adapter are not. */
  *removeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    const mdev = q.matrixMdev;
    const kvm = yield* this.getUpdateLocks(task, mdev);
    if (mdev) {
      mdev.qtable.delete(q);
      this.hidesAdapterOf(mdev, q);
    }
    yield* this.resetQueue(task, q);
    this.releaseUpdateLocks(task, kvm);
  }
}
