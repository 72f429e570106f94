import { growColumn, NIL, RbLinks } from '../rb-links.ts';

/** findAfter: the pin must be searched for. */
export const ELSEWHERE = -1;

/** `holder` of a pin whose references belong to more than one device; see PinTable.holdersOf. */
const SHARED = -1;

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
  /** The pin that was added last. */
  added: number = NIL;
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
    let node = root;
    while (node !== NIL) {
      const at = this.page[node]!;
      if (page < at) node = this.left[node]!;
      else if (page > at) node = this.right[node]!;
      else {
        const off = this.offset[node]!;
        if (offset === off) return node;
        node = offset < off ? this.left[node]! : this.right[node]!;
      }
    }
    return NIL;
  }

  /**
   * The pin with this key, where the pin `previous` has a lower one and is likely to be just before it. Spares a
   * run of pages the search from the root.
   *
   * @returns its slot; NIL where there is none and it would come straight after `previous`; ELSEWHERE where other
   *   pins lie between
   */
  findAfter(previous: number, page: number, offset: number): number {
    const next = this.next(previous);
    if (next === NIL) return NIL;
    const at = this.page[next]!;
    const off = this.offset[next]!;
    if (at === page && off === offset) return next;
    return at > page || (at === page && off > offset) ? NIL : ELSEWHERE;
  }

  /** Adds a pin whose place is straight after `previous` (findAfter answered NIL); returns the new root. */
  addAfter(
    root: number,
    previous: number,
    page: number,
    offset: number,
    pfn: number,
    device: number,
  ): number {
    const slot = this.newPin(page, offset, pfn, device);
    const above = this.right[previous]!;
    return above === NIL
      ? this.link(root, slot, previous, false)
      : this.link(root, slot, this.first(above), true);
  }

  private newPin(page: number, offset: number, pfn: number, device: number): number {
    const slot = this.allocate();
    this.page[slot] = page;
    this.offset[slot] = offset;
    this.pfn[slot] = pfn;
    this.refCount[slot] = 1;
    this.holder[slot] = device;
    this.added = slot;
    return slot;
  }

  /** vfio_add_to_pfn_list: adds a pin with one reference of `device`; returns the new root. */
  add(root: number, page: number, offset: number, pfn: number, device: number): number {
    const slot = this.newPin(page, offset, pfn, device);
    let parent = NIL;
    let onLeft = false;
    let node = root;
    while (node !== NIL) {
      parent = node;
      const at = this.page[node]!;
      onLeft = page < at || (page === at && offset < this.offset[node]!);
      node = onLeft ? this.left[node]! : this.right[node]!;
    }
    return this.link(root, slot, parent, onLeft);
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
   *   earliest other holder, whose reference the kernel has just let go without a word
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
