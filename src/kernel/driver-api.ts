import type { CallbackName, CallbackReturn } from './callback.ts';
import type { DmaAccess, DriverApi, DriverEffects, MdevDriver, PinResult, UnpinResult } from './driver.ts';
import { DRIVER_SPLATS, type DriverSplatId } from './driver-splats.ts';
import type { Errno } from './errno.ts';
import type { KernelBugId } from './kernel-bugs.ts';
import type { Lock } from './lock.ts';
import { addressOf } from './pages.ts';
import { printDriver } from './printk.ts';
import { ZERO_PFN } from './process.ts';
import type { Splat, SplatDetails } from './splats.ts';
import type { KernelStep, Task } from './task.ts';
import type { Device } from './vfio/device.ts';
import { pinKey, vfioDmaRw, vfioPinPages, vfioUnpinPages } from './vfio/vfio-main.ts';

/** The driver API for one device within one task. */
export class TaskDriverApi implements DriverApi {
  constructor(
    private readonly task: Task,
    private readonly device: Device,
  ) {}

  pinPages(iova: bigint, npage: number, prot: number): KernelStep<PinResult> {
    return vfioPinPages(this.task, this.device, iova, npage, prot);
  }

  unpinPages(iova: bigint, npage: number): KernelStep<UnpinResult> {
    return vfioUnpinPages(this.task, this.device, iova, npage);
  }

  get pinPagesMax(): number {
    return this.task.kernel.gen.core.pinPagesMax ?? Number.POSITIVE_INFINITY;
  }

  keyOf(iova: bigint): bigint {
    return pinKey(this.task, iova);
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
    // Every mapping of a container is of one process, so the page frame is one of its pages.
    const { process } = this.device.container!;
    if (pfn === ZERO_PFN) return new Uint8Array(length);
    return process.read(addressOf(pfn - process.pfnOf(0), offset), length);
  }

  warn(splat: DriverSplatId | Splat, details: SplatDetails = {}): void {
    const own = typeof splat === 'string' ? DRIVER_SPLATS[splat] : splat;
    this.task.warn(own, { device: this.device.id, ...details });
  }

  prWarn(text: string): void {
    const { driver, id } = this.device;
    printDriver(this.task, moduleOf(driver), text, { device: id });
  }

  adviseBug(id: KernelBugId, iova: bigint): void {
    this.task.adviseBug(id, iova, [this.device.id]);
  }

  refuse(errno: Errno, why: string): Errno {
    return this.task.refuse(errno, why);
  }

  get effects(): DriverEffects {
    this.task.effects ??= {};
    return this.task.effects;
  }

  isOpen(): boolean {
    return this.device.openCount > 0;
  }

  forDevice(id: string): DriverApi {
    return new TaskDriverApi(this.task, this.task.kernel.devices.get(id)!);
  }

  lock(lock: Lock): KernelStep<void> {
    return this.task.lockNested(lock);
  }

  tryLock(lock: Lock): boolean {
    return this.task.tryLock(lock);
  }

  unlock(lock: Lock): void {
    this.task.unlock(lock);
  }
}

/** The module a driver is taken to be in, by its type. */
function moduleOf({ config }: MdevDriver): string {
  return config?.type.replaceAll('-', '_') ?? 'vfio_pci';
}
