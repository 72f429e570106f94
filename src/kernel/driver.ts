import type { CallbackName, CallbackReturn } from './callback.ts';
import type { Errno } from './errno.ts';
import type { GuestId } from './guest.ts';
import type { KernelBugId } from './kernel-bugs.ts';
import type { Lock } from './lock.ts';
import type { Splat, SplatDetails } from './splats.ts';
import type { KernelStep } from './task.ts';
import type { ListOf } from './vfio/container.ts';
import type { Device } from './vfio/device.ts';

/** What a driver's code can do within the running task, whichever of its devices it does it for. */
export interface DriverTask {
  /** A WARN_ON or WARN_ON_ONCE of the driver's own code, as its kernel has it. */
  warn(splat: Splat, details?: SplatDetails): void;
  /** pr_warn of the driver's own code. */
  prWarn(text: string, details?: SplatDetails): void;
  /** Notes why a call is refused, in words, and returns the errno. */
  refuse(errno: Errno, why: string | (() => string)): Errno;
  /** cond_resched: counts work; whether RESCHED is to be yielded. */
  worked(): boolean;
  /** mutex_lock, down_read, mutex_trylock and mutex_unlock of a lock of the driver's own. */
  lock(lock: Lock): KernelStep<void>;
  lockShared(lock: Lock): KernelStep<void>;
  tryLock(lock: Lock): boolean;
  unlock(lock: Lock): void;
  /** msleep. */
  sleep(milliseconds: number): KernelStep<void>;
  /** Notes something that answers show of this driver. */
  note(list: 'vfio' | 'instructions', entry: Record<string, unknown>): void;
  /** The same task, where a work does it that the task waits for. */
  inWorker(): DriverTask;
  /** The driver API of a device. */
  of(device: Device): DriverApi;
}

/** What a driver's code can call: the kernel's driver API, for its own device, within the running task. */
export interface DriverApi extends DriverTask {
  /** The guest its group was given to (`vdev->kvm`). */
  readonly guest: GuestId | null;
  /** Gives its group to a guest, or takes it back (null): vfio_file_set_kvm, without telling the driver. */
  giveTo(guest: GuestId | null): void;
  /** The guest whose vCPUs reach the device: the one that has its group, or had it last. */
  readonly vcpuGuest: GuestId;
  /**
   * vfio_pin_pages.
   *
   * @param iova exact key of the first page, bytes
   * @param npage 1 to 512 pages
   * @param prot IOMMU_READ 1, IOMMU_WRITE 2
   */
  pinPages(iova: bigint, npage: number, prot: number): KernelStep<PinResult>;
  /** vfio_unregister_notifier, up to 5.19: the driver is notified of no unmap any more. It must be registered. */
  unregisterNotifier(): KernelStep<void>;
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
  /** Notes a bug of the driver itself that the call has met, at an IOVA in bytes. */
  adviseBug(id: KernelBugId, iova: bigint): void;
  /** What the driver models have done within the task so far. */
  readonly effects: DriverEffects;
  /** Whether the device's file is open. */
  isOpen(): boolean;
  /** The same for another device of the driver's: for work that is done within whatever task comes along. */
  forDevice(id: string): DriverApi;
}

/** A call that a driver model made into VFIO, as answers list it. */
export interface VfioCall {
  /** Orders it among all that is listed, instructions too; where the model counts. */
  readonly seq?: number;
  readonly op: 'pin' | 'unpin' | 'dma-rw' | 'gisc-unregister';
  readonly device?: string;
  /** Key of the first page, or address of the first byte. */
  readonly iova?: string;
  /** Where the call takes a list of page frames (up to 5.19). */
  readonly iovas?: readonly string[];
  readonly npage?: number;
  /** Bytes. */
  readonly length?: number;
  /** vfio-ap: the interruption subclass that is unregistered. */
  readonly isc?: number;
  /** What it returned, as C does; absent where the function is void. */
  readonly ret?: number;
  /** Made by the thread of a workqueue, which the task gave time. */
  readonly by?: 'worker';
}

/** An AP instruction that was issued, as answers list it. */
export interface ApInstructionShown {
  readonly seq: number;
  readonly op: string;
  readonly apqn: number;
  readonly response: number;
  /** Where interrupts are enabled; where the queue is not empty. */
  readonly irqEnabled?: boolean;
  readonly queueEmpty?: boolean;
  /** Of an AQIC that enables: the guest's ISC, and where in its page the notification byte is. */
  readonly isc?: number;
  readonly nibOffset?: string;
  readonly by?: 'worker';
}

/** What driver models did within a task, as the answer shows it: each field where there is something to tell. */
export interface DriverEffects {
  /** Calls into VFIO, in order. */
  vfio?: VfioCall[];
  /** Pages a driver gave back that it did not hold: somebody else's. */
  unpinnedNotHeld?: { device: string; iova: string; npage: number }[];
  /** vfio-ap: AP instructions, in order. */
  instructions?: ApInstructionShown[];
  /** vfio-ccw: state and event, at each event of an FSM. */
  fsmEvents?: [state: string, event: string][];
  /** vfio-ccw: how often each device's I/O eventfd was signalled. */
  interruptsSignalled?: Record<string, number>;
  /** Mdevs whose driver's close was called, in order. */
  closedDevices?: string[];
  /** Mdevs whose driver was asked to release the device (`request`), in order. */
  requests?: string[];
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
  /**
   * The driver's own state as plain JSON; at most `most` items of each list (Infinity: for a dump).
   *
   * @param list makes its long lists: arrays unless it is given
   */
  state?(most: number, list?: ListOf): object;
  /** The fields of its state that expectations tell, where they are not those of `state`. */
  observed?(): object;
  /** Sets the driver's own state, of a fresh driver, from a snapshot that has been checked; may stop now and then. */
  restore?(state: never): Generator<void, void> | void;
  /** A lock of the driver's own. */
  readonly ownLock?: Lock;
  /** resume-callbacks: nothing is held any more; true where something may have been. */
  stopHolding?(): boolean;
  /** Whether answers show its calls into VFIO. It is told of each pin and unpin that it made. */
  readonly showsCalls?: boolean;
  notePin?(iova: bigint, npage: number): void;
  /** @returns false where it did not hold that */
  noteUnpin?(iova: bigint, npage: number): boolean;
  /** Whether open and close are called for each device file, not only for the first and the last (mdev, 5.10). */
  readonly opensEachFile?: boolean;
  /** Whether it has a request operation that does nothing but be counted. */
  readonly hasRequest?: boolean;
  /** Who removes its device closes the group's file first, as the recordings of it do (remove-recreate). */
  readonly closesGroupFirst?: boolean;
  /** Told of the device it is for, before anything else. */
  attachTo?(device: Device): void;
  /** The mdev driver's probe. An errno undoes the making of the device. */
  probe?(api: DriverApi): KernelStep<Errno | null>;
  /** VFIO_GROUP_NOTIFY_SET_KVM while a device file is open. */
  setGuest?(api: DriverApi, guest: GuestId | null): KernelStep<void>;
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
  /**
   * The mdev driver's remove, once its group has left its container. With `open` true a device file is open: the
   * driver can only ask userspace to release it (`request`). An errno: the device is not released.
   */
  remove?(api: DriverApi, open: boolean): KernelStep<Errno | null | void>;
}
