import type { CallbackName, CallbackReturn } from './callback.ts';
import type { DmaAccess, DriverApi, DriverEffects, DriverTask, PinResult, UnpinResult } from './driver.ts';
import { ERRNO, type Errno } from './errno.ts';
import type { GuestId } from './guest.ts';
import type { KernelBugId } from './kernel-bugs.ts';
import type { Lock } from './lock.ts';
import { addressOf, hex } from './pages.ts';
import { printDriver } from './printk.ts';
import type { Splat, SplatDetails } from './splats.ts';
import type { KernelStep, Task } from './task.ts';
import type { Device } from './vfio/device.ts';
import { pinKey, vfioDmaRw, vfioPinPages, vfioUnpinPages } from './vfio/vfio-main.ts';

/** What driver code can do within one task. */
export class TaskDriverTask implements DriverTask {
  constructor(
    protected readonly task: Task,
    /** The driver's type; of a vfio-pci device there is none. */
    private readonly type: string | undefined,
    /** Whether a work does it. */
    private readonly worker: boolean = false,
  ) {}

  warn(splat: Splat, details: SplatDetails = {}): void {
    this.task.warn(splat, details);
  }

  prWarn(text: string, details: SplatDetails = {}): void {
    printDriver(this.task, moduleOf(this.type), text, details);
  }

  refuse(errno: Errno, why: string | (() => string)): Errno {
    return this.task.refuse(errno, why);
  }

  worked(): boolean {
    return this.task.worked();
  }

  lock(lock: Lock): KernelStep<void> {
    return this.task.lockNested(lock);
  }

  lockShared(lock: Lock): KernelStep<void> {
    return this.task.lockShared(lock);
  }

  tryLock(lock: Lock): boolean {
    return this.task.tryLock(lock);
  }

  unlock(lock: Lock): void {
    this.task.unlock(lock);
  }

  *sleep(milliseconds: number): KernelStep<void> {
    yield { sleep: milliseconds };
  }

  note(list: 'vfio' | 'instructions' | 'unpinnedNotHeld', entry: Record<string, unknown>): void {
    this.task.kernel.ops.note({ list, entry, task: this.task, worker: this.worker });
  }

  inWorker(): DriverTask {
    return new TaskDriverTask(this.task, this.type, true);
  }

  of(device: Device): DriverApi {
    return new TaskDriverApi(this.task, device, this.worker);
  }
}

/** The driver API for one device within one task. */
export class TaskDriverApi extends TaskDriverTask implements DriverApi {
  constructor(
    task: Task,
    private readonly device: Device,
    worker = false,
  ) {
    super(task, device.driver.config?.type, worker);
  }

  get guest(): GuestId | null {
    return this.task.kernel.guestOf(this.device);
  }

  giveTo(guest: GuestId | null): void {
    this.task.kernel.giveTo(this.device, guest);
  }

  get vcpuGuest(): GuestId {
    return this.task.kernel.vcpuGuest(this.device);
  }

  pinPages(iova: bigint, npage: number, prot: number): KernelStep<PinResult> {
    const pinning = vfioPinPages(this.task, this.device, iova, npage, prot);
    return this.device.driver.showsCalls ? this.showPin(pinning, iova, npage) : pinning;
  }

  private *showPin(pinning: KernelStep<PinResult>, iova: bigint, npage: number): KernelStep<PinResult> {
    const entry: Record<string, unknown> = { op: 'pin', device: this.device.id, iova: hex(iova), npage };
    this.note('vfio', entry);
    const result = yield* pinning;
    if (typeof result === 'string') entry.ret = -ERRNO[result];
    else {
      entry.ret = result.length;
      this.device.driver.notePin?.(iova, npage);
    }
    return result;
  }

  unpinPages(iova: bigint, npage: number): KernelStep<UnpinResult> {
    const unpinning = vfioUnpinPages(this.task, this.device, iova, npage);
    return this.device.driver.showsCalls ? this.showUnpin(unpinning, iova, npage) : unpinning;
  }

  private *showUnpin(
    unpinning: KernelStep<UnpinResult>,
    iova: bigint,
    npage: number,
  ): KernelStep<UnpinResult> {
    const what = { device: this.device.id, iova: hex(iova), npage };
    const entry: Record<string, unknown> = { op: 'unpin', ...what };
    this.note('vfio', entry);
    const result = yield* unpinning;
    if (result !== null) entry.ret = typeof result === 'string' ? -ERRNO[result] : result;
    if (this.device.driver.noteUnpin?.(iova, npage) === false) this.note('unpinnedNotHeld', what);
    return result;
  }

  get pinPagesMax(): number {
    return this.task.kernel.gen.core.pinPagesMax ?? Number.POSITIVE_INFINITY;
  }

  keyOf(iova: bigint): bigint {
    return pinKey(this.task, iova);
  }

  unregisterNotifier(): KernelStep<void> {
    return this.device.container!.unregisterNotifier(this.task, this.device);
  }

  *waitOutside(mode: 'held' | 'outside', call: CallbackName): KernelStep<CallbackReturn> {
    const invalidation = call === 'dma-unmap' ? this.task.invalidations.at(-1)! : null;
    yield { callback: { mode, call, device: this.device.id, invalidation } };
    return this.task.callbackReturn;
  }

  *hold(): KernelStep<void> {
    yield { callback: { mode: 'held', call: 'hold', device: this.device.id, invalidation: null } };
  }

  dmaRw(iova: bigint, access: DmaAccess): KernelStep<Errno | Uint8Array> {
    return vfioDmaRw(this.task, this.device, iova, access);
  }

  readPinned(pfn: number, offset: number, length: number): Uint8Array {
    // A page stays where it is while it is pinned, whether or not the device's group has left its container.
    const { container } = this.device;
    const processes = [...(container ? [container.process] : []), ...this.task.kernel.processes.values()];
    const mm = processes.find((process) => process.mm.hasFrame(pfn))?.mm;
    return mm ? mm.read(addressOf(pfn - mm.pfnOf(0), offset), length) : new Uint8Array(length);
  }

  override warn(splat: Splat, details: SplatDetails = {}): void {
    super.warn(splat, { device: this.device.id, ...details });
  }

  override prWarn(text: string): void {
    super.prWarn(text, { device: this.device.id });
  }

  adviseBug(id: KernelBugId, iova: bigint): void {
    this.task.adviseBug(id, iova, [this.device.id]);
  }

  get effects(): DriverEffects {
    this.task.effects ??= {};
    return this.task.effects;
  }

  isOpen(): boolean {
    return this.device.openCount > 0;
  }

  forDevice(id: string): DriverApi {
    return this.of(this.task.kernel.devices.get(id)!);
  }
}

/** The module that a driver of a type is in; none is a vfio-pci device's. */
function moduleOf(type: string | undefined): string {
  return type?.replaceAll('-', '_') ?? 'vfio_pci';
}
