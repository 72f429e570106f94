import { type Counted, UNCOUNTED } from '../counted.ts';
import { addressOf, hex, hexAddress } from '../pages.ts';
import { growColumn, NIL, RbLinks } from '../rb-links.ts';
import type { IoptPages } from './iopt-pages.ts';

/** A byte of the IOVA space: its page and its offset in the page. */
export interface At {
  readonly page: number;
  readonly offset: number;
}

/** An area that is about to be inserted; the ends are inclusive. */
interface NewArea {
  readonly first: At;
  readonly last: At;
  /** The first byte's place in the process's memory. */
  readonly vaddr: At;
  /** READ 1, WRITE 2. */
  readonly prot: number;
  readonly pages: IoptPages;
}

/**
 * The mappings of an IOAS: the kernel's `struct iopt_area`, one slot each, in a tree by IOVA (`area_itree`). Areas
 * never overlap, and may begin and end at any byte as long as nothing is attached that needs whole pages.
 *
 * Some 60 bytes an area: three pages (8 bytes each) with their offsets (2 each), the count of accesses (4), prot and
 * prevent_access (1 each), a reference to its memory, and 13 of links.
 */
export class AreaTable extends RbLinks {
  firstPage: Float64Array = new Float64Array(this.capacity);
  firstOffset: Uint16Array = new Uint16Array(this.capacity);
  lastPage: Float64Array = new Float64Array(this.capacity);
  lastOffset: Uint16Array = new Uint16Array(this.capacity);
  vaddrPage: Float64Array = new Float64Array(this.capacity);
  /** `page_offset`. */
  vaddrOffset: Uint16Array = new Uint16Array(this.capacity);
  /** Pins in it, over all devices (`num_accesses`). */
  numAccesses: Int32Array = new Int32Array(this.capacity);
  /** READ 1, WRITE 2 (`iommu_prot`). */
  prot: Uint8Array = new Uint8Array(this.capacity);
  private closed: Uint8Array = new Uint8Array(this.capacity);
  private readonly memory: (IoptPages | null)[] = [];
  root: number = NIL;

  /** @param counted counts those of other tables too */
  constructor(private readonly counted: Pick<Counted, 'add'> = UNCOUNTED) {
    super();
  }

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.firstPage = growColumn(this.firstPage, capacity);
    this.firstOffset = growColumn(this.firstOffset, capacity);
    this.lastPage = growColumn(this.lastPage, capacity);
    this.lastOffset = growColumn(this.lastOffset, capacity);
    this.vaddrPage = growColumn(this.vaddrPage, capacity);
    this.vaddrOffset = growColumn(this.vaddrOffset, capacity);
    this.numAccesses = growColumn(this.numAccesses, capacity);
    this.prot = growColumn(this.prot, capacity);
    this.closed = growColumn(this.closed, capacity);
  }

  /** The memory behind an area. */
  pages(slot: number): IoptPages {
    return this.memory[slot]!;
  }

  /** An unmap of it is in progress, or was given up: nothing may be pinned or copied (`prevent_access`). */
  preventAccess(slot: number): boolean {
    return this.closed[slot] === 1;
  }
  setPreventAccess(slot: number, on: boolean): void {
    this.closed[slot] = on ? 1 : 0;
  }

  /** iopt_area_iter_first: the lowest area that has a byte in [from, to], or NIL. */
  iterFirst(from: At, to: At): number {
    const slot = this.firstEndingAtOrAfter(from.page, from.offset);
    if (slot === NIL) return NIL;
    const page = this.firstPage[slot]!;
    const begins = page < to.page || (page === to.page && this.firstOffset[slot]! <= to.offset);
    return begins ? slot : NIL;
  }

  /** The area that holds a byte, or NIL. */
  find(page: number, offset = 0): number {
    const slot = this.firstEndingAtOrAfter(page, offset);
    if (slot === NIL) return NIL;
    const first = this.firstPage[slot]!;
    return first < page || (first === page && this.firstOffset[slot]! <= offset) ? slot : NIL;
  }

  private firstEndingAtOrAfter(page: number, offset: number): number {
    const { left, right } = this;
    let found = NIL;
    let node = this.root;
    while (node !== NIL) {
      // All of a node is read at once: in a large table each column is a cache miss of its own.
      const lower = left[node]!;
      const higher = right[node]!;
      const last = this.lastPage[node]!;
      if (last > page || (last === page && this.lastOffset[node]! >= offset)) {
        found = node;
        node = lower;
      } else {
        node = higher;
      }
    }
    return found;
  }

  /** iopt_insert_area. Nothing may overlap it. */
  insert(area: NewArea): number {
    const slot = this.allocate();
    this.counted.add();
    this.firstPage[slot] = area.first.page;
    this.firstOffset[slot] = area.first.offset;
    this.lastPage[slot] = area.last.page;
    this.lastOffset[slot] = area.last.offset;
    this.vaddrPage[slot] = area.vaddr.page;
    this.vaddrOffset[slot] = area.vaddr.offset;
    this.prot[slot] = area.prot;
    this.numAccesses[slot] = 0;
    this.closed[slot] = 0;
    this.memory[slot] = area.pages;
    let parent = NIL;
    let onLeft = false;
    let node = this.root;
    while (node !== NIL) {
      parent = node;
      const page = this.firstPage[node]!;
      onLeft =
        area.first.page < page || (area.first.page === page && area.first.offset < this.firstOffset[node]!);
      node = onLeft ? this.left[node]! : this.right[node]!;
    }
    this.root = this.link(this.root, slot, parent, onLeft);
    return slot;
  }

  /** iopt_abort_area: takes an area out and frees its slot. */
  remove(slot: number): void {
    this.counted.add(-1);
    this.root = this.unlink(this.root, slot);
    this.memory[slot] = null;
    this.release(slot);
  }

  /** First byte of an area. */
  iova(slot: number): bigint {
    return addressOf(this.firstPage[slot]!, this.firstOffset[slot]!);
  }

  /** iopt_area_last_iova: its last byte. */
  lastIova(slot: number): bigint {
    return addressOf(this.lastPage[slot]!, this.lastOffset[slot]!);
  }

  /** iopt_area_length, bytes. */
  length(slot: number): bigint {
    return this.lastIova(slot) - this.iova(slot) + 1n;
  }

  /** Pages of an area of whole pages. */
  pageCount(slot: number): number {
    return this.lastPage[slot]! - this.firstPage[slot]! + 1;
  }

  /** iopt_area_iova_to_index, of an area of whole pages: the page of memory behind a page of IOVA. */
  vaddrOf(slot: number, page: number): number {
    return this.vaddrPage[slot]! + (page - this.firstPage[slot]!);
  }

  /** An area's range, for messages: `0x1000+0x4000`. */
  describe(slot: number): string {
    return `${hexAddress(this.firstPage[slot]!, this.firstOffset[slot]!)}+${hex(this.length(slot))}`;
  }

  /** Every area, lowest first. The current one may be removed while walking. */
  inOrder(): Generator<number, void, void> {
    return this.nodesOf(this.root);
  }
}
