import type { VfioApConfig } from '../../../schemas/drivers/vfio-ap.ts';
import type { DriverApi, DriverTask, MdevDriver } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { hex } from '../../kernel/pages.ts';
import { each, upTo } from '../../kernel/saved/each.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { Device } from '../../kernel/vfio/device.ts';
import type { ApGuest, Aqic, PqapAnswer } from './guest.ts';
import { ApMask, ApMatrix } from './masks.ts';
import { shownQueue } from './observe.ts';
import { PinnedKeys } from './pinned-keys.ts';
import { QueueTable, type VfioApQueue } from './queue.ts';
import type { VfioAp } from './vfio-ap.ts';

/** A matrix mdev (struct ap_matrix_mdev). Its operations are the driver's of its era, `module`. */
export class MatrixMdev implements MdevDriver {
  readonly hasDmaUnmap = true;
  readonly showsCalls = true;
  readonly closesGroupFirst = true;
  readonly opensEachFile: boolean;
  /** Assigned adapters and domains. */
  matrix: ApMatrix = new ApMatrix();
  /** What of them the guest has (`shadow_apcb`). */
  shadowApcb: ApMatrix = new ApMatrix();
  /** What a change of the configuration brings, until the AP bus has scanned. */
  apmAdd: ApMask = new ApMask();
  aqmAdd: ApMask = new ApMask();
  readonly qtable = new QueueTable();
  kvm: ApGuest | null = null;
  /** Keys it has pinned and not unpinned, in the order of the pins. */
  readonly pinned = new PinnedKeys();
  /** The queues it was made with. */
  apqns: readonly number[] = [];
  private device: Device | null = null;

  constructor(
    readonly config: VfioApConfig,
    readonly module: VfioAp,
  ) {
    this.opensEachFile = module.opensEachFile;
  }

  /** Its driver API within a task. */
  vdev(task: DriverTask): DriverApi {
    return task.of(this.device!);
  }
  get id(): string {
    return this.device!.id;
  }

  attachTo(device: Device): void {
    this.device = device;
  }
  *probe(api: DriverApi): KernelStep<Errno | null> {
    const { matrixDev } = this.module;
    const apqns = this.config.queues ?? matrixDev.freeQueues();
    if (!apqns) return api.refuse('ENODEV', 'every adapter is assigned to another device');
    this.apqns = apqns;
    matrixDev.plug(this.apqns);
    return yield* this.module.mdevProbe(api, this);
  }
  remove(api: DriverApi, open: boolean): KernelStep<void> {
    return open ? this.module.mdevRequest(api, this) : this.module.mdevRemove(api, this);
  }
  openDevice(api: DriverApi): KernelStep<Errno | null> {
    return this.module.openDevice(api, this);
  }
  closeDevice(api: DriverApi): KernelStep<void> {
    return this.module.closeDevice(api, this);
  }
  setGuest(api: DriverApi, guest: GuestId | null): KernelStep<void> {
    return this.module.groupNotifier(api, this, guest);
  }
  dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    return this.module.dmaUnmap(api, this, iova, length);
  }

  /** The APQN that a call means: 0 to 3 are also its queues' of a device that was made without naming any. */
  own(apqn: number): number {
    return this.config.queues ? apqn : (this.apqns[apqn] ?? apqn);
  }

  /** A guest's PQAP(AQIC), on a vCPU of the guest that has the device, or had it last. */
  pqap(api: DriverApi, apqn: number, aqic: Aqic): KernelStep<PqapAnswer> {
    return this.module.pqap(api, this.module.matrixDev.guestOf(api.vcpuGuest), apqn, aqic);
  }

  /** The RESET ioctl. */
  *reset(api: DriverApi): KernelStep<Errno | null> {
    const { mdevsLock } = this.module.matrixDev;
    yield* api.lock(mdevsLock);
    const errno = yield* this.module.resetQueues(api, this);
    api.unlock(mdevsLock);
    return errno;
  }

  /** One of its queues, as when it is taken out of the matrix: ENODEV where it has none of this APQN. */
  *resetOne(api: DriverApi, apqn: number): KernelStep<Errno | null> {
    const { mdevsLock, bus } = this.module.matrixDev;
    const q = this.matrix.has(apqn) ? bus.boundQueue(apqn) : null;
    if (!q) return api.refuse('ENODEV', `queue ${apqn} is not assigned, or not bound`);
    yield* api.lock(mdevsLock);
    const errno = yield* this.module.resetOne(api, q);
    api.unlock(mdevsLock);
    return errno;
  }

  notePin(iova: bigint): void {
    this.pinned.add(iova);
  }
  noteUnpin(iova: bigint): boolean {
    return this.pinned.take(iova);
  }

  state(most: number): object {
    const { bus } = this.module.matrixDev;
    const bound = this.apqns.flatMap((apqn) => bus.boundQueue(apqn) ?? []);
    const others = bus.queuesThatHold().filter((q) => q.matrixMdev === this && !this.apqns.includes(q.apqn));
    return {
      guest: this.kvm !== null,
      kvm: this.kvm?.id ?? null,
      adapters: this.matrix.apm.list().slice(0, most),
      domains: this.matrix.aqm.list().slice(0, most),
      guestAdapters: this.shadowApcb.apm.list().slice(0, most),
      guestDomains: this.shadowApcb.aqm.list().slice(0, most),
      queues: bound.slice(0, most).map((q) => this.describeQueue(q)),
      ...(others.length > 0 ? { otherQueues: others.slice(0, most).map((q) => this.describeQueue(q)) } : {}),
      pinned: [...each(upTo(this.pinned, most), hex)],
    };
  }

  observed(): object {
    const { bus } = this.module.matrixDev;
    return {
      queues: this.apqns.flatMap((apqn) => bus.boundQueue(apqn) ?? []).map(shownQueue),
      pinned: [...this.pinned].map(hex),
    };
  }

  private describeQueue(q: VfioApQueue): object {
    return { ...shownQueue(q), injected: this.module.matrixDev.hardware.waiting(q.apqn) };
  }
}
