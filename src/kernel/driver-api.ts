import type { DriverApi, PinResult, UnpinResult } from './driver.ts';
import type { Errno } from './errno.ts';
import type { Kernel } from './kernel.ts';
import type { Device } from './objects.ts';
import { addressOf } from './pages.ts';
import type { SplatId } from './splats.ts';
import {
  acquireForGood,
  type CallbackName,
  type CallbackReturn,
  type KernelStep,
  type Lock,
  refuse,
  type SplatDetails,
  type Task,
  tryAcquire,
} from './task.ts';
import type { DmaAccess } from './type1/dma-rw.ts';
import { vfioDmaRw, vfioPinPages, vfioUnpinPages } from './vfio/device.ts';

/** The driver API for one device within one task. */
export class TaskDriverApi implements DriverApi {
  constructor(
    private readonly k: Kernel,
    private readonly task: Task,
    private readonly device: Device,
  ) {}

  pinPages(iova: bigint, npage: number, prot: number): KernelStep<PinResult> {
    return vfioPinPages(this.k, this.task, this.device, iova, npage, prot);
  }

  unpinPages(iova: bigint, npage: number): KernelStep<UnpinResult> {
    return vfioUnpinPages(this.k, this.task, this.device, iova, npage);
  }

  *waitOutside(mode: 'held' | 'outside', call: CallbackName): KernelStep<CallbackReturn> {
    const invalidation = call === 'dma-unmap' ? this.task.invalidations.at(-1)! : null;
    yield { callback: { mode, call, device: this.device.id, invalidation } };
    return this.task.callbackReturn;
  }

  dmaRw(iova: bigint, access: DmaAccess): KernelStep<Errno | Uint8Array> {
    return vfioDmaRw(this.k, this.task, this.device, iova, access);
  }

  readPinned(pfn: number, offset: number, length: number): Uint8Array {
    // Every mapping of a container is of one process, so the page frame is one of its pages.
    const { process } = this.device.iommu!;
    return process.read(addressOf(pfn - process.pfnOf(0), offset), length);
  }

  warn(id: SplatId, details: SplatDetails = {}): void {
    this.k.warn(this.task, id, { device: this.device.id, ...details });
  }

  prWarn(text: string): void {
    this.k.print(this.task, text, { device: this.device.id });
  }

  refuse(errno: Errno, why: string): Errno {
    return refuse(this.task, errno, why);
  }

  lock(lock: Lock): KernelStep<void> {
    return acquireForGood(this.task, lock);
  }

  tryLock(lock: Lock): boolean {
    return tryAcquire(this.task, lock);
  }

  unlock(lock: Lock): void {
    this.k.release(this.task, lock);
  }
}
