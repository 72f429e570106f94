import { addressOf, offsetInPage, pageOf } from '../../kernel/pages.ts';
import { growColumn, NIL, RbLinks } from '../../kernel/rb-links.ts';

/**
 * A driver's list of its own pins, ordered by IOVA: what it believes it holds, whatever the kernel thinks.
 * A page pinned twice is one entry with a count of two. 27 bytes an entry.
 */
export class OwnPins extends RbLinks {
  private root: number = NIL;
  /** Page, offset in it (bytes) and count of an entry, by slot. */
  page: Float64Array = new Float64Array(this.capacity);
  offset: Uint16Array = new Uint16Array(this.capacity);
  times: Int32Array = new Int32Array(this.capacity);

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.page = growColumn(this.page, capacity);
    this.offset = growColumn(this.offset, capacity);
    this.times = growColumn(this.times, capacity);
  }

  /** Notes one more pin of this exact IOVA (bytes), or several. */
  add(iova: bigint, times = 1): void {
    const page = pageOf(iova);
    const offset = offsetInPage(iova);
    let parent = NIL;
    let onLeft = false;
    let node = this.root;
    while (node !== NIL) {
      const at = this.page[node]!;
      const off = this.offset[node]!;
      if (at === page && off === offset) {
        this.times[node]! += times;
        return;
      }
      parent = node;
      onLeft = page < at || (page === at && offset < off);
      node = onLeft ? this.left[node]! : this.right[node]!;
    }
    const slot = this.allocate();
    this.page[slot] = page;
    this.offset[slot] = offset;
    this.times[slot] = times;
    this.root = this.link(this.root, slot, parent, onLeft);
  }

  /** Forgets one pin of this exact IOVA; false when there is none. */
  delete(iova: bigint): boolean {
    const slot = this.lowerBound(pageOf(iova), offsetInPage(iova));
    if (slot === NIL || this.keyOf(slot) !== iova) return false;
    if (--this.times[slot]! === 0) {
      this.root = this.unlink(this.root, slot);
      this.release(slot);
    }
    return true;
  }

  /** Forgets all of them. */
  clear(): void {
    this.root = NIL;
    this.releaseAll();
  }

  /** The lowest pin in [iova, iova+length), bytes; null when there is none. */
  lowestIn(iova: bigint, length: bigint): bigint | null {
    const slot = this.lowerBound(pageOf(iova), offsetInPage(iova));
    if (slot === NIL) return null;
    const key = this.keyOf(slot);
    return key < iova + length ? key : null;
  }

  /** The lowest entry, or NIL. */
  get lowestSlot(): number {
    return this.first(this.root);
  }

  /** The lowest pin of all; null when there is none. */
  lowest(): bigint | null {
    const slot = this.lowestSlot;
    return slot === NIL ? null : this.keyOf(slot);
  }

  /** Every entry with its count, lowest first. */
  *entries(): Generator<[bigint, number], void, void> {
    for (let slot = this.lowestSlot; slot !== NIL; slot = this.next(slot)) {
      yield [this.keyOf(slot), this.times[slot]!];
    }
  }

  private keyOf(slot: number): bigint {
    return addressOf(this.page[slot]!, this.offset[slot]!);
  }

  private lowerBound(page: number, offset: number): number {
    let node = this.root;
    let found = NIL;
    while (node !== NIL) {
      const at = this.page[node]!;
      if (at > page || (at === page && this.offset[node]! >= offset)) {
        found = node;
        node = this.left[node]!;
      } else {
        node = this.right[node]!;
      }
    }
    return found;
  }
}
