import type { SavedContainer } from '../../../schemas/snapshot/vfio.ts';
import type { PAUSE } from '../../pause.ts';
import type { Errno } from '../errno.ts';
import type { OpenFile } from '../files.ts';
import type { Mm } from '../mm.ts';
import type { MappingOwner, Process } from '../process.ts';
import type { KernelStep, Task } from '../task.ts';
import type { Device } from './device.ts';
import type { Group } from './group.ts';
import { History } from './history.ts';
import type {
  DirtyRange,
  IommuAccess,
  IommuInfo,
  MapDmaArgs,
  UnmapDmaArgs,
  UnmapDmaResult,
  UserBitmap,
} from './iommu-ops.ts';
import type { IommuView } from './iommu-view.ts';

/** Makes a list of a snapshot: at once, or as it is written, with places where its writer may pause. */
export type ListOf = <T>(items: Iterable<T | typeof PAUSE>) => T[];

/** The part of a saved container that its engine brings. */
export type SavedEngine = Pick<SavedContainer, 'lock' | 'iommu' | 'ioas' | 'noIommu' | 'owner'>;

/**
 * An open of /dev/vfio/vfio, whoever serves it: the classic container (`ClassicContainer`) or iommufd. It owns
 * every step in which the two differ; what they have in common is in group.ts, device.ts and vfio-main.ts.
 *
 * Its ioctls are called through container-file.ts, which knows a closed file.
 */
export abstract class Container {
  /** Attached groups, newest first (`group_list`). */
  readonly groups: Group[] = [];
  /** Whether the file is still open; afterwards only groups and devices keep the container alive. */
  open = true;
  /** What went before, for words. */
  readonly history: History = new History();
  /** Its file; null for one whose file is closed. */
  file: OpenFile | null = null;

  /** Whose most of its mappings will be: of its opener, with the memory it had then. */
  mappingOwner: MappingOwner;

  /** @param process who opened it */
  constructor(
    readonly id: string,
    readonly process: Process,
  ) {
    this.mappingOwner = process.owner;
  }

  /** What pin, unpin and dma_rw of the container's devices reach; null while there is nothing. */
  abstract readonly iommu: IommuAccess | null;
  /** The state of its engine; null while it has none. */
  abstract readonly view: IommuView | null;

  /**
   * Whether user space has the DMA of a group as soon as it is in the container (VFIO's own); otherwise from the first
   * open of a device on.
   */
  readonly holdsDma: boolean = true;

  /** Whether anybody still holds it: its file or a group. */
  get inUse(): boolean {
    return this.open || this.groups.length > 0;
  }

  /** Why there is no IOMMU, in words: the container never had one, or which call took it. */
  get whyNoIommu(): string {
    const { loss } = this.history;
    if (loss) return `the container has no IOMMU: it ${loss}`;
    if (this.groups.length === 0) return 'the container has no IOMMU, and no group that could bring one';
    return 'the container has no IOMMU: set-iommu was not called';
  }

  /** VFIO_SET_IOMMU. */
  abstract setIommu(task: Task, type: number): KernelStep<Errno | null>;
  /** VFIO_CHECK_EXTENSION: 0 or 1, or an errno. */
  abstract checkExtension(task: Task, extension: number): KernelStep<Errno | number>;
  /** VFIO_IOMMU_GET_INFO. */
  abstract getInfo(task: Task): KernelStep<Errno | IommuInfo>;
  /** VFIO_IOMMU_MAP_DMA. */
  abstract mapDma(task: Task, args: MapDmaArgs): KernelStep<Errno | null>;
  /** VFIO_IOMMU_UNMAP_DMA. */
  abstract unmapDma(task: Task, args: UnmapDmaArgs): KernelStep<UnmapDmaResult>;
  /** VFIO_IOMMU_DIRTY_PAGES; `range` with GET_BITMAP. */
  abstract dirtyPages(
    task: Task,
    flags: number,
    range: DirtyRange | null,
  ): KernelStep<Errno | UserBitmap | null>;
  /** Release of its file, before it counts as closed. */
  abstract release(task: Task): KernelStep<void>;

  /** VFIO_GROUP_SET_CONTAINER, with the group's lock held; the group has no container yet. */
  abstract attachGroup(task: Task, group: Group): KernelStep<Errno | null>;
  /**
   * The group leaves, with its lock held: VFIO_GROUP_UNSET_CONTAINER, or (`released`) because nobody holds its
   * file any more.
   */
  abstract detachGroup(task: Task, group: Group, released: boolean): KernelStep<Errno | null>;

  /** VFIO_GROUP_GET_DEVICE_FD, with the group's lock held: every open of a device of the container's groups. */
  abstract openDevice(task: Task, device: Device): KernelStep<Errno | null>;
  /** Release of a device file that was opened through this container, with the group's lock held. */
  abstract closeDevice(task: Task, device: Device): KernelStep<void>;

  /** What is behind it as a snapshot has it, while no call is pending. */
  abstract save(list: ListOf): SavedEngine;
  /**
   * Restores what is behind it, stopping now and then; its groups are there already, and devices, open.
   *
   * @param where what to call the saved container in messages
   * @throws WrongState for a state that cannot be, or is beyond a limit
   */
  abstract restore(saved: SavedContainer, where: string): Generator<void, void>;
  /** Takes an open device of its groups as opened through it; throws WrongState where it cannot be. */
  abstract restoreOpenDevice(device: Device, where: string): void;
  /** Numbers of the devices that hold pins in it, or believe they do. */
  abstract holders(): Set<number>;
  /** Whose its mappings are, once or more often each. */
  abstract owners(): Iterable<MappingOwner>;
  /** Pages that its mappings and pins have charged to the locked_vm of each memory, at least; stops now and then. */
  abstract chargedPages(): Generator<void, ReadonlyMap<Mm, number>>;
  /** Whether its groups say that only pins make their pages dirty. */
  abstract readonly hasDirtyScope: boolean;

  /** vfio_unregister_notifier of a driver that is notified of unmaps through a notifier (up to 5.19). */
  *unregisterNotifier(_task: Task, _device: Device): KernelStep<void> {}

  /** Throws Wedged, before anything changes, where detaching a group would wait for ever. */
  refuseIfDetachHangs(): void {}
  /** The same of what the first open (0 files are open) and the last close (1) of a device do. */
  refuseIfOpenHangs(_device: Device, _at: 0 | 1): void {}
}

/** A call that is refused before it does anything. */
export function* refused(task: Task, errno: Errno, why: string): KernelStep<Errno> {
  return task.refuse(errno, why);
}
