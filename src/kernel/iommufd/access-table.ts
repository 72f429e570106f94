import { HeldNodes } from '../held-nodes.ts';
import { growColumn, NIL } from '../rb-links.ts';
import type { IoptPages } from './iopt-pages.ts';

/**
 * The pins of an IOAS: the kernel's `struct iopt_pages_access`, one slot each, in one tree a mapping's memory
 * (`access_itree`). A pin is a run of pages, first to last, and its references (`users`); the same run pinned again is
 * the same node, a run that is different by a page is another one.
 *
 * 37 bytes a pin: first and last page (8 bytes each), reference count and holder (4 each), 13 of links.
 */
export class AccessTable extends HeldNodes {
  /** First and last page of the process's memory, by slot. */
  start: Float64Array = new Float64Array(this.capacity);
  last: Float64Array = new Float64Array(this.capacity);

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.start = growColumn(this.start, capacity);
    this.last = growColumn(this.last, capacity);
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
    this.holdFirst(slot, device);
    let parent = NIL;
    let onLeft = false;
    let node = pages.accesses;
    while (node !== NIL) {
      parent = node;
      const order = start - this.start[node]! || last - this.last[node]!;
      onLeft = order < 0;
      node = onLeft ? this.left[node]! : this.right[node]!;
    }
    pages.accesses = this.link(pages.accesses, slot, parent, onLeft);
    pages.longestAccess = Math.max(pages.longestAccess, last - start + 1);
    return slot;
  }

  /** Takes a pin out and frees its slot. */
  remove(pages: IoptPages, slot: number): void {
    pages.accesses = this.unlink(pages.accesses, slot);
    if (pages.accesses === NIL) pages.longestAccess = 0;
    this.release(slot);
  }

  /** Frees every pin of a memory that goes away with them. */
  dropAll(pages: IoptPages): void {
    while (pages.accesses !== NIL) this.remove(pages, this.first(pages.accesses));
  }

  /** Pins that have a page in [start, last], by their first page. The current one may be removed while walking. */
  *overlapping(pages: IoptPages, start: number, last: number): Generator<number, void, void> {
    let node = this.lowestFrom(pages.accesses, start - pages.longestAccess + 1);
    while (node !== NIL && this.start[node]! <= last) {
      const next = this.next(node);
      if (this.last[node]! >= start) yield node;
      node = next;
    }
  }

  /**
   * The pages of [start, last] that no pin has, as runs: first page and number, alternating. The walk is as long as
   * there are pins that begin at most as far below `start` as the longest pin is long.
   */
  gaps(pages: IoptPages, start: number, last: number): number[] {
    const runs: number[] = [];
    let next = start;
    let node = this.lowestFrom(pages.accesses, start - pages.longestAccess + 1);
    while (node !== NIL && this.start[node]! <= last) {
      const first = this.start[node]!;
      if (first > next) runs.push(next, first - next);
      if (this.last[node]! >= next) next = this.last[node]! + 1;
      if (next > last) return runs;
      node = this.next(node);
    }
    runs.push(next, last - next + 1);
    return runs;
  }

  /** The lowest pin that begins at or after a page, or NIL. */
  private lowestFrom(root: number, page: number): number {
    let node = root;
    let found = NIL;
    while (node !== NIL) {
      if (this.start[node]! >= page) {
        found = node;
        node = this.left[node]!;
      } else {
        node = this.right[node]!;
      }
    }
    return found;
  }
}

/** Pages in runs as gaps gives them. */
export function pagesIn(runs: readonly number[]): number {
  let count = 0;
  for (let i = 1; i < runs.length; i += 2) count += runs[i]!;
  return count;
}
