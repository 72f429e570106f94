import type { Errno } from './errno.ts';
import type { CallbackName, CallbackReturn, KernelStep } from './task.ts';

/** What a driver's code can call: the kernel's driver API, for its own device, within the running task. */
export interface DriverApi {
  /**
   * vfio_pin_pages.
   *
   * @param iova exact key of the first page, bytes
   * @param npage 1 to 512 pages
   * @param prot IOMMU_READ 1, IOMMU_WRITE 2
   */
  pinPages(iova: bigint, npage: number, prot: number): KernelStep<PinResult>;
  /** vfio_unpin_pages. */
  unpinPages(iova: bigint, npage: number): KernelStep<void>;
  /** Stops the task until the world outside lets the callback go on; what it answered. */
  waitOutside(mode: 'held' | 'webhook', call: CallbackName): KernelStep<CallbackReturn>;
}

/** What vfio_pin_pages answers: an errno, or the host page frames, one a page. */
export type PinResult = Errno | readonly number[];

/** A mediated device's driver: its `struct vfio_device_ops`, as far as VFIO's core calls it. */
export interface MdevDriver {
  /** Whether the driver has a dma_unmap operation. Does not change while its device is open. */
  readonly hasDmaUnmap: boolean;
  /** open_device, at the first open. An errno undoes the open. */
  openDevice(api: DriverApi): KernelStep<Errno | null>;
  /** close_device, at the last close, while the device is still registered. */
  closeDevice(api: DriverApi): KernelStep<void>;
  /** dma_unmap: the driver must release every pin in [iova, iova+length) (bytes) before it returns. */
  dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void>;
}
