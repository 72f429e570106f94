import type { DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { GuestMatrix } from './guest-matrix.ts';
import { ApMask, ApMatrix, adapterOf, copy, domainOf, mkqid } from './masks.ts';
import type { MatrixMdev } from './mdev.ts';
import type { VfioApQueue } from './queue.ts';

/** Assigning, and the AP bus, with hot plug: from 5.19 on (read in 6.1.192 and 6.12.117). */
export abstract class HotPlug extends GuestMatrix {
  /** assign_adapter_store. */
  assignAdapter(task: DriverTask, mdev: MatrixMdev, apid: number): KernelStep<Errno | null> {
    const { maxAdapter } = this.matrixDev.hardware;
    const link = () => mdev.matrix.aqm.list().map((apqi) => mkqid(apid, apqi));
    return this.assign(task, mdev, mdev.matrix.apm, apid, maxAdapter, link);
  }

  /** assign_domain_store. */
  assignDomain(task: DriverTask, mdev: MatrixMdev, apqi: number): KernelStep<Errno | null> {
    const { maxDomain } = this.matrixDev.hardware;
    const link = () => mdev.matrix.apm.list().map((apid) => mkqid(apid, apqi));
    return this.assign(task, mdev, mdev.matrix.aqm, apqi, maxDomain, link);
  }

  private *assign(
    task: DriverTask,
    mdev: MatrixMdev,
    mask: ApMask,
    number: number,
    most: number,
    apqnsToLink: () => number[],
  ): KernelStep<Errno | null> {
    const { permsLock } = this.matrixDev;
    yield* task.lock(permsLock);
    const kvm = yield* this.getUpdateLocks(task, mdev);
    let errno = this.refuseAbove(task, number, most);
    if (!errno && !mask.has(number)) {
      mask.set(number);
      errno = this.validateMasks(task, mdev);
      if (errno) mask.clear(number);
      else {
        for (const apqn of apqnsToLink()) this.linkQueue(mdev, this.matrixDev.bus.boundQueue(apqn));
        yield* this.filter(task, mdev);
      }
    }
    this.releaseUpdateLocks(task, kvm);
    task.unlock(permsLock);
    return errno;
  }

  /** vfio_ap_mdev_validate_masks: vfio_ap_mdev_verify_no_sharing. Every queue of the host is for vfio_ap. */
  private validateMasks(task: DriverTask, mdev: MatrixMdev): Errno | null {
    for (const other of this.matrixDev.mdevList) {
      if (other === mdev) continue;
      const shared = mdev.matrix.apqns().filter((apqn) => other.matrix.has(apqn));
      if (shared.length === 0) continue;
      for (const apqn of shared) {
        const text = `vfio_ap_mdev ${mdev.id}: Userspace may not assign queue ${queueName(apqn)} to mdev: already assigned to ${other.id}`;
        task.prWarn(text, { device: mdev.id });
      }
      return task.refuse('EADDRINUSE', `queue ${queueName(shared[0]!)} is assigned to ${other.id}`);
    }
    return null;
  }

  /** unassign_adapter_store. */
  unassignAdapter(task: DriverTask, mdev: MatrixMdev, apid: number): KernelStep<Errno | null> {
    const { apm, aqm } = mdev.matrix;
    const unlink = () => aqm.list().map((apqi) => mkqid(apid, apqi));
    return this.unassign(task, mdev, apm, 'apm', apid, this.matrixDev.hardware.maxAdapter, unlink);
  }

  /** unassign_domain_store. */
  unassignDomain(task: DriverTask, mdev: MatrixMdev, apqi: number): KernelStep<Errno | null> {
    const { apm, aqm } = mdev.matrix;
    const unlink = () => apm.list().map((apid) => mkqid(apid, apqi));
    return this.unassign(task, mdev, aqm, 'aqm', apqi, this.matrixDev.hardware.maxDomain, unlink);
  }

  private *unassign(
    task: DriverTask,
    mdev: MatrixMdev,
    mask: ApMask,
    side: 'apm' | 'aqm',
    number: number,
    most: number,
    apqnsToUnlink: () => number[],
  ): KernelStep<Errno | null> {
    const kvm = yield* this.getUpdateLocks(task, mdev);
    const errno = this.refuseAbove(task, number, most);
    if (!errno && mask.has(number)) {
      mask.clear(number);
      yield* this.hotUnplug(task, mdev, side, number, apqnsToUnlink());
    }
    this.releaseUpdateLocks(task, kvm);
    return errno;
  }

  /**
   * vfio_ap_mdev_hot_unplug_adapter and _domain. A queue that the guest does not have is unlinked without a reset:
   * what it holds it keeps, and it still names its mdev.
   */
  private *hotUnplug(
    task: DriverTask,
    mdev: MatrixMdev,
    side: 'apm' | 'aqm',
    number: number,
    apqns: readonly number[],
  ): KernelStep<void> {
    const { shadowApcb, qtable } = mdev;
    const linked = apqns.flatMap((apqn) => qtable.get(apqn) ?? []);
    for (const q of linked) qtable.delete(q);
    const toReset = linked.filter((q) => shadowApcb.has(q.apqn));
    if (shadowApcb[side].has(number)) {
      shadowApcb[side].clear(number);
      this.updateGuestApcb(mdev);
    }
    yield* this.resetAll(task, this.unplugOrder(toReset));
    for (const q of toReset) q.matrixMdev = null;
  }

  /** The order in which queues that are unplugged are reset. */
  protected abstract unplugOrder(queues: readonly VfioApQueue[]): readonly VfioApQueue[];

  // --- The AP bus ---

  /** vfio_ap_mdev_probe_queue. While a change of the configuration is in progress, filtering waits for its end. */
  *probeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    const mdev = this.matrixDev.mdevList.find(({ matrix }) => matrix.has(q.apqn)) ?? null;
    const kvm = yield* this.getUpdateLocks(task, mdev);
    if (mdev) {
      this.linkQueue(mdev, q);
      if (mdev.apmAdd.empty && mdev.aqmAdd.empty) yield* this.filter(task, mdev);
    }
    this.releaseUpdateLocks(task, kvm);
  }

  abstract override removeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void>;

  /** Takes a queue's adapter from the guest that has the queue; false where none has it. */
  protected hidesAdapterOf(mdev: MatrixMdev, { apqn }: VfioApQueue): boolean {
    if (!mdev.shadowApcb.has(apqn)) return false;
    mdev.shadowApcb.apm.clear(adapterOf(apqn));
    this.updateGuestApcb(mdev);
    return true;
  }

  /** vfio_ap_on_cfg_changed: what is gone leaves the guests at once, what is new waits for the end of the scan. */
  *onConfigChanged(task: DriverTask, now: ApMatrix, before: ApMatrix): KernelStep<void> {
    const gone = new ApMatrix(before.apm.andNot(now.apm), before.aqm.andNot(now.aqm));
    const added = new ApMatrix(now.apm.andNot(before.apm), now.aqm.andNot(before.aqm));
    const { matrixDev } = this;
    yield* task.lock(matrixDev.guestsLock);
    for (const mdev of matrixDev.mdevList) {
      yield* task.lock(matrixDev.mdevsLock);
      this.hotUnplugConfig(mdev, gone);
      if (!added.apm.empty || !added.aqm.empty) {
        mdev.apmAdd = mdev.matrix.apm.and(added.apm);
        mdev.aqmAdd = mdev.matrix.aqm.and(added.aqm);
      }
      task.unlock(matrixDev.mdevsLock);
    }
    matrixDev.info = copy(now);
    task.unlock(matrixDev.guestsLock);
  }

  /** vfio_ap_mdev_hot_unplug_cfg. */
  private hotUnplugConfig(mdev: MatrixMdev, gone: ApMatrix): void {
    const { apm, aqm } = mdev.shadowApcb;
    if (!apm.intersects(gone.apm) && !aqm.intersects(gone.aqm)) return;
    mdev.shadowApcb = new ApMatrix(apm.andNot(gone.apm), aqm.andNot(gone.aqm));
    this.updateGuestApcb(mdev);
  }

  /** vfio_ap_on_scan_complete with vfio_ap_mdev_hot_plug_cfg. */
  *onScanComplete(task: DriverTask): KernelStep<void> {
    const { guestsLock, mdevsLock, mdevList } = this.matrixDev;
    yield* task.lock(guestsLock);
    for (const mdev of mdevList) {
      yield* task.lock(mdevsLock);
      if (!mdev.apmAdd.empty || !mdev.aqmAdd.empty) {
        yield* this.filter(task, mdev);
        mdev.apmAdd = new ApMask();
        mdev.aqmAdd = new ApMask();
      }
      task.unlock(mdevsLock);
    }
    task.unlock(guestsLock);
  }
}

/** A queue as messages name it. */
function queueName(apqn: number): string {
  const [card, domain] = [adapterOf(apqn).toString(16), domainOf(apqn).toString(16)];
  return `${card.padStart(2, '0')}.${domain.padStart(4, '0')}`;
}
