import type { DriverApi, DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { ApGuest } from './guest.ts';
import { ApMask, ApMatrix, mkqid } from './masks.ts';
import type { MatrixMdev } from './mdev.ts';
import type { VfioApQueue } from './queue.ts';
import { VfioAp } from './vfio-ap.ts';

/**
 * What a guest has of a matrix mdev, from 5.19 on (read in 6.1.192 and 6.12.117): queues are linked to the mdev
 * that their APQN is assigned to, and the guest gets of the matrix what is bound and works (`shadow_apcb`).
 */
export abstract class GuestMatrix extends VfioAp {
  /** Whether the state of a queue's last reset lets a guest have it. */
  protected abstract passable(q: VfioApQueue): boolean;
  /** Resets queues, in this order, each of them whatever became of the others. */
  protected abstract resetAll(task: DriverTask, queues: readonly VfioApQueue[]): KernelStep<Errno | null>;
  /** What filter_matrix took from the guest: nothing is done about it, or (from 6.12 on) its queues are reset. */
  protected abstract afterFilter(task: DriverTask, mdev: MatrixMdev, filtered: ApMask): KernelStep<void>;

  protected queueOf(mdev: MatrixMdev, apqn: number): VfioApQueue | null {
    return mdev.kvm ? (mdev.qtable.get(apqn) ?? null) : null;
  }

  // --- Locks ---

  /** get_update_locks_for_kvm. */
  private *getUpdateLocksForKvm(task: DriverTask, kvm: ApGuest): KernelStep<void> {
    yield* task.lock(this.matrixDev.guestsLock);
    yield* task.lock(kvm.lock);
    yield* task.lock(kvm.hookSem);
    yield* task.lock(this.matrixDev.mdevsLock);
  }
  private releaseUpdateLocksForKvm(task: DriverTask, kvm: ApGuest): void {
    task.unlock(this.matrixDev.mdevsLock);
    task.unlock(kvm.hookSem);
    task.unlock(kvm.lock);
    task.unlock(this.matrixDev.guestsLock);
  }

  /** get_update_locks_for_mdev: the guest whose lock is among them, for the release. */
  protected *getUpdateLocks(task: DriverTask, mdev: MatrixMdev | null): KernelStep<ApGuest | null> {
    yield* task.lock(this.matrixDev.guestsLock);
    const kvm = mdev?.kvm ?? null;
    if (kvm) yield* task.lock(kvm.lock);
    yield* task.lock(this.matrixDev.mdevsLock);
    return kvm;
  }
  protected releaseUpdateLocks(task: DriverTask, kvm: ApGuest | null): void {
    task.unlock(this.matrixDev.mdevsLock);
    if (kvm) task.unlock(kvm.lock);
    task.unlock(this.matrixDev.guestsLock);
  }

  // --- The guest ---

  /** vfio_ap_mdev_open_device with vfio_ap_mdev_set_kvm. A guest without CRYCB gets no hook. */
  *openDevice(api: DriverApi, mdev: MatrixMdev): KernelStep<Errno | null> {
    if (api.guest === null) return api.refuse('EINVAL', 'the group has no guest');
    const kvm = this.matrixDev.guestOf(api.guest);
    if (!kvm.crycb) return null;
    yield* this.getUpdateLocksForKvm(api, kvm);
    let errno: Errno | null = null;
    if (kvm.hook) errno = api.refuse('EPERM', `guest ${kvm.id} has matrix ${kvm.hook.id} already`);
    else {
      kvm.hook = mdev;
      mdev.kvm = kvm;
      this.updateGuestApcb(mdev);
    }
    this.releaseUpdateLocksForKvm(api, kvm);
    return errno;
  }

  /** vfio_ap_mdev_close_device: vfio_ap_mdev_unset_kvm. */
  *closeDevice(api: DriverApi, mdev: MatrixMdev): KernelStep<void> {
    const { kvm } = mdev;
    if (!kvm?.crycb) return;
    yield* this.getUpdateLocksForKvm(api, kvm);
    kvm.hook = null;
    kvm.clearMasks();
    yield* this.resetQueues(api, mdev);
    mdev.kvm = null;
    this.releaseUpdateLocksForKvm(api, kvm);
  }

  /** vfio_ap_mdev_update_guest_apcb. */
  protected updateGuestApcb({ kvm, shadowApcb }: MatrixMdev): void {
    kvm?.setMasks(shadowApcb);
  }

  /** vfio_ap_mdev_remove, once userspace has closed the device. */
  *mdevRemove(task: DriverTask, mdev: MatrixMdev): KernelStep<void> {
    const { guestsLock, mdevsLock } = this.matrixDev;
    yield* task.lock(guestsLock);
    yield* task.lock(mdevsLock);
    yield* this.resetQueues(task, mdev);
    for (const apqn of mdev.matrix.apqns()) {
      const q = mdev.qtable.get(apqn);
      if (q) q.matrixMdev = null;
    }
    this.matrixDev.forget(mdev);
    task.unlock(mdevsLock);
    task.unlock(guestsLock);
  }

  /** vfio_ap_mdev_reset_queues: in the order of the table. */
  resetQueues(task: DriverTask, mdev: MatrixMdev): KernelStep<Errno | null> {
    return this.resetAll(task, mdev.qtable.list());
  }
  resetOne(task: DriverTask, q: VfioApQueue): KernelStep<Errno | null> {
    return this.resetAll(task, [q]);
  }

  /** vfio_ap_mdev_filter_matrix: whether the guest's part changed, and the adapters it lost. */
  protected filterMatrix(mdev: MatrixMdev): { changed: boolean; filtered: ApMask } {
    const before = mdev.shadowApcb;
    const { info } = this.matrixDev;
    const now = new ApMatrix(mdev.matrix.apm.and(info.apm), mdev.matrix.aqm.and(info.aqm));
    const filtered = new ApMask();
    mdev.shadowApcb = now;
    for (const apid of now.apm.list()) {
      const all = now.aqm.list().every((apqi) => {
        const q = mdev.qtable.get(mkqid(apid, apqi));
        return q !== undefined && this.passable(q);
      });
      if (all) continue;
      now.apm.clear(apid);
      if (before.apm.has(apid)) filtered.set(apid);
    }
    return { changed: !before.equals(now), filtered };
  }

  /** Filters, and tells the guest where that changed anything. */
  protected *filter(task: DriverTask, mdev: MatrixMdev): KernelStep<void> {
    const { changed, filtered } = this.filterMatrix(mdev);
    if (!changed) return;
    this.updateGuestApcb(mdev);
    yield* this.afterFilter(task, mdev, filtered);
  }

  /** vfio_ap_mdev_link_queue. */
  protected linkQueue(mdev: MatrixMdev, q: VfioApQueue | null): void {
    if (!q || mdev.qtable.get(q.apqn)) return;
    q.matrixMdev = mdev;
    mdev.qtable.add(q);
  }
}
