import type { ApInstruction, VfioApConfig, VfioApState } from '../../../schemas/drivers/vfio-ap.ts';
import type { DriverApi, MdevDriver } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { Lock } from '../../kernel/lock.ts';
import { hex, offsetInPage } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';
import {
  AP_BUSY,
  AP_CHECKSTOPPED,
  AP_DECONFIGURED,
  AP_INVALID_ADDRESS,
  AP_INVALID_GISA,
  AP_NORMAL,
  AP_NOT_AVAILABLE,
  AP_OTHERWISE_CHANGED,
  AP_RESET_IN_PROGRESS,
  ApQueue,
} from './queue.ts';

/** APQNs a matrix has unless told: domains 0 to 3 of adapter 0. */
const DEFAULT_QUEUES = [0, 1, 2, 3];
/** IOMMU_READ | IOMMU_WRITE. */
const READ_WRITE = 3;
/** How often each instruction is tried. */
const DISABLE_ATTEMPTS = 6;
const IRQ_CLEAR_LOOKS = 5;
const RESET_ATTEMPTS = 2;
const RESET_LOOKS = 2;

/**
 * vfio_ap: s390 crypto queues (spec section 5.1). A queue with interrupts enabled has one page pinned: that of
 * the guest's notification byte (NIB).
 *
 * What differs between the variants is dma_unmap, and up to 5.19 (`notifier`) also that a pin's key is the
 * page and not the byte, that NIB 0 is not refused, and that the pin leaks when the ISC is refused.
 *
 * The kernel has one mdevs_lock for all matrix devices; here each device has its own. Waiting between
 * attempts takes no time.
 */
export class VfioApDriver implements MdevDriver {
  readonly hasDmaUnmap = true;
  private readonly queues: ReadonlyMap<number, ApQueue>;
  readonly ownLock: Lock = new Lock('mdevs_lock');
  /** Whether a guest is there (`matrix_mdev->kvm`): from the first open to the last close. */
  private guest = false;

  constructor(readonly config: VfioApConfig) {
    this.queues = new Map((config.queues ?? DEFAULT_QUEUES).map((apqn) => [apqn, new ApQueue(apqn)]));
  }

  state(most: number): object {
    return {
      guest: this.guest,
      queues: [...this.queues.values()].slice(0, most).map(({ apqn, savedIova, savedIsc, waiting }) => ({
        apqn,
        savedIova: savedIova === 0n ? null : hex(savedIova),
        savedIsc,
        injected: waiting,
      })),
    };
  }

  restore(state: VfioApState): void {
    this.guest = state.guest;
    for (const { apqn, savedIova, savedIsc, injected } of state.queues) {
      const q = this.queues.get(apqn)!;
      q.savedIova = savedIova === null ? 0n : BigInt(savedIova);
      q.savedIsc = savedIsc;
      for (const [instruction, answers] of Object.entries(injected)) {
        q.inject(instruction as ApInstruction, answers);
      }
    }
  }

  /** The APQNs of its matrix. */
  get apqns(): number[] {
    return [...this.queues.keys()];
  }

  /** The queue of an APQN, or undefined when it is not assigned. */
  queue(apqn: number): ApQueue | undefined {
    return this.queues.get(apqn);
  }

  *openDevice(): KernelStep<Errno | null> {
    this.guest = true;
    return null;
  }

  /** vfio_ap_mdev_unset_kvm. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    yield* api.lock(this.ownLock);
    yield* this.resetQueues(api);
    this.guest = false;
    api.unlock(this.ownLock);
  }

  /** vfio_ap_mdev_remove. */
  *remove(api: DriverApi, open: boolean): KernelStep<void> {
    if (open) return;
    yield* api.lock(this.ownLock);
    yield* this.resetQueues(api);
    api.unlock(this.ownLock);
  }

  *dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    if (this.config.variant !== 'range') {
      // (a) and (b): neither looks at the queues, nor at the length.
      yield* api.unpinPages(iova, 1);
      return;
    }
    yield* api.lock(this.ownLock);
    for (const q of this.queues.values()) {
      // A queue without a pin has savedIova 0: a range that starts at 0 disables it, as in the kernel.
      if (iova <= q.savedIova && q.savedIova < iova + length) yield* this.irqDisable(api, q);
    }
    api.unlock(this.ownLock);
  }

  /**
   * handle_pqap: the guest enables or disables a queue's interrupts with PQAP(AQIC).
   *
   * @param enable the notification byte (guest-physical, which is IOVA) and the ISC; null: disable
   * @returns the response code the guest sees; 01 with no guest (KVM answers without the driver) and for a
   *   queue that is not assigned
   */
  *aqic(api: DriverApi, apqn: number, enable: { nib: bigint; isc: number } | null): KernelStep<number> {
    if (!this.guest) return AP_NOT_AVAILABLE;
    yield* api.lock(this.ownLock);
    const q = this.queues.get(apqn);
    let response = AP_NOT_AVAILABLE;
    if (q && enable) response = yield* this.irqEnable(api, q, enable.nib, enable.isc);
    else if (q) response = yield* this.irqDisable(api, q);
    api.unlock(this.ownLock);
    return response;
  }

  /** The device's RESET ioctl: every queue; one of the errnos where some could not be reset. */
  *reset(api: DriverApi): KernelStep<Errno | null> {
    yield* api.lock(this.ownLock);
    const errno = yield* this.resetQueues(api);
    api.unlock(this.ownLock);
    return errno;
  }

  /** One queue, as when it is taken out of the matrix; also without a guest. */
  *resetOne(api: DriverApi, q: ApQueue): KernelStep<Errno | null> {
    yield* api.lock(this.ownLock);
    const errno = yield* this.resetQueue(api, q);
    api.unlock(this.ownLock);
    return errno;
  }

  /** vfio_ap_irq_enable. */
  private *irqEnable(api: DriverApi, q: ApQueue, nib: bigint, isc: number): KernelStep<number> {
    const notifier = this.config.variant === 'notifier';
    if (nib === 0n && !notifier) return AP_INVALID_ADDRESS;
    const key = notifier ? nib - BigInt(offsetInPage(nib)) : nib;
    const pinned = yield* api.pinPages(key, 1, READ_WRITE);
    if (typeof pinned === 'string') return AP_INVALID_ADDRESS;
    if (q.execute('gisc-register').response !== AP_NORMAL) {
      if (!notifier) yield* api.unpinPages(key, 1);
      return AP_INVALID_GISA;
    }
    const { response } = q.execute('aqic-enable');
    if (response === AP_NORMAL) {
      yield* this.freeResources(api, q);
      q.savedIova = key;
      q.savedIsc = isc;
    } else if (response === AP_OTHERWISE_CHANGED) {
      yield* api.unpinPages(key, 1);
    } else {
      // This frees what the queue had before; the new pin is forgotten.
      api.prWarn(`vfio_ap_irq_enable: apqn ${hex4(q.apqn)}: response: ${hex2(response)}`);
      yield* this.irqDisable(api, q);
    }
    return response;
  }

  /** vfio_ap_irq_disable: whatever the hardware says, the queue's pin is released. */
  private *irqDisable(api: DriverApi, q: ApQueue): KernelStep<number> {
    let response = AP_BUSY;
    for (let attempt = 1; attempt <= DISABLE_ATTEMPTS; attempt++) {
      ({ response } = q.execute('aqic-disable'));
      if (response !== AP_BUSY && response !== AP_RESET_IN_PROGRESS) break;
    }
    if (response === AP_NORMAL || response === AP_OTHERWISE_CHANGED) this.waitForIrqClear(api, q);
    else api.warn(response === AP_BUSY || response === AP_RESET_IN_PROGRESS ? 'A6' : 'A5');
    yield* this.freeResources(api, q);
    return response;
  }

  /** vfio_ap_wait_for_irqclear. */
  private waitForIrqClear(api: DriverApi, q: ApQueue): void {
    for (let look = 1; look <= IRQ_CLEAR_LOOKS; look++) {
      const { response, irqEnabled } = q.execute('tapq');
      if (response === AP_NORMAL || response === AP_RESET_IN_PROGRESS) {
        if (!irqEnabled) return;
      } else if (response !== AP_BUSY) {
        api.warn('A1');
        return;
      }
    }
    api.warn('A2');
  }

  /** vfio_ap_free_aqic_resources. */
  private *freeResources(api: DriverApi, q: ApQueue): KernelStep<void> {
    if (q.savedIsc !== null) {
      if (this.guest) q.savedIsc = null;
      else api.warn('A3');
    }
    const { savedIova } = q;
    if (savedIova === 0n) return;
    yield* api.unpinPages(savedIova, 1);
    q.savedIova = 0n;
  }

  /** vfio_ap_mdev_reset_queues. */
  private *resetQueues(api: DriverApi): KernelStep<Errno | null> {
    let failed: Errno | null = null;
    for (const q of this.queues.values()) failed = (yield* this.resetQueue(api, q)) ?? failed;
    return failed;
  }

  /** vfio_ap_mdev_reset_queue: EBUSY or EIO; only after EIO (A7) the queue keeps its pin. */
  private *resetQueue(api: DriverApi, q: ApQueue): KernelStep<Errno | null> {
    let status = q.execute('zapq');
    for (let attempt = 1; status.response === AP_RESET_IN_PROGRESS && attempt < RESET_ATTEMPTS; attempt++) {
      status = q.execute('zapq');
    }
    let errno: Errno | null = null;
    switch (status.response) {
      case AP_NOT_AVAILABLE:
      case AP_DECONFIGURED:
      case AP_CHECKSTOPPED:
        if (status.irqEnabled) api.warn('A8');
        yield* this.freeResources(api, q);
        return apRefuse(api, q, 'EBUSY', status.response);
      case AP_RESET_IN_PROGRESS:
        errno = apRefuse(api, q, 'EBUSY', status.response);
        break;
      case AP_NORMAL:
        break;
      default:
        api.warn('A7');
        return apRefuse(api, q, 'EIO', status.response);
    }
    // The driver's own counting: the last of its looks counts as failed even when it finds the queue reset.
    let left = RESET_LOOKS;
    while (left-- > 0) {
      if (status.queueEmpty && !status.irqEnabled) break;
      status = q.execute('tapq');
    }
    if (left <= 0) api.warn('A9');
    yield* this.freeResources(api, q);
    return errno;
  }
}

function apRefuse(api: DriverApi, q: ApQueue, errno: Errno, response: number): Errno {
  return api.refuse(errno, `ZAPQ of queue ${q.apqn} was answered with response ${hex2(response)}`);
}

function hex2(value: number): string {
  return value.toString(16).padStart(2, '0');
}
function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}
