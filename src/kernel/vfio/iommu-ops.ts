import type { SavedIommu } from '../../../schemas/snapshot/type1.ts';
import type { DmaAccess, PinResult, UnpinResult } from '../driver.ts';
import type { Errno } from '../errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../mm.ts';
import type { MappingOwner, Process } from '../process.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Container, ListOf } from './container.ts';
import type { Device } from './device.ts';
import type { Group } from './group.ts';
import type { IommuView } from './iommu-view.ts';

/** Arguments of VFIO_IOMMU_MAP_DMA; addresses and size in bytes, flags as the raw u32. */
export interface MapDmaArgs {
  readonly iova: bigint;
  readonly vaddr: bigint;
  readonly size: bigint;
  readonly flags: number;
}

/** Arguments of VFIO_IOMMU_UNMAP_DMA; iova and size in bytes, flags as the raw u32. */
export interface UnmapDmaArgs {
  readonly iova: bigint;
  readonly size: bigint;
  readonly flags: number;
  /** Page size of the caller's bitmap, bytes; absent: no bitmap was passed (argsz is too small for one). */
  readonly pageSize?: bigint;
  /** Bytes of the caller's bitmap; absent: as many as are needed. */
  readonly bitmapSize?: bigint;
}

/** The bitmap a caller passed, filled: one bit a page. */
export interface UserBitmap {
  /** Runs of set bits, as `[first, count]`, ascending. */
  ranges(): Iterable<[first: number, count: number]>;
  /** Bytes of the whole bitmap. */
  readonly size: number;
  /** The whole bitmap, little-endian 64-bit words. */
  bytes(): Uint8Array;
}

/** What an unmap wrote back into the caller's struct. */
interface Unmapped {
  /** Bytes unmapped. */
  readonly size: bigint;
  /** Where one was asked for. */
  readonly bitmap: UserBitmap | null;
}

/** What an unmap answers: an errno alone, or what it wrote back. */
export type UnmapDmaResult = Errno | Unmapped;

/** The range of a GET_BITMAP: bytes, and the page size and size of the caller's bitmap. */
export interface DirtyRange {
  readonly iova: bigint;
  readonly size: bigint;
  readonly pageSize: bigint;
  /** Bytes of the caller's bitmap; absent: as many as are needed. */
  readonly bitmapSize?: bigint;
}

/** Usable IOVA, in pages: [start, end). */
export interface IovaRange {
  readonly start: number;
  readonly end: number;
}

/** VFIO_IOMMU_GET_INFO with its capability chain; sizes in bytes. */
export interface IommuInfo {
  readonly pageSizes: bigint;
  readonly dmaAvail: number;
  /** The migration capability; null where the engine has none. */
  readonly migration: { readonly pageSizes: bigint; readonly maxBitmapSize: bigint } | null;
  /** Empty: the capability is absent. */
  readonly iovaRanges: readonly IovaRange[];
}

/** What a driver's calls reach once VFIO's core has let them through. */
export interface IommuAccess {
  /** @param npage as vfio_pin_pages was called, after the checks of this kernel's core */
  pinPages(task: Task, device: Device, iova: bigint, npage: number, prot: number): KernelStep<PinResult>;
  unpinPages(task: Task, device: Device, iova: bigint, npage: number): KernelStep<UnpinResult>;
  /** An unpin was refused before it came here; why, in words. */
  unpinRefused(task: Task, device: Device, iova: bigint, why: string): void;
  /** The bytes read (empty for a write), or an errno. */
  dmaRw(task: Task, device: Device, iova: bigint, access: DmaAccess): KernelStep<Errno | Uint8Array>;
}

/** An IOMMU driver's instance behind a classic container (struct vfio_iommu_driver_ops with its iommu_data). */
export interface IommuOps extends IommuAccess {
  readonly view: IommuView;
  /** Whose most of its mappings are; absent: it has none. */
  readonly owner?: MappingOwner;
  owners?(): Iterable<MappingOwner>;
  attachGroup(task: Task, group: Group): KernelStep<Errno | null>;
  detachGroup(task: Task, group: Group): KernelStep<void>;
  registerDevice(task: Task, device: Device): KernelStep<void>;
  unregisterDevice(task: Task, device: Device): KernelStep<void>;
  /** The device is notified of no unmap any more, and stays open. */
  unregisterNotifier(task: Task, device: Device): KernelStep<void>;
  mapDma(task: Task, args: MapDmaArgs): KernelStep<Errno | null>;
  unmapDma(task: Task, args: UnmapDmaArgs): KernelStep<UnmapDmaResult>;
  dirtyPages(task: Task, flags: number, range: DirtyRange | null): KernelStep<Errno | UserBitmap | null>;
  getInfo(task: Task): KernelStep<Errno | IommuInfo>;
  /** 0 or 1. */
  checkExtension(task: Task, extension: number): KernelStep<number>;
  /** The container's file is being closed (`notify` with VFIO_IOMMU_CONTAINER_CLOSE). */
  containerCloses(task: Task): KernelStep<void>;
  /** Its state as a snapshot has it, while no call is pending. */
  save(list: ListOf): SavedIommu | null;
  /** Numbers of the devices that hold pins, or believe they do. */
  holders(): Set<number>;
  /** Pages that its mappings and pins have charged to its process's locked_vm. */
  chargedPages(): Generator<void, ReadonlyMap<Mm, number>>;
  /** Checks an open device against the restored instance. Throws WrongState. */
  checkRestored(device: Device, where: string): void;
  /** Throws Wedged where detaching a group, or changing the list of devices, would wait for ever. */
  refuseIfDetachHangs(): void;
  refuseIfRegistrationHangs(): void;
}

/** An IOMMU driver that containers can be given (struct vfio_iommu_driver). */
export interface IommuDriver {
  /** CHECK_EXTENSION while the container has no instance yet: 0 or 1. */
  checkExtension(task: Task, extension: number): number;
  /** `open`: a new instance. */
  open(kernel: Kernel, container: Container, type: number): IommuOps;
  /**
   * An instance again, stopping now and then, of a container that has its groups; devices are there, and open.
   *
   * @param where what to call the saved state in messages
   * @throws WrongState for one that cannot be, or is beyond a limit
   */
  restore(kernel: Kernel, container: Container, saved: SavedIommu, where: string): Generator<void, IommuOps>;
}

/** Who serves /dev/vfio/vfio on a kernel: the classic container with type1, or iommufd. */
export interface ContainerProvider {
  /** open of /dev/vfio/vfio. */
  openContainer(kernel: Kernel, id: string, process: Process): Container;
}
