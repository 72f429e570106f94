import { growColumn, NIL, RbLinks } from '../rb-links.ts';

/** `holder` of a pin whose references belong to more than one device; see PinTable.holdersOf. */
const SHARED = -1;
/** A neighbour that has not been looked for yet. */
const UNKNOWN = -1;

/**
 * The pins of a container: the kernel's `struct vfio_pfn`, one slot each, in one red-black tree a mapping
 * (its root is the mapping's `pins`). The key is the exact IOVA the driver passed, never rounded: a page
 * number and an offset.
 *
 * 39 bytes a pin: page and pfn (8 bytes each), offset (2), reference count and holder (4 each), 13 of links.
 *
 * `holder` is a shadow: the kernel does not know who holds a reference, and nothing it does depends on it.
 * It is kept so that a log line, a listing or an advisory can say whose pin it is.
 */
export class PinTable extends RbLinks {
  /** Page number of the key, by slot. */
  page: Float64Array = new Float64Array(this.capacity);
  /** Offset of the key in its page, bytes, by slot. */
  offset: Uint16Array = new Uint16Array(this.capacity);
  /** Host page frame number, by slot. */
  pfn: Float64Array = new Float64Array(this.capacity);
  /** Number of references, by slot. */
  refCount: Int32Array = new Int32Array(this.capacity);
  private holder: Int32Array = new Int32Array(this.capacity);
  /**
   * The pins next to the key looked for last; one that was found, or added since, is `before` itself. Good until
   * a pin is removed.
   */
  private before: number = NIL;
  private after: number = NIL;
  private readonly shared = new Map<number, Map<number, number>>();

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.page = growColumn(this.page, capacity);
    this.offset = growColumn(this.offset, capacity);
    this.pfn = growColumn(this.pfn, capacity);
    this.refCount = growColumn(this.refCount, capacity);
    this.holder = growColumn(this.holder, capacity);
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
    this.refCount[slot] = 1;
    this.holder[slot] = device;
    const { before, after } = this;
    this.before = slot;
    // One of two neighbours has a free link towards the other: where the way down the tree ends as well.
    const onLeft = before === NIL || this.right[before] !== NIL;
    return this.link(root, slot, onLeft ? after : before, onLeft);
  }

  /** vfio_remove_from_pfn_list: takes a pin out of the tree at `root`; returns the new root. */
  remove(root: number, slot: number): number {
    const rest = this.unlink(root, slot);
    this.shared.delete(slot);
    this.release(slot);
    return rest;
  }

  /** Frees every pin of the tree at `root` (its mapping goes away with pins left). */
  dropAll(root: number): void {
    while (root !== NIL) root = this.remove(root, this.first(root));
  }

  /** One more reference, of `device`. */
  get(slot: number, device: number): void {
    this.refCount[slot]!++;
    if (this.holder[slot] === device) return;
    const holders = this.holdersOf(slot, this.refCount[slot]! - 1);
    holders.set(device, (holders.get(device) ?? 0) + 1);
    this.holder[slot] = SHARED;
    this.shared.set(slot, holders);
  }

  /**
   * One reference less, dropped by `device`.
   *
   * @returns the number of the device whose reference it was: `device` where it holds one, otherwise the
   *   earliest other holder, whose reference the kernel has just dropped silently
   */
  put(slot: number, device: number): number {
    this.refCount[slot]!--;
    const sole = this.holder[slot]!;
    if (sole !== SHARED) return sole;
    const holders = this.shared.get(slot)!;
    const owner = holders.has(device) ? device : holders.keys().next().value!;
    const left = holders.get(owner)! - 1;
    if (left > 0) holders.set(owner, left);
    else holders.delete(owner);
    if (holders.size === 1) {
      this.holder[slot] = holders.keys().next().value!;
      this.shared.delete(slot);
    }
    return owner;
  }

  /** Sets who holds a pin, and so its reference count: numbers above 0 by device number, earliest holder first. */
  restoreHolders(slot: number, holders: ReadonlyMap<number, number>): void {
    let total = 0;
    for (const count of holders.values()) total += count;
    this.refCount[slot] = total;
    const [first] = holders.keys();
    this.holder[slot] = holders.size === 1 ? first! : SHARED;
    if (holders.size > 1) this.shared.set(slot, new Map(holders));
  }

  /** References by device number, earliest holder first. */
  holdersOf(slot: number, total: number = this.refCount[slot]!): Map<number, number> {
    const sole = this.holder[slot]!;
    return sole === SHARED ? this.shared.get(slot)! : new Map([[sole, total]]);
  }

  /** References that `device` holds on a pin. */
  heldBy(slot: number, device: number): number {
    const sole = this.holder[slot]!;
    if (sole === device) return this.refCount[slot]!;
    return sole === SHARED ? (this.shared.get(slot)!.get(device) ?? 0) : 0;
  }

  /** Every pin of the tree at `root`, lowest key first. The current one may be removed while walking. */
  *inOrder(root: number): Generator<number, void, void> {
    let slot = this.first(root);
    while (slot !== NIL) {
      const next = this.next(slot);
      yield slot;
      slot = next;
    }
  }
}
