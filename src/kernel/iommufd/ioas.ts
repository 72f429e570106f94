import type { Errno } from '../errno.ts';
import type { IommuHardware } from '../iommu/hardware.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SIZE } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { Container } from '../vfio/container.ts';
import type { Device } from '../vfio/device.ts';
import type { IommufdAccess } from './access.ts';
import { AccessShadow } from './access-shadow.ts';
import { AccessTable } from './access-table.ts';
import { AreaTable } from './area-table.ts';

/** An I/O address space and its page table (struct iommufd_ioas with its struct io_pagetable). */
export class Ioas {
  readonly areas: AreaTable;
  readonly accesses: AccessTable;
  /** Attached mdevs by slot; a freed slot is empty (`access_list`). */
  readonly accessList: (IommufdAccess | null)[] = [];
  /** Attached devices behind IOMMUs; those whose IOMMUs are alike share a domain (`domains`). */
  readonly domainDevices: Device[] = [];
  /** The new mapping that is being entered in the domains, and not charged yet; NIL: none. */
  filling: number = NIL;
  /** Type 1 was set: mappings may be cut. */
  disableLargePages = false;
  /** Bytes; every mapping's iova, size and vaddr are multiples of it. */
  iovaAlignment: 1 | 4096 = 1;
  /** Who did what to the pins, for advisories only. */
  readonly shadow: AccessShadow = new AccessShadow();

  /**
   * @param container whose it is
   * @param counted counts its pins and mappings too
   */
  constructor(
    readonly container: Container,
    { references, mappings }: Pick<Kernel, 'references' | 'mappings'>,
  ) {
    this.accesses = new AccessTable(references);
    this.areas = new AreaTable(mappings);
  }

  get hasDomain(): boolean {
    return this.domainDevices.length > 0;
  }

  /** Attached mdevs that are called back. */
  get callees(): Device[] {
    const listening = this.accessList.filter((access) => access?.device.driver.hasDmaUnmap);
    return listening.map((access) => access!.device);
  }

  /** The IOMMU of each domain. */
  get hardware(): IommuHardware[] {
    return [...new Map(this.domainDevices.map(({ group }) => [group.iommu!.key, group.iommu!])).values()];
  }

  get isEmpty(): boolean {
    return this.areas.root === NIL;
  }

  /** Whether an mdev, a domain or type 1 needs mappings of whole pages. */
  get needsWholePages(): boolean {
    return this.disableLargePages || this.hasDomain || this.accessList.length > 0;
  }

  /**
   * iopt_calculate_iova_alignment: whole pages as long as something needs them, an mdev, a domain or type 1.
   *
   * @returns EADDRINUSE, with nothing changed, when they are needed now and a mapping is not made of them
   */
  calculateIovaAlignment(task: Task): Errno | null {
    const whole = this.needsWholePages;
    const errno = whole ? this.checkIovaAlignment(task) : null;
    if (!errno) this.iovaAlignment = whole ? PAGE_SIZE : 1;
    return errno;
  }

  /** iopt_check_iova_alignment, for whole pages. */
  checkIovaAlignment(task: Task): Errno | null {
    const { areas } = this;
    if (this.iovaAlignment === PAGE_SIZE) return null;
    for (const slot of areas.inOrder()) {
      const ends = areas.firstOffset[slot] === 0 && areas.lastOffset[slot] === PAGE_SIZE - 1;
      if (ends && areas.vaddrOffset[slot] === 0) continue;
      return task.refuse('EADDRINUSE', `the mapping ${areas.describe(slot)} is not made of whole pages`);
    }
    return null;
  }

  /**
   * iopt_add_access: the access gets the lowest free slot, which is its place in the order of callbacks
   * (fd-order-slot-reuse).
   *
   * @returns EADDRINUSE, with nothing changed, while a mapping is not made of whole pages
   */
  addAccess(task: Task, access: IommufdAccess): Errno | null {
    const free = this.accessList.indexOf(null);
    access.slot = free < 0 ? this.accessList.length : free;
    this.accessList[access.slot] = access;
    const errno = this.calculateIovaAlignment(task);
    if (errno) this.takeOut(access);
    return errno;
  }

  /** iopt_remove_access. */
  removeAccess(task: Task, access: IommufdAccess): void {
    this.takeOut(access);
    this.calculateIovaAlignment(task);
  }

  private takeOut(access: IommufdAccess): void {
    this.accessList[access.slot] = null;
    while (this.accessList.at(-1) === null) this.accessList.pop();
  }
}
