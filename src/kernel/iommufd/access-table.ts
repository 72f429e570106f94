import { HeldNodes } from '../held-nodes.ts';
import { growColumn, NIL } from '../rb-links.ts';
import type { IoptPages } from './iopt-pages.ts';

/** The last page of a node that does not count. */
const NOWHERE = -1;

/**
 * The pins of an IOAS: the kernel's `struct iopt_pages_access`, one slot each, in one interval tree a mapping's memory
 * (`access_itree`). A pin is a run of pages, first to last, and its references (`users`); the same run pinned again is
 * the same node, a run that is different by a page is another one.
 *
 * 45 bytes a pin: first and last page and the last of its subtree (8 bytes each), reference count and holder (4 each),
 * 13 of links.
 */
export class AccessTable extends HeldNodes {
  /** First and last page of the process's memory, by slot. */
  start: Float64Array = new Float64Array(this.capacity);
  last: Float64Array = new Float64Array(this.capacity);
  /** The highest last page in the subtree below a node, its own included (`__subtree_last`). */
  private subtreeLast: Float64Array = new Float64Array(this.capacity).fill(NOWHERE, 0, 1);

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.start = growColumn(this.start, capacity);
    this.last = growColumn(this.last, capacity);
    this.subtreeLast = growColumn(this.subtreeLast, capacity);
  }

  /** iopt_pages_get_exact_access: the pin of exactly these pages, or NIL. */
  getExact(pages: IoptPages, start: number, last: number): number {
    let node = pages.accesses;
    while (node !== NIL) {
      const order = start - this.start[node]! || last - this.last[node]!;
      if (order === 0) break;
      node = order < 0 ? this.left[node]! : this.right[node]!;
    }
    return node;
  }

  /** Adds a pin that is not there yet, with one reference of `device` (its number). */
  add(pages: IoptPages, start: number, last: number, device: number): number {
    const slot = this.allocate();
    this.start[slot] = start;
    this.last[slot] = last;
    this.subtreeLast[slot] = last;
    this.holdFirst(slot, device);
    let parent = NIL;
    let onLeft = false;
    let node = pages.accesses;
    while (node !== NIL) {
      parent = node;
      if (this.subtreeLast[node]! < last) this.subtreeLast[node] = last;
      onLeft = (start - this.start[node]! || last - this.last[node]!) < 0;
      node = onLeft ? this.left[node]! : this.right[node]!;
    }
    pages.accesses = this.link(pages.accesses, slot, parent, onLeft);
    return slot;
  }

  /** Takes a pin out and frees its slot. */
  remove(pages: IoptPages, slot: number): void {
    // The node that takes its place, if it has two children: until it is there, neither counts.
    const heir = this.left[slot] === NIL || this.right[slot] === NIL ? NIL : this.first(this.right[slot]!);
    const heirLast = this.last[heir]!;
    this.last[slot] = NOWHERE;
    if (heir !== NIL) this.last[heir] = NOWHERE;
    this.refreshUp(heir === NIL ? slot : heir);
    pages.accesses = this.unlink(pages.accesses, slot);
    if (heir !== NIL) {
      this.last[heir] = heirLast;
      this.refreshUp(heir);
    }
    this.release(slot);
  }

  /** Pins that have a page in [start, last], by their first page. */
  overlapping(pages: IoptPages, start: number, last: number): number[] {
    const found: number[] = [];
    this.collect(pages.accesses, start, last, found);
    return found;
  }

  private collect(node: number, start: number, last: number, found: number[]): void {
    if (node === NIL || this.subtreeLast[node]! < start) return;
    this.collect(this.left[node]!, start, last, found);
    if (this.start[node]! > last) return;
    if (this.last[node]! >= start) found.push(node);
    this.collect(this.right[node]!, start, last, found);
  }

  /** The pages of [start, last] that no pin has, as runs: first page and number, alternating. */
  gaps(pages: IoptPages, start: number, last: number): number[] {
    const runs: number[] = [];
    let next = start;
    for (const node of this.overlapping(pages, start, last)) {
      const first = this.start[node]!;
      if (first > next) runs.push(next, first - next);
      if (this.last[node]! >= next) next = this.last[node]! + 1;
    }
    if (next <= last) runs.push(next, last - next + 1);
    return runs;
  }

  protected override rotateLeft(root: number, x: number): number {
    const y = this.right[x]!;
    const top = super.rotateLeft(root, x);
    this.refresh(x);
    this.refresh(y);
    return top;
  }

  protected override rotateRight(root: number, x: number): number {
    const y = this.left[x]!;
    const top = super.rotateRight(root, x);
    this.refresh(x);
    this.refresh(y);
    return top;
  }

  private refresh(node: number): void {
    const { left, right, subtreeLast } = this;
    subtreeLast[node] = Math.max(this.last[node]!, subtreeLast[left[node]!]!, subtreeLast[right[node]!]!);
  }

  /** From a node up to the root. */
  private refreshUp(from: number): void {
    for (let node = from; node !== NIL; node = this.parent[node]!) this.refresh(node);
  }
}

/** Pages in runs as gaps gives them. */
export function pagesIn(runs: readonly number[]): number {
  let count = 0;
  for (let i = 1; i < runs.length; i += 2) count += runs[i]!;
  return count;
}
