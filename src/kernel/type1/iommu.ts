import type { Errno } from '../errno.ts';
import type { Generation } from '../generations/generation.ts';
import { type IommuHardware, pageSizesOf } from '../iommu/hardware.ts';
import type { Kernel } from '../kernel.ts';
import { Lock } from '../lock.ts';
import { isBarFrame, ZERO_PFN } from '../mm.ts';
import type { MappingOwner } from '../process.ts';
import type { Container } from '../vfio/container.ts';
import type { Device } from '../vfio/device.ts';
import type { Group } from '../vfio/group.ts';
import type { IovaRange } from '../vfio/iommu-ops.ts';
import { DIRTY_BITMAP_PAGES_MAX, DirtyBitmap } from './dirty-bitmap.ts';
import { MappingTable } from './mapping-table.ts';
import { ANY_PAGE_SIZE } from './page-sizes.ts';
import { PinTable } from './pin-table.ts';
import { Type1Shadow } from './type1-shadow.ts';

/** VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_TYPE1_NESTING_IOMMU. */
export type Type1Type = 1 | 3 | 6;

/** Something an instance reports to, for a retry counter that must notice when its mapping goes. */
interface MappingWatcher {
  forget(slot: number): void;
}

/** A type1 instance (struct vfio_iommu): the state behind one container. */
export class Iommu {
  readonly mappings: MappingTable;
  readonly pins: PinTable;
  readonly v2: boolean;
  readonly nesting: boolean;
  readonly gen: Generation;
  /** Whose most of its mappings are. */
  readonly owner: MappingOwner;
  /** Registered devices in the order in which they are called. */
  readonly deviceList: Device[] = [];
  /** Attached groups without an IOMMU, newest first. */
  readonly emulatedGroups: Group[] = [];
  /** Groups behind IOMMUs, newest first; those whose IOMMUs are alike share a domain. Empty: no domain. */
  readonly domainGroups: Group[] = [];
  /** Usable IOVA; empty: anything goes, because there never was a domain. */
  iovaList: IovaRange[] = [];
  vaddrInvalidCount = 0;
  /** Groups whose whole mappings count as dirty. */
  nonPinnedGroups = 0;
  dirtyTracking = false;
  /** A mapping that ends at 2^64 was made: mappings may overlap from then on. */
  overlapPossible = false;
  /** Whose a mapping is, by slot, where not the owner's of most. */
  private readonly exceptions = new Map<number, MappingOwner>();
  /** Unmaps in progress that remember a mapping. */
  readonly watchers = new Set<MappingWatcher>();
  /** Who did what to the pins, for advisories only. */
  readonly shadow: Type1Shadow = new Type1Shadow();
  readonly lock: Lock;
  readonly deviceListLock: Lock;
  /** What waits for a valid vaddr (`vaddr_wait`); nobody ever holds it. */
  readonly vaddrWait: Lock;
  private readonly bitmaps = new Map<number, DirtyBitmap>();
  private readonly reservedPages = new Map<number, number>();

  /**
   * vfio_iommu_type1_open.
   *
   * @param container whose it is
   * @param dmaAvail mappings that may be made: the module parameter dma_entry_limit as it is now
   */
  constructor(
    readonly kernel: Kernel,
    readonly container: Container,
    readonly type: Type1Type,
    public dmaAvail: number,
  ) {
    this.gen = kernel.gen;
    this.pins = new PinTable(kernel.references);
    this.owner = container.mappingOwner;
    this.v2 = type !== 1;
    this.nesting = type === 6;
    this.mappings = new MappingTable(kernel.gen.type1.wrapsAtTop, kernel.mappings);
    this.lock = new Lock(`container ${container.id} iommu->lock`);
    this.vaddrWait = new Lock(`container ${container.id} vaddr_wait`);
    this.deviceListLock = new Lock(`container ${container.id} device_list_lock`);
  }

  get hasDomain(): boolean {
    return this.domainGroups.length > 0;
  }

  /** The IOMMU of each domain. */
  get hardware(): IommuHardware[] {
    return [...new Map(this.domainGroups.map(({ iommu }) => [iommu!.key, iommu!])).values()];
  }

  /** Which mapping's vaddr is invalid, in words. */
  get whyInvalid(): string {
    const { mappings, vaddrInvalidCount } = this;
    for (const slot of mappings.inOrder()) {
      if (!mappings.vaddrInvalid(slot)) continue;
      const more = vaddrInvalidCount > 1 ? `, and of ${vaddrInvalidCount - 1} more` : '';
      return `the vaddr of ${mappings.describe(slot)}${more} is invalid: an unmap with the flag vaddr took it`;
    }
    return 'a vaddr of the container is invalid';
  }

  /** A vaddr is valid again, or its mapping is gone: whoever waits looks again, once the last one is. */
  vaddrValid(): void {
    if (--this.vaddrInvalidCount === 0) this.kernel.scheduler.wakeAll(this.vaddrWait);
  }

  /** `pgsize_bitmap`. */
  get pageSizes(): bigint {
    return this.hardware.reduce((sizes, iommu) => sizes & pageSizesOf(iommu, this.gen), ANY_PAGE_SIZE);
  }

  /** is_invalid_reserved_pfn: the page frame is neither charged nor given back. */
  isReserved(pfn: number): boolean {
    return pfn === ZERO_PFN || isBarFrame(pfn);
  }

  /** Remembers how many pages of a mapping the domain pinned without a charge. */
  setReservedPages(slot: number, pages: number): void {
    if (pages > 0) this.reservedPages.set(slot, pages);
    else this.reservedPages.delete(slot);
  }

  /** How many pages of a mapping the domain pinned without a charge. */
  reservedPagesOf(slot: number): number {
    return this.reservedPages.get(slot) ?? 0;
  }

  /** Pages that a mapping is charged for: all of its own in a domain, otherwise one a pin. */
  chargedBy(slot: number): number {
    const { mappings, pins } = this;
    // One that ends at 2^64, where ends wrap, may be in the domain without a charge (late-pci-top).
    if (mappings.end(slot) === 0) return 0;
    if (mappings.iommuMapped(slot)) return mappings.size[slot]! - this.reservedPagesOf(slot);
    let pages = 0;
    for (const pin of pins.nodesOf(mappings.pinTree(slot))) if (!this.isReserved(pins.pfn[pin]!)) pages++;
    return pages;
  }

  /** How many pages of a mapping the domain pinned without a charge; forgotten with it. */
  takeReservedPages(slot: number): number {
    const pages = this.reservedPagesOf(slot);
    this.reservedPages.delete(slot);
    return pages;
  }

  /** The dirty bitmap of a mapping; there is one for each while tracking is on. */
  bitmapOf(slot: number): DirtyBitmap {
    return this.bitmaps.get(slot)!;
  }

  /**
   * vfio_dma_bitmap_alloc.
   *
   * @returns EINVAL above 2^31-1 pages; ENOMEM when the bitmaps of all containers, or of all hosts, would take more than the limit
   */
  allocBitmap(slot: number): Errno | null {
    const pages = this.mappings.size[slot]!;
    if (pages > DIRTY_BITMAP_PAGES_MAX) return 'EINVAL';
    const bytes = DirtyBitmap.bytesFor(pages);
    if (!this.kernel.dirtyBitmaps.has(bytes)) return 'ENOMEM';
    this.kernel.dirtyBitmaps.take(bytes);
    this.bitmaps.set(slot, new DirtyBitmap(pages));
    return null;
  }

  /** vfio_dma_bitmap_free. */
  freeBitmap(slot: number): void {
    const bitmap = this.bitmaps.get(slot);
    if (!bitmap) return;
    this.kernel.dirtyBitmaps.give(DirtyBitmap.bytesFor(bitmap.pages));
    this.bitmaps.delete(slot);
  }

  /** vfio_dma_bitmap_free_all. */
  freeAllBitmaps(): void {
    for (const slot of this.bitmaps.keys()) this.freeBitmap(slot);
  }

  /** Marks one page of the IOVA space dirty in its mapping's bitmap; false when it has no place there. */
  markPageDirty(slot: number, page: number): boolean {
    return this.markDirty(this.bitmapOf(slot), slot, page);
  }

  private markDirty(bitmap: DirtyBitmap, slot: number, page: number): boolean {
    const index = page - this.mappings.iova[slot]!;
    // A misaligned key below its mapping has a negative index. The kernel writes far outside the bitmap
    // there; nothing a caller can rely on, so here nothing is written.
    if (index < 0) return false;
    bitmap.set(index);
    return true;
  }

  /** Whose a mapping is: who made it, or gave it its vaddr last. */
  ownerOf(slot: number): MappingOwner {
    return (this.exceptions.size > 0 ? this.exceptions.get(slot) : undefined) ?? this.owner;
  }

  /** Whose its mappings are. */
  owners(): MappingOwner[] {
    return [this.owner, ...this.exceptions.values()];
  }

  /** Says whose a mapping is. */
  setOwner(slot: number, owner: MappingOwner): void {
    if (owner === this.owner) this.exceptions.delete(slot);
    else this.exceptions.set(slot, owner);
  }

  /** Forgets whose a mapping was that goes. */
  forgetOwner(slot: number): void {
    if (this.exceptions.size > 0) this.exceptions.delete(slot);
  }

  /**
   * vfio_lock_acct: charges `pages` (negative: gives back) to the owner of a mapping; nobody is given anything back
   * whose memory is gone.
   *
   * @returns ENOMEM, with nothing charged, beyond its RLIMIT_MEMLOCK without CAP_IPC_LOCK at MAP time
   */
  lockAcct(slot: number, pages: number): Errno | null {
    const { process, mm } = this.ownerOf(slot);
    if (pages > 0 && !this.mappings.lockCap(slot) && mm.lockedVm + pages > process.memlockPages) {
      return 'ENOMEM';
    }
    mm.lockedVm += pages;
    return null;
  }
}
