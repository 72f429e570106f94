import type { CallbackName, CallbackReturn } from './callback.ts';
import type { DriverSplatId } from './driver-splats.ts';
import type { Errno } from './errno.ts';
import type { KernelBugId } from './kernel-bugs.ts';
import type { Lock } from './lock.ts';
import type { Splat, SplatDetails } from './splats.ts';
import type { KernelStep } from './task.ts';

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
  unpinPages(iova: bigint, npage: number): KernelStep<UnpinResult>;
  /** The key that a pin of an IOVA has: the exact byte, or its page where pins are made by page frame. */
  keyOf(iova: bigint): bigint;
  /** Pages that one pin or unpin may name: VFIO_PIN_PAGES_MAX_ENTRIES, or Infinity (iommufd). */
  readonly pinPagesMax: number;
  /** Stops the task until the callback is resumed from outside; what it was answered. */
  waitOutside(mode: 'held' | 'outside', call: CallbackName): KernelStep<CallbackReturn>;
  /** Stops the task until resume-callbacks of the device: a race, decided by a test. */
  hold(): KernelStep<void>;
  /** vfio_dma_rw: the bytes read (none for a write), or an errno. */
  dmaRw(iova: bigint, access: DmaAccess): KernelStep<Errno | Uint8Array>;
  /** memcpy from a page the driver has pinned; `offset` and `length` lie within the page. */
  readPinned(pfn: number, offset: number, length: number): Uint8Array;
  /** A WARN_ON or WARN_ON_ONCE of the driver's own code, as its kernel has it. */
  warn(splat: DriverSplatId | Splat, details?: SplatDetails): void;
  /** pr_warn of the driver's own code. */
  prWarn(text: string): void;
  /** Notes a bug of the driver itself that the call has met, at an IOVA in bytes. */
  adviseBug(id: KernelBugId, iova: bigint): void;
  /** Notes why a call is refused, in words, and returns the errno. */
  refuse(errno: Errno, why: string): Errno;
  /** What the driver models have done within the task so far. */
  readonly effects: DriverEffects;
  /** Whether the device's file is open. */
  isOpen(): boolean;
  /** The same for another device of the driver's: for work that is done within whatever task comes along. */
  forDevice(id: string): DriverApi;
  /** mutex_lock, mutex_trylock and mutex_unlock of a lock of the driver's own. */
  lock(lock: Lock): KernelStep<void>;
  tryLock(lock: Lock): boolean;
  unlock(lock: Lock): void;
}

/** A call that a driver model made into VFIO, as answers list it. */
export interface VfioCall {
  readonly op: 'pin' | 'unpin' | 'dma-rw';
  readonly device: string;
  /** Key of the first page, or address of the first byte. */
  readonly iova?: string;
  /** Where the call takes a list of page frames (up to 5.19). */
  readonly iovas?: readonly string[];
  readonly npage?: number;
  /** Bytes. */
  readonly length?: number;
  /** What it returned, as C does; absent where the function is void. */
  readonly ret?: number;
  /** Made by the thread of a workqueue, which the task gave time. */
  readonly by?: 'worker';
}

/** What driver models did within a task, as the answer shows it: each field where there is something to tell. */
export interface DriverEffects {
  /** Calls into VFIO, in order. */
  vfio?: VfioCall[];
  /** Pages a driver gave back that it did not hold: somebody else's. */
  unpinnedNotHeld?: { device: string; iova: string; npage: number }[];
  /** vfio-ccw: state and event, at each event of an FSM. */
  fsmEvents?: [state: string, event: string][];
  /** vfio-ccw: how often each device's I/O eventfd was signalled. */
  interruptsSignalled?: Record<string, number>;
}

/** One access of dma_rw: bytes to write, or how many to read. */
export type DmaAccess = { readonly write: Uint8Array } | { readonly read: number };

/**
 * What dma_unmap says where it is called through a notifier chain (up to 5.19): NOTIFY_BAD and NOTIFY_STOP end
 * the chain, nothing is NOTIFY_OK. From 6.0 on dma_unmap is void and nobody looks.
 */
export type NotifyResult = 'NOTIFY_OK' | 'NOTIFY_BAD' | 'NOTIFY_STOP';

/** What vfio_unpin_pages answers: up to 5.19 an errno or the pages walked, from 6.0 on nothing (null). */
export type UnpinResult = Errno | number | null;

/** What vfio_pin_pages answers: an errno, or the host page frames, one a page. */
export type PinResult = Errno | readonly number[];

/** A mediated device's driver: its `struct vfio_device_ops`, as far as VFIO's core calls it. */
export interface MdevDriver {
  /** Whether the driver has a dma_unmap operation. Does not change while its device is open. */
  readonly hasDmaUnmap: boolean;
  /** The name of that operation in the kernel's source; where there is none, it is made of the driver's type. */
  readonly dmaUnmapFunction?: string;
  /** What the client asked for. With bugOnInvalidation its dma_unmap is a BUG_ON(1). */
  readonly config?: { readonly type: string; readonly bugOnInvalidation?: boolean };
  /** What may be shown of the configuration, where that is not all of it. */
  describe?(): object;
  /** The driver's own state as plain JSON; at most `most` items of each list (Infinity: for a dump). */
  state?(most: number): object;
  /** Sets the driver's own state, of a fresh driver, from a snapshot that has been checked. */
  restore?(state: never): void;
  /** A lock of the driver's own. */
  readonly ownLock?: Lock;
  /** resume-callbacks: nothing is held any more; true where something may have been. */
  stopHolding?(): boolean;
  /** open_device, at the first open. An errno undoes the open. */
  openDevice(api: DriverApi): KernelStep<Errno | null>;
  /** close_device, at the last close, while the device is still registered. */
  closeDevice(api: DriverApi): KernelStep<void>;
  /** dma_unmap: the driver must release every pin in [iova, iova+length) (bytes) before it returns. */
  dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<NotifyResult | void>;
  /** Pins pages because a test says so (pin-pages); a driver that has none of this only calls vfio_pin_pages. */
  pinPages?(api: DriverApi, iova: bigint, npage: number, prot: number): KernelStep<PinResult>;
  /** Likewise unpin-pages. */
  unpinPages?(api: DriverApi, iova: bigint, npage: number): KernelStep<UnpinResult>;
  /** The mdev driver's remove. An errno: it does not let the device go. */
  remove?(api: DriverApi, open: boolean): KernelStep<Errno | null | void>;
}
