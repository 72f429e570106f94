import type { GttPageSize } from '../../../schemas/drivers/gvt-g.ts';
import { NIL, RbLinks, type TreeShape } from '../../kernel/rb-links.ts';
import type { Place } from '../../kernel/tree-shape.ts';

/** A guest page that is mapped for the vGPU (struct gvt_dma): 4 KiB, or 2 MiB that follow each other in the host. */
export interface GuestPage {
  readonly gfn: number;
  readonly size: GttPageSize;
  /** First host page frame; there is no IOMMU behind the GPU here, so the DMA address is its own. */
  readonly pfn: number;
  /** kref: one for each entry of the page tables, one for each dma-buf. */
  ref: number;
}

/** A red-black tree of pages by frame number: gfn_cache or dma_addr_cache. */
export class PageTree extends RbLinks {
  private root: number = NIL;
  private readonly pages: GuestPage[] = [];

  constructor(private readonly key: 'gfn' | 'pfn') {
    super();
  }

  /** The page of a frame. Where several have one DMA address it is the one nearest the root. */
  find(frame: number): GuestPage | null {
    const slot = this.slotOf(frame);
    return slot === NIL ? null : this.pages[slot]!;
  }

  /** __gvt_cache_add, for this tree: to the right of what has the same key. */
  add(page: GuestPage): void {
    let parent = NIL;
    let onLeft = false;
    for (let node = this.root; node !== NIL; node = onLeft ? this.left[node]! : this.right[node]!) {
      parent = node;
      onLeft = page[this.key] < this.pages[node]![this.key];
    }
    const slot = this.allocate();
    this.pages[slot] = page;
    this.root = this.link(this.root, slot, parent, onLeft);
  }

  /** __gvt_cache_remove_entry, for this tree. */
  remove(page: GuestPage): void {
    let slot = this.from(page[this.key]);
    while (this.pages[slot] !== page) slot = this.next(slot);
    this.root = this.unlink(this.root, slot);
    this.release(slot);
  }

  /** The first page in order at a frame or above. */
  lowestFrom(frame: number): GuestPage | null {
    const slot = this.from(frame);
    return slot === NIL ? null : this.pages[slot]!;
  }

  /** Every page in order, with its place. */
  *inOrder(): Generator<Place & { page: GuestPage }, void, void> {
    for (const slot of this.nodesOf(this.root)) {
      yield { page: this.pages[slot]!, depth: this.depthOf(slot), red: this.isRed(slot) };
    }
  }

  /** Fills a fresh tree with pages in order, in a shape that has been checked. */
  restore(pages: readonly GuestPage[], shape: TreeShape): void {
    for (const page of pages) this.pages[this.allocate()] = page;
    this.adopt(shape);
    this.root = shape.root;
  }

  private slotOf(frame: number): number {
    let node = this.root;
    while (node !== NIL) {
      const at = this.pages[node]![this.key];
      if (at === frame) break;
      node = frame < at ? this.left[node]! : this.right[node]!;
    }
    return node;
  }

  private from(frame: number): number {
    let found = NIL;
    for (let node = this.root; node !== NIL; ) {
      if (this.pages[node]![this.key] >= frame) {
        found = node;
        node = this.left[node]!;
      } else {
        node = this.right[node]!;
      }
    }
    return found;
  }
}
