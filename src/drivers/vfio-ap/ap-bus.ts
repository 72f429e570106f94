import type { DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { ApHardware } from './hardware.ts';
import { ApMatrix, adapterOf, copy } from './masks.ts';
import { VfioApQueue } from './queue.ts';

/** What the AP bus calls of the driver that its queues are bound to: of vfio_ap (drivers/s390/crypto/vfio_ap_drv.c). */
export interface ApDriver {
  /** Whether the AP bus runs its scan in a work of its own, and what it does to a queue that it finds. */
  readonly bus: {
    /** Null: its scan cannot be asked for. */
    readonly scan: 'work' | 'caller' | null;
    readonly resetsNewQueues: boolean;
    /** What binding a queue answers that is bound. */
    readonly bindsTwice: Errno;
  };
  probeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void>;
  removeQueue(task: DriverTask, q: VfioApQueue): KernelStep<void>;
  onConfigChanged(task: DriverTask, now: ApMatrix, before: ApMatrix): KernelStep<void>;
  onScanComplete(task: DriverTask): KernelStep<void>;
}

/** The AP bus (drivers/s390/crypto/ap_bus.c) as far as vfio_ap sees it: the queue devices and who they are bound to. */
export class ApBus {
  /** Queue devices; null: not bound to vfio_ap. */
  private readonly queues = new Map<number, VfioApQueue | null>();
  /** The configuration that the last scan found (`ap_qci_info`). */
  scanned: ApMatrix = new ApMatrix();

  constructor(private readonly hardware: ApHardware) {
    this.boot();
  }

  /** Queues that are there before anybody looks are devices, bound to vfio_ap. */
  boot(): void {
    for (const apqn of this.hardware.config.apqns()) {
      if (!this.queues.has(apqn)) this.queues.set(apqn, new VfioApQueue(apqn));
    }
    this.scanned = copy(this.hardware.config);
  }

  /** Every queue device, ascending. */
  all(): [apqn: number, q: VfioApQueue | null][] {
    return [...this.queues].sort(([a], [b]) => a - b);
  }

  /** Sets what is on the bus. */
  restore(scanned: ApMatrix, queues: readonly [apqn: number, q: VfioApQueue | null][]): void {
    this.scanned = scanned;
    this.queues.clear();
    for (const [apqn, q] of queues) this.queues.set(apqn, q);
  }

  /** vfio_ap_find_queue: a queue that is bound to vfio_ap. */
  boundQueue(apqn: number): VfioApQueue | null {
    return this.queues.get(apqn) ?? null;
  }

  /** Every bound queue that holds something, ascending. */
  queuesThatHold(): VfioApQueue[] {
    return [...this.queues.values()]
      .filter((q) => q?.holds)
      .sort((a, b) => a!.apqn - b!.apqn) as VfioApQueue[];
  }

  /** The queues of an adapter or domain, or all, that are bound: vfio_ap_has_queue. */
  *bound(): Iterable<VfioApQueue> {
    for (const q of this.queues.values()) if (q) yield q;
  }

  /** A queue is taken from vfio_ap (its `unbind` attribute): ENODEV where it is not bound to it. */
  *unbind(task: DriverTask, driver: ApDriver, apqn: number): KernelStep<Errno | null> {
    const q = this.queues.get(apqn);
    if (!q) return task.refuse('ENODEV', `queue ${apqn} is not bound to vfio_ap`);
    yield* this.deviceRemove(task, driver, q);
    this.queues.set(apqn, null);
    return null;
  }

  /** A queue is given to vfio_ap (its `bind` attribute). */
  *bind(task: DriverTask, driver: ApDriver, apqn: number): KernelStep<Errno | null> {
    if (!this.queues.has(apqn)) return task.refuse('ENODEV', `there is no queue ${apqn}`);
    if (this.queues.get(apqn))
      return task.refuse(driver.bus.bindsTwice, `queue ${apqn} is bound to vfio_ap already`);
    yield* this.deviceProbe(task, driver, apqn);
    return null;
  }

  /** ap_device_probe. A queue can be found only when the driver has probed it. */
  private *deviceProbe(task: DriverTask, driver: ApDriver, apqn: number): KernelStep<void> {
    const q = new VfioApQueue(apqn);
    yield* driver.probeQueue(task, q);
    this.queues.set(apqn, q);
  }

  /** ap_device_remove: the driver's part, then the AP bus resets the queue itself. */
  private *deviceRemove(task: DriverTask, driver: ApDriver, q: VfioApQueue): KernelStep<void> {
    yield* driver.removeQueue(task, q);
    this.hardware.execute(task, 'zapq', q.apqn);
  }

  /**
   * ap_scan_bus: adapters that are gone lose their queue devices, those that are new get theirs.
   *
   * @returns ENOENT where the AP bus has no attribute to ask for it
   */
  *scan(caller: DriverTask, driver: ApDriver): KernelStep<Errno | null> {
    if (!driver.bus.scan)
      return caller.refuse('ENOENT', 'this AP bus only looks by itself, every 30 seconds');
    const task = driver.bus.scan === 'work' ? caller.inWorker() : caller;
    const before = this.scanned;
    const now = copy(this.hardware.config);
    this.scanned = now;
    const changed = !now.equals(before);
    if (changed) yield* driver.onConfigChanged(task, now, before);
    for (const apqn of [...this.queues.keys()].sort((a, b) => a - b)) {
      if (now.has(apqn)) continue;
      const q = this.queues.get(apqn);
      if (q) yield* this.deviceRemove(task, driver, q);
      this.queues.delete(apqn);
    }
    for (const apqn of now.apqns()) {
      if (this.queues.has(apqn)) continue;
      yield* this.deviceProbe(task, driver, apqn);
      if (driver.bus.resetsNewQueues) this.hardware.execute(task, 'rapq', apqn);
    }
    if (changed) yield* driver.onScanComplete(task);
    return null;
  }

  /** Whether any queue of an adapter or a domain is bound (5.10: vfio_ap_verify_queue_reserved). */
  reserves(apid: number | null, apqi: number | null): boolean {
    for (const { apqn } of this.bound()) {
      if ((apid === null || adapterOf(apqn) === apid) && (apqi === null || (apqn & 0xff) === apqi))
        return true;
    }
    return false;
  }
}
