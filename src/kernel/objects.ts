import type { MdevDriver } from './driver.ts';
import type { Process } from './process.ts';
import { Lock } from './task.ts';
import type { Iommu } from './type1/iommu.ts';

/** A container: one open of /dev/vfio/vfio (struct vfio_container). */
export class Container {
  /** Attached groups, newest first (`group_list`). */
  readonly groups: Group[] = [];
  /** The type1 instance, once SET_IOMMU has succeeded (`iommu_data`). */
  iommu: Iommu | null = null;
  /** Whether the file is still open; afterwards only groups keep the container alive. */
  open = true;
  /** `group_lock`. */
  readonly groupLock: Lock;

  constructor(
    readonly id: string,
    readonly process: Process,
  ) {
    this.groupLock = new Lock(`container ${id} group_lock`);
  }
}

/** An IOMMU group with its one device (struct vfio_group). */
export class Group {
  container: Container | null = null;
  /** 0 without a container; 1 with one, plus one for each open device file. */
  containerUsers = 0;
  /** Whether the caller's /dev/vfio/N is open. */
  fdOpen = false;
  /** Whether the group file exists: its own fd or a device's keeps it (`opened_file`). */
  fileOpen = false;
  /** Only pins make this group's pages dirty; false for an IOMMU-backed group that never pinned. */
  pinnedPageDirtyScope = false;
  /** `group_lock`. */
  readonly lock: Lock;

  constructor(
    readonly id: string,
    /** True for an mdev (VFIO_EMULATED_IOMMU), false for a device behind the IOMMU. */
    readonly emulated: boolean,
  ) {
    this.lock = new Lock(`group ${id} group_lock`);
  }
}

/** A device (struct vfio_device) with its driver; a vfio-pci device has none that listens. */
export class Device {
  /** Open device files (`open_count`). */
  openCount = 0;
  readonly group: Group;

  /**
   * @param number counter, from 0; what pins remember of their holder
   */
  constructor(
    readonly id: string,
    readonly number: number,
    readonly kind: 'mdev' | 'vfio-pci',
    readonly driver: MdevDriver,
    groupId: string,
  ) {
    this.group = new Group(groupId, kind === 'mdev');
  }

  /** The type1 instance behind the device's container, if any. */
  get iommu(): Iommu | null {
    return this.group.container?.iommu ?? null;
  }
}
