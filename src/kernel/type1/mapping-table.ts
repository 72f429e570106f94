import { type Counted, UNCOUNTED } from '../counted.ts';
import { hexAddress, TOP_PAGE } from '../pages.ts';
import { growColumn, NIL, RbLinks, type TreeShape } from '../rb-links.ts';

const IOMMU_MAPPED = 1;
const VADDR_INVALID = 2;
const LOCK_CAP = 4;

/** A mapping as a snapshot has it, in pages. */
export interface MappingFields {
  readonly iova: number;
  readonly size: number;
  readonly vaddr: number;
  readonly prot: number;
  readonly iommuMapped: boolean;
  readonly vaddrInvalid: boolean;
  readonly lockCap: boolean;
}

/**
 * The mappings of a container: the kernel's `struct vfio_dma`, one slot each, in a red-black tree by IOVA.
 *
 * 47 bytes a mapping: iova, size and vaddr as page counts (8 bytes each), the root of the mapping's pins and their
 * number (4 each), prot and flags (1 each), and 13 bytes of links. A mapping's dirty bitmap exists
 * only while dirty tracking is on and lives beside the table.
 */
export class MappingTable extends RbLinks {
  /** First page of the IOVA range, by slot. */
  iova: Float64Array = new Float64Array(this.capacity);
  /** Size in pages, by slot. */
  size: Float64Array = new Float64Array(this.capacity);
  /** First page of the process's memory, by slot. */
  vaddr: Float64Array = new Float64Array(this.capacity);
  /** Root slot of the mapping's pins in the container's PinTable (`pfn_list`), by slot. */
  pins: Int32Array = new Int32Array(this.capacity);
  /** How many there are, by slot. */
  pinCount: Int32Array = new Int32Array(this.capacity);
  /** READ 1, WRITE 2, by slot. */
  prot: Uint8Array = new Uint8Array(this.capacity);
  private flags: Uint8Array = new Uint8Array(this.capacity);
  /** Root of the mapping tree (`dma_list`). */
  root: number = NIL;

  /**
   * True up to 6.12: an end at 2^64 wraps to 0 in every comparison, so a mapping that ends there can be
   * made but not found again. From 6.18 on ends are inclusive.
   */
  constructor(
    private readonly wrapsAtTop: boolean,
    private readonly counted: Pick<Counted, 'add'> = UNCOUNTED,
  ) {
    super();
  }

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.iova = growColumn(this.iova, capacity);
    this.size = growColumn(this.size, capacity);
    this.vaddr = growColumn(this.vaddr, capacity);
    this.pins = growColumn(this.pins, capacity);
    this.pinCount = growColumn(this.pinCount, capacity);
    this.prot = growColumn(this.prot, capacity);
    this.flags = growColumn(this.flags, capacity);
  }

  /** A page number just past a range, as this kernel's comparisons see it. */
  wrapEnd(page: number): number {
    return this.wrapsAtTop && page >= TOP_PAGE ? page - TOP_PAGE : page;
  }

  /** Page just past a mapping; 0 for one that ends at 2^64 on a kernel that wraps. */
  end(slot: number): number {
    return this.wrapEnd(this.iova[slot]! + this.size[slot]!);
  }

  iommuMapped(slot: number): boolean {
    return (this.flags[slot]! & IOMMU_MAPPED) !== 0;
  }
  setIommuMapped(slot: number, on: boolean): void {
    this.setFlag(slot, IOMMU_MAPPED, on);
  }
  vaddrInvalid(slot: number): boolean {
    return (this.flags[slot]! & VADDR_INVALID) !== 0;
  }
  setVaddrInvalid(slot: number, on: boolean): void {
    this.setFlag(slot, VADDR_INVALID, on);
  }
  /** Whether the process had CAP_IPC_LOCK when it made the mapping. */
  lockCap(slot: number): boolean {
    return (this.flags[slot]! & LOCK_CAP) !== 0;
  }
  setLockCap(slot: number, on: boolean): void {
    this.setFlag(slot, LOCK_CAP, on);
  }
  /** Whether a driver has pinned any of it: !RB_EMPTY_ROOT(&dma->pfn_list). */
  hasPins(slot: number): boolean {
    return this.pinTree(slot) !== NIL;
  }
  /** Root of its pins (`pfn_list`), for whoever walks them. */
  pinTree(slot: number): number {
    return this.pins[slot]!;
  }
  private setFlag(slot: number, flag: number, on: boolean): void {
    this.flags[slot] = on ? this.flags[slot]! | flag : this.flags[slot]! & ~flag;
  }

  /**
   * vfio_find_dma: the mapping that overlaps [start, end), the one nearest the root where there are two.
   *
   * @param startPage page in which the range starts
   * @param endPage first whole page at or after the range's exclusive end, passed through {@link wrapEnd}
   * @returns a slot, or NIL
   */
  find(startPage: number, endPage: number): number {
    const { left, right, iova } = this;
    let node = this.root;
    while (node !== NIL) {
      // All of a node is read at once: in a large table each column is a cache miss of its own.
      const lower = left[node]!;
      const higher = right[node]!;
      const end = this.end(node);
      if (endPage <= iova[node]!) node = lower;
      else if (startPage >= end) node = higher;
      else return node;
    }
    return NIL;
  }

  /** vfio_find_dma_first_node: the lowest mapping that overlaps the range (arguments as for find). */
  findFirst(startPage: number, endPage: number): number {
    const { left, right, iova } = this;
    let node = this.root;
    let found = NIL;
    while (node !== NIL) {
      if (startPage < this.end(node)) {
        found = node;
        if (startPage >= iova[node]!) break;
        node = left[node]!;
      } else {
        node = right[node]!;
      }
    }
    return found !== NIL && iova[found]! >= endPage ? NIL : found;
  }

  /** vfio_link_dma: adds a mapping. Its size counts as 0 for its place in the tree, as in the kernel. */
  add(iova: number, size: number, vaddr: number, prot: number, lockCap: boolean): number {
    const slot = this.allocate();
    this.counted.add();
    this.iova[slot] = iova;
    this.size[slot] = size;
    this.vaddr[slot] = vaddr;
    this.prot[slot] = prot;
    this.pins[slot] = NIL;
    this.pinCount[slot] = 0;
    this.flags[slot] = lockCap ? LOCK_CAP : 0;
    let parent = NIL;
    let onLeft = false;
    let node = this.root;
    while (node !== NIL) {
      parent = node;
      onLeft = iova <= this.iova[node]!;
      node = onLeft ? this.left[node]! : this.right[node]!;
    }
    this.root = this.link(this.root, slot, parent, onLeft);
    return slot;
  }

  /**
   * Fills an empty, fresh table, stopping now and then: mapping i, lowest first, gets slot i + 1, in a tree of exactly
   * this shape.
   */
  *restore(fields: readonly MappingFields[], shape: TreeShape): Generator<void, void> {
    for (const one of fields) {
      const slot = this.allocate();
      if (slot % 512 === 0) yield;
      this.iova[slot] = one.iova;
      this.size[slot] = one.size;
      this.vaddr[slot] = one.vaddr;
      this.prot[slot] = one.prot;
      this.flags[slot] =
        (one.iommuMapped ? IOMMU_MAPPED : 0) |
        (one.vaddrInvalid ? VADDR_INVALID : 0) |
        (one.lockCap ? LOCK_CAP : 0);
    }
    this.counted.add(fields.length);
    yield;
    this.adopt(shape);
    this.root = shape.root;
  }

  /** vfio_unlink_dma: takes a mapping out and frees its slot. */
  remove(slot: number): void {
    this.counted.add(-1);
    this.root = this.unlink(this.root, slot);
    this.release(slot);
  }

  /** A mapping's range, for messages: `0x1000+0x4000`. */
  describe(slot: number): string {
    return `${hexAddress(this.iova[slot]!)}+${hexAddress(this.size[slot]!)}`;
  }

  /** The lowest mapping that starts at or after a page, or NIL. */
  lowerBound(page: number): number {
    let node = this.root;
    let found = NIL;
    while (node !== NIL) {
      if (this.iova[node]! >= page) {
        found = node;
        node = this.left[node]!;
      } else {
        node = this.right[node]!;
      }
    }
    return found;
  }

  /** The highest mapping that starts at or below a page, or NIL. */
  floor(page: number): number {
    let node = this.root;
    let found = NIL;
    while (node !== NIL) {
      if (this.iova[node]! <= page) {
        found = node;
        node = this.right[node]!;
      } else {
        node = this.left[node]!;
      }
    }
    return found;
  }

  /** Every mapping, lowest IOVA first. The current one may be removed while walking. */
  inOrder(): Generator<number, void, void> {
    return this.nodesOf(this.root);
  }
}
