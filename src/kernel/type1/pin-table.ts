import { HeldNodes } from '../held-nodes.ts';
import { growColumn, NIL } from '../rb-links.ts';

/** A neighbour that has not been looked for yet. */
const UNKNOWN = -1;

/**
 * The pins of a container: the kernel's `struct vfio_pfn`, one slot each, in one red-black tree a mapping
 * (its root is the mapping's `pins`). The key is the exact IOVA the driver passed, never rounded: a page
 * number and an offset.
 *
 * 39 bytes a pin: page and pfn (8 bytes each), offset (2), reference count and holder (4 each), 13 of links.
 */
export class PinTable extends HeldNodes {
  /** Page number of the key, by slot. */
  page: Float64Array = new Float64Array(this.capacity);
  /** Offset of the key in its page, bytes, by slot. */
  offset: Uint16Array = new Uint16Array(this.capacity);
  /** Host page frame number, by slot. */
  pfn: Float64Array = new Float64Array(this.capacity);
  /**
   * The pins next to the key looked for last; one that was found, or added since, is `before` itself. Good until
   * a pin is removed.
   */
  private before: number = NIL;
  private after: number = NIL;

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.page = growColumn(this.page, capacity);
    this.offset = growColumn(this.offset, capacity);
    this.pfn = growColumn(this.pfn, capacity);
  }

  /** vfio_find_vpfn: the pin with exactly this key in the tree at `root`, or NIL. */
  find(root: number, page: number, offset: number): number {
    const { left, right } = this;
    let before = NIL;
    let after = NIL;
    let node = root;
    while (node !== NIL) {
      // All of a node is read at once: in a large table each column is a cache miss of its own.
      const lower = left[node]!;
      const higher = right[node]!;
      const order = this.compare(page, offset, node);
      if (order === 0) {
        before = node;
        after = UNKNOWN;
        break;
      }
      if (order < 0) {
        after = node;
        node = lower;
      } else {
        before = node;
        node = higher;
      }
    }
    this.before = before;
    this.after = after;
    return node;
  }

  /**
   * As find, for a key above the one looked for last in the same tree, which was there or has been added since.
   * Spares a run of pages the search from the root.
   */
  findNext(root: number, page: number, offset: number): number {
    if (this.after === UNKNOWN) this.after = this.next(this.before);
    const { after } = this;
    const order = after === NIL ? -1 : this.compare(page, offset, after);
    if (order < 0) return NIL;
    if (order > 0) return this.find(root, page, offset);
    this.before = after;
    this.after = UNKNOWN;
    return after;
  }

  /** Negative, 0 or positive where a key is below, equal to or above a pin's. */
  private compare(page: number, offset: number, pin: number): number {
    const order = page - this.page[pin]!;
    return order === 0 ? offset - this.offset[pin]! : order;
  }

  /** vfio_add_to_pfn_list: adds a pin with one reference of `device`; returns the new root. */
  add(root: number, page: number, offset: number, pfn: number, device: number): number {
    this.find(root, page, offset);
    return this.addMissing(root, page, offset, pfn, device);
  }

  /** As add, for the key that was looked for last, and not found. */
  addMissing(root: number, page: number, offset: number, pfn: number, device: number): number {
    const slot = this.allocate();
    this.page[slot] = page;
    this.offset[slot] = offset;
    this.pfn[slot] = pfn;
    this.holdFirst(slot, device);
    const { before, after } = this;
    this.before = slot;
    // One of two neighbours has a free link towards the other: where the way down the tree ends as well.
    const onLeft = before === NIL || this.right[before] !== NIL;
    return this.link(root, slot, onLeft ? after : before, onLeft);
  }

  /** vfio_remove_from_pfn_list: takes a pin out of the tree at `root`; returns the new root. */
  remove(root: number, slot: number): number {
    const rest = this.unlink(root, slot);
    this.release(slot);
    return rest;
  }

  /**
   * Frees pins of the tree at `root`, whose mapping goes away with pins left. What is left of the tree is good for
   * nothing else.
   *
   * @param most how many at most
   * @returns the root of the rest
   */
  drop(root: number, most: number): number {
    const { left, right, parent } = this;
    let node = root;
    let dropped = 0;
    while (node !== NIL && dropped < most) {
      const below = left[node]! || right[node]!;
      if (below !== NIL) {
        node = below;
        continue;
      }
      const up = node === root ? NIL : parent[node]!;
      if (up !== NIL && left[up] === node) left[up] = NIL;
      else if (up !== NIL) right[up] = NIL;
      parent[node] = NIL;
      this.release(node);
      dropped++;
      node = up;
    }
    return node === NIL ? NIL : root;
  }
}
