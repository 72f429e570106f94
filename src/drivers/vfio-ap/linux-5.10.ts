import { IOMMU_READ_WRITE } from '../../../schemas/uapi.ts';
// drivers/s390/crypto/vfio_ap_ops.c and vfio_ap_drv.c of Linux 5.10.262: the notifier era.
import type { DriverApi, DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { offsetInPage } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { AP_INVALID_ADDRESS, AP_NORMAL, type ApStatus } from './hardware.ts';
import type { ApMask } from './masks.ts';
import type { MatrixMdev } from './mdev.ts';
import type { VfioApQueue } from './queue.ts';
import { resetQueueAtOnce } from './reset.ts';
import { type ApSplats, apSplats } from './splats.ts';
import { VfioAp } from './vfio-ap.ts';

/** What the driver makes of every answer to AQIC. */
const ZERO: ApStatus = { response: AP_NORMAL, irqEnabled: false, queueEmpty: false };

/**
 * A queue is not linked to an mdev but found on the AP bus, and remembers the mdev (`matrix_mdev`) of the last
 * PQAP. Assigning and unassigning only change the masks, and only while no guest is there.
 */
export class Linux510 extends VfioAp {
  static readonly splats: ApSplats = apSplats({
    A1: 97,
    A2: 103,
    A3: 121,
    A4: 125,
    A5: 171,
    A6: 177,
    A7: 1164,
    A8: 1159,
    A9: 1176,
  });
  readonly splats: ApSplats = Linux510.splats;
  readonly bus = { scan: null, resetsNewQueues: false, bindsTwice: 'ENODEV' } as const;
  override readonly opensEachFile = true;

  /** ap_aqic takes the status from bits 0-31 of GR1 (recording enable-01): it is in 32-63. */
  protected override readAqic(_status: ApStatus): ApStatus {
    return ZERO;
  }

  /** vfio_ap_get_queue. */
  protected queueOf(mdev: MatrixMdev, apqn: number): VfioApQueue | null {
    if (!mdev.matrix.has(apqn)) return null;
    const q = this.matrixDev.bus.boundQueue(apqn);
    if (q) q.matrixMdev = mdev;
    return q;
  }

  /** vfio_ap_free_aqic_resources. */
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

  protected override *irqDisable(task: DriverTask, q: VfioApQueue): KernelStep<ApStatus> {
    const status = yield* super.irqDisable(task, q);
    q.matrixMdev = null;
    return status;
  }

  /** vfio_ap_irq_enable: page 0 is taken, and not told from none; a refused ISC is not noticed. */
  protected *irqEnable(task: DriverTask, q: VfioApQueue, nib: bigint, isc: number): KernelStep<ApStatus> {
    const mdev = q.matrixMdev!;
    const { hardware } = this.matrixDev;
    const page = nib - BigInt(offsetInPage(nib));
    const pinned = yield* mdev.vdev(task).pinPages(page, 1, IOMMU_READ_WRITE);
    if (typeof pinned === 'string') return { ...ZERO, response: AP_INVALID_ADDRESS };
    // With the guest gone the registration finds no GISA (recording guest-gone).
    if (mdev.kvm) mdev.kvm.giscRegister(isc);
    else hardware.registers();
    // The branches for other answers are never reached: it reads 00 whatever the answer is.
    const status = this.readAqic(hardware.aqicEnable(task, q.apqn, isc, nib));
    yield* this.freeAqicResources(task, q);
    q.savedIova = page;
    q.savedIsc = isc;
    return status;
  }

  /** vfio_ap_mdev_remove. */
  *mdevRemove(task: DriverTask, mdev: MatrixMdev): KernelStep<void> {
    const { mdevsLock } = this.matrixDev;
    yield* task.lock(mdevsLock);
    yield* this.resetQueues(task, mdev);
    this.matrixDev.forget(mdev);
    task.unlock(mdevsLock);
  }

  /** assign_adapter_store. */
  assignAdapter(task: DriverTask, mdev: MatrixMdev, apid: number): KernelStep<Errno | null> {
    const { maxAdapter } = this.matrixDev.hardware;
    const { apm, aqm } = mdev.matrix;
    return this.assign(task, mdev, apm, apid, maxAdapter, aqm, (apqi) => [apid, apqi]);
  }

  /** assign_domain_store. */
  assignDomain(task: DriverTask, mdev: MatrixMdev, apqi: number): KernelStep<Errno | null> {
    const { maxDomain } = this.matrixDev.hardware;
    const { apm, aqm } = mdev.matrix;
    return this.assign(task, mdev, aqm, apqi, maxDomain, apm, (apid) => [apid, apqi]);
  }

  /**
   * @param mask what the number is added to, at most `most`
   * @param others the mask across it: each of its queues, or (where it is empty) any at all, must be bound to vfio_ap
   */
  private *assign(
    task: DriverTask,
    mdev: MatrixMdev,
    mask: ApMask,
    number: number,
    most: number,
    others: ApMask,
    queue: (other: number | null) => [number | null, number | null],
  ): KernelStep<Errno | null> {
    const refused = this.refuseWithGuest(task, mdev) ?? this.refuseAbove(task, number, most);
    if (refused) return refused;
    const { mdevsLock, bus } = this.matrixDev;
    yield* task.lock(mdevsLock);
    let errno: Errno | null = null;
    const across = others.empty ? [null] : others.list();
    if (!across.every((other) => bus.reserves(...queue(other)))) {
      errno = task.refuse('EADDRNOTAVAIL', `a queue of ${number} is not bound to vfio_ap`);
    } else {
      const had = mask.has(number);
      mask.set(number);
      errno = this.verifyNoSharing(task, mdev);
      if (errno && !had) mask.clear(number);
    }
    task.unlock(mdevsLock);
    return errno;
  }

  /** vfio_ap_mdev_verify_no_sharing. */
  private verifyNoSharing(task: DriverTask, mdev: MatrixMdev): Errno | null {
    for (const other of this.matrixDev.mdevList) {
      if (other === mdev) continue;
      const shared = mdev.matrix.apqns().find((apqn) => other.matrix.has(apqn));
      if (shared !== undefined)
        return task.refuse('EADDRINUSE', `queue ${shared} is assigned to ${other.id}`);
    }
    return null;
  }

  /** unassign_adapter_store. */
  unassignAdapter(task: DriverTask, mdev: MatrixMdev, apid: number): KernelStep<Errno | null> {
    return this.unassign(task, mdev, mdev.matrix.apm, apid, this.matrixDev.hardware.maxAdapter);
  }

  /** unassign_domain_store. */
  unassignDomain(task: DriverTask, mdev: MatrixMdev, apqi: number): KernelStep<Errno | null> {
    return this.unassign(task, mdev, mdev.matrix.aqm, apqi, this.matrixDev.hardware.maxDomain);
  }

  private *unassign(
    task: DriverTask,
    mdev: MatrixMdev,
    mask: ApMask,
    number: number,
    most: number,
  ): KernelStep<Errno | null> {
    const refused = this.refuseWithGuest(task, mdev) ?? this.refuseAbove(task, number, most);
    if (refused) return refused;
    yield* task.lock(this.matrixDev.mdevsLock);
    mask.clear(number);
    task.unlock(this.matrixDev.mdevsLock);
    return null;
  }

  private refuseWithGuest(task: DriverTask, { kvm }: MatrixMdev): Errno | null {
    return kvm ? task.refuse('EBUSY', `guest ${kvm.id} uses the matrix`) : null;
  }

  /** vfio_ap_mdev_open: VFIO's core has registered the notifiers, and tells of the guest that is there. */
  *openDevice(api: DriverApi, mdev: MatrixMdev): KernelStep<Errno | null> {
    const { guest } = api;
    if (guest !== null) yield* this.groupNotifier(api, mdev, guest);
    return null;
  }

  /** vfio_ap_mdev_group_notifier with vfio_ap_mdev_set_kvm: a guest that goes leaves everything as it is. */
  override *groupNotifier(api: DriverApi, mdev: MatrixMdev, guest: GuestId | null): KernelStep<void> {
    if (guest === null) {
      mdev.kvm = null;
      return;
    }
    const { mdevsLock, mdevList } = this.matrixDev;
    const kvm = this.matrixDev.guestOf(guest);
    yield* api.lock(mdevsLock);
    const taken = mdevList.some((other) => other !== mdev && other.kvm === kvm);
    if (!taken) {
      mdev.kvm = kvm;
      kvm.hook = mdev;
    }
    api.unlock(mdevsLock);
    if (!taken && kvm.crycb) kvm.setMasks(mdev.matrix);
  }

  /** vfio_ap_mdev_release: nothing is reset where the guest has gone before. */
  *closeDevice(api: DriverApi, mdev: MatrixMdev): KernelStep<void> {
    const { mdevsLock } = this.matrixDev;
    yield* api.lock(mdevsLock);
    const { kvm } = mdev;
    if (kvm) {
      kvm.clearMasks();
      kvm.hook = null;
      yield* this.resetQueues(api, mdev);
      mdev.kvm = null;
    }
    api.unlock(mdevsLock);
  }

  /** vfio_ap_mdev_iommu_notifier: neither the queues nor the length are looked at. */
  *dmaUnmap(api: DriverApi, _mdev: MatrixMdev, iova: bigint): KernelStep<void> {
    yield* api.unpinPages(iova - BigInt(offsetInPage(iova)), 1);
  }

  /** vfio_ap_mdev_reset_queues: ascending. */
  *resetQueues(task: DriverTask, mdev: MatrixMdev): KernelStep<Errno | null> {
    let errno: Errno | null = null;
    for (const apqn of mdev.matrix.apqns()) {
      const q = this.matrixDev.bus.boundQueue(apqn);
      if (q) errno = (yield* this.resetOne(task, q)) ?? errno;
    }
    return errno;
  }

  /** vfio_ap_mdev_reset_queue. */
  *resetOne(task: DriverTask, q: VfioApQueue): KernelStep<Errno | null> {
    const { hardware } = this.matrixDev;
    const warn = (id: 'A7' | 'A8' | 'A9') => this.warn(task, q, id);
    const { errno, frees, response } = yield* resetQueueAtOnce(task, hardware, q.apqn, warn);
    if (frees) yield* this.freeAqicResources(task, q);
    return errno && this.refuseReset(task, errno, q.apqn, response);
  }

  /** vfio_ap_queue_dev_probe. */
  *probeQueue(): KernelStep<void> {}

  /** vfio_ap_queue_dev_remove. */
  *removeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    yield* task.lock(this.matrixDev.mdevsLock);
    yield* this.resetOne(task, q);
    task.unlock(this.matrixDev.mdevsLock);
  }

  *onConfigChanged(): KernelStep<void> {}
  *onScanComplete(): KernelStep<void> {}
}
