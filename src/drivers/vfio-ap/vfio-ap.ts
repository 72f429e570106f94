import type { DriverApi, DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { hex } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { Device } from '../../kernel/vfio/device.ts';
import type { ApDriver } from './ap-bus.ts';
import type { ApGuest, Aqic, PqapAnswer } from './guest.ts';
import {
  AP_BUSY,
  AP_NORMAL,
  AP_OTHERWISE_CHANGED,
  AP_Q_NOT_AVAIL,
  AP_RESET_IN_PROGRESS,
  type ApStatus,
} from './hardware.ts';
import { ApMatrix } from './masks.ts';
import type { MatrixDev } from './matrix-dev.ts';
import type { MatrixMdev } from './mdev.ts';
import type { VfioApQueue } from './queue.ts';
import type { ApSplats, ApWarning } from './splats.ts';

/** msleep between two looks at a queue, milliseconds. */
export const INTERVAL = 20;
const DISABLE_ATTEMPTS = 6;
const IRQ_CLEAR_LOOKS = 5;

/**
 * The driver vfio_ap (drivers/s390/crypto/vfio_ap_ops.c): what its eras have in common. Methods are named as the
 * kernel's functions; each era is a file that can be read beside its source.
 */
export abstract class VfioAp implements ApDriver {
  abstract readonly splats: ApSplats;
  abstract readonly bus: ApDriver['bus'];
  /** Whether mdev calls open and release for each device file (5.10), not for the first and the last. */
  readonly opensEachFile: boolean = false;

  constructor(readonly matrixDev: MatrixDev) {}

  abstract openDevice(api: DriverApi, mdev: MatrixMdev): KernelStep<Errno | null>;
  abstract closeDevice(api: DriverApi, mdev: MatrixMdev): KernelStep<void>;
  abstract dmaUnmap(api: DriverApi, mdev: MatrixMdev, iova: bigint, length: bigint): KernelStep<void>;
  abstract mdevRemove(task: DriverTask, mdev: MatrixMdev): KernelStep<void>;
  abstract assignAdapter(task: DriverTask, mdev: MatrixMdev, apid: number): KernelStep<Errno | null>;
  abstract assignDomain(task: DriverTask, mdev: MatrixMdev, apqi: number): KernelStep<Errno | null>;
  abstract unassignAdapter(task: DriverTask, mdev: MatrixMdev, apid: number): KernelStep<Errno | null>;
  abstract unassignDomain(task: DriverTask, mdev: MatrixMdev, apqi: number): KernelStep<Errno | null>;
  /** vfio_ap_mdev_reset_queues, under mdevs_lock: the RESET ioctl. */
  abstract resetQueues(task: DriverTask, mdev: MatrixMdev): KernelStep<Errno | null>;
  /** One queue alone, as when it is taken out of the matrix. */
  abstract resetOne(task: DriverTask, q: VfioApQueue): KernelStep<Errno | null>;
  abstract probeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void>;
  abstract removeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void>;
  abstract onConfigChanged(task: DriverTask, now: ApMatrix, before: ApMatrix): KernelStep<void>;
  abstract onScanComplete(task: DriverTask): KernelStep<void>;
  protected abstract irqEnable(
    task: DriverTask,
    q: VfioApQueue,
    nib: bigint,
    isc: number,
  ): KernelStep<ApStatus>;
  protected abstract freeAqicResources(task: DriverTask, q: VfioApQueue): KernelStep<void>;
  /** The queue of an mdev that a guest names, for handle_pqap. */
  protected abstract queueOf(mdev: MatrixMdev, apqn: number): VfioApQueue | null;

  /** The group's notifier of VFIO_GROUP_NOTIFY_SET_KVM; only 5.10 has one. */
  *groupNotifier(_api: DriverApi, _mdev: MatrixMdev, _guest: GuestId | null): KernelStep<void> {}

  /** The `request` operation: userspace is asked to release a device that is being removed (from 6.12 on). */
  *mdevRequest(_task: DriverTask, _mdev: MatrixMdev): KernelStep<void> {}

  /** vfio_ap_mdev_probe, and userspace assigns the adapters and domains it wants. */
  *mdevProbe(task: DriverTask, mdev: MatrixMdev): KernelStep<Errno | null> {
    this.matrixDev.mdevList.unshift(mdev);
    const { apm, aqm } = ApMatrix.of(mdev.apqns);
    let errno: Errno | null = null;
    for (const apid of apm.list()) errno ??= yield* this.assignAdapter(task, mdev, apid);
    for (const apqi of aqm.list()) errno ??= yield* this.assignDomain(task, mdev, apqi);
    if (errno) yield* this.mdevRemove(task, mdev);
    return errno;
  }

  /**
   * A PQAP(AQIC) that KVM intercepted (handle_pqap of arch/s390/kvm/priv.c). Without a hook KVM answers 01 itself,
   * in bits 0-31 of GR1, where no guest looks.
   */
  *pqap(task: DriverTask, guest: ApGuest, apqn: number, aqic: Aqic): KernelStep<PqapAnswer> {
    yield* task.lockShared(guest.hookSem);
    const { hook } = guest;
    const answer = hook
      ? yield* hook.module.handlePqap(task, hook, guest, apqn, aqic)
      : { response: 0, cc: 3, gr1: hex((BigInt(AP_Q_NOT_AVAIL) << 48n) | BigInt(aqic?.isc ?? 0)) };
    task.unlock(guest.hookSem);
    return answer;
  }

  /** handle_pqap. Without the facility AIV it is for userspace. */
  private *handlePqap(
    task: DriverTask,
    mdev: MatrixMdev,
    guest: ApGuest,
    apqn: number,
    aqic: Aqic,
  ): KernelStep<PqapAnswer> {
    if (!guest.aiv) return { intercept: 'EOPNOTSUPP' };
    const { mdevsLock } = this.matrixDev;
    yield* task.lock(mdevsLock);
    const q = guest.hook === mdev ? this.queueOf(mdev, apqn) : null;
    let response = AP_Q_NOT_AVAIL;
    if (q && aqic) ({ response } = yield* this.irqEnable(task, q, aqic.nib, aqic.isc));
    else if (q) ({ response } = yield* this.irqDisable(task, q));
    task.unlock(mdevsLock);
    return { response, cc: response === AP_NORMAL ? 0 : 3 };
  }

  /** ap_aqic: what the driver reads of the answer. */
  protected readAqic(status: ApStatus): ApStatus {
    return status;
  }

  /** vfio_ap_irq_disable: whatever the hardware says, the queue's pin is released. */
  protected *irqDisable(task: DriverTask, q: VfioApQueue): KernelStep<ApStatus> {
    const { hardware } = this.matrixDev;
    let status: ApStatus;
    let attempts = 0;
    do {
      status = this.readAqic(hardware.execute(task, 'aqic-disable', q.apqn));
      if (status.response !== AP_BUSY && status.response !== AP_RESET_IN_PROGRESS) break;
      yield* task.sleep(INTERVAL);
    } while (++attempts < DISABLE_ATTEMPTS);
    if (attempts === DISABLE_ATTEMPTS) this.warn(task, q, 'A6');
    else if (status.response === AP_NORMAL || status.response === AP_OTHERWISE_CHANGED) {
      yield* this.waitForIrqClear(task, q);
    } else this.warn(task, q, 'A5');
    yield* this.freeAqicResources(task, q);
    return status;
  }

  /** vfio_ap_wait_for_irqclear. */
  private *waitForIrqClear(task: DriverTask, q: VfioApQueue): KernelStep<void> {
    for (let look = 1; look <= IRQ_CLEAR_LOOKS; look++) {
      const { response, irqEnabled } = this.matrixDev.hardware.execute(task, 'tapq', q.apqn);
      if (response === AP_NORMAL || response === AP_RESET_IN_PROGRESS) {
        if (!irqEnabled) return;
      } else if (response !== AP_BUSY) {
        this.warn(task, q, 'A1');
        return;
      }
      yield* task.sleep(INTERVAL);
    }
    this.warn(task, q, 'A2');
  }

  /** The pr_warn of an enable that was answered unexpectedly. */
  protected warnOfEnable(task: DriverTask, q: VfioApQueue, response: number): void {
    const text = `vfio_ap_irq_enable: apqn ${q.apqn.toString(16).padStart(4, '0')}: response: ${hex2(response)}`;
    task.prWarn(text, deviceOf(q));
  }

  protected warn(task: DriverTask, q: VfioApQueue, id: ApWarning): void {
    task.warn(this.splats[id]!, deviceOf(q));
  }

  /** Refuses because of the answer to a ZAPQ. */
  protected refuseReset(task: DriverTask, errno: Errno, apqn: number, response: number): Errno {
    return task.refuse(errno, `ZAPQ of queue ${apqn} was answered with response ${hex2(response)}`);
  }

  /** A number above Na or Nd. */
  protected refuseAbove(task: DriverTask, number: number, most: number): Errno | null {
    return number > most ? task.refuse('ENODEV', `${number} is above ${most}, the highest there is`) : null;
  }
}

/** A status word that the driver makes up itself. */
export function answered(response: number): ApStatus {
  return { response, irqEnabled: false, queueEmpty: false };
}

function deviceOf({ matrixMdev }: VfioApQueue): { device?: Device['id'] } {
  return matrixMdev ? { device: matrixMdev.id } : {};
}

function hex2(value: number): string {
  return value.toString(16).padStart(2, '0');
}
