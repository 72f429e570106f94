import type { GttPageSize } from '../../../schemas/drivers/gvt-g.ts';

/** Entries of the vGPU's page tables that map one guest page to one DMA address. */
interface GttEntries {
  readonly gfn: number;
  readonly size: GttPageSize;
  /** Host page frame of the DMA address that was written. It stays when the page behind it is released. */
  readonly pfn: number;
  times: number;
}

/**
 * What the shadow page tables of the vGPU hold (gtt.c): the DMA addresses, which is all they know of a page. Neither
 * dma_unmap nor the last close clears them. 2 MiB entries are of a PPGTT.
 */
export class Gtt {
  /** The entries of each guest page by size and page frame, oldest first. */
  private readonly byGfn = new Map<number, Map<string, GttEntries>>();
  /** Guest pages by the page frames that they have entries with. */
  private readonly gfnsOf = new Map<number, Set<number>>();
  /** Different entries. */
  count = 0;

  /** Writes `times` entries. */
  add({ gfn, size, pfn }: Omit<GttEntries, 'times'>, times = 1): void {
    const page = this.byGfn.get(gfn) ?? new Map<string, GttEntries>();
    this.byGfn.set(gfn, page);
    const key = keyOf(size, pfn);
    const before = page.get(key)?.times ?? 0;
    if (before === 0) this.count++;
    page.delete(key);
    page.set(key, { gfn, size, pfn, times: before + times });
    this.gfnsOf.set(pfn, (this.gfnsOf.get(pfn) ?? new Set()).add(gfn));
  }

  /** Clears the entry of a page that was written last, if there is one. */
  clearPage(gfn: number): GttEntries | null {
    let last: GttEntries | null = null;
    for (const entry of this.byGfn.get(gfn)?.values() ?? []) last = entry;
    return last && this.clear(last);
  }

  /** Clears an entry with this DMA address, if there is one: the first in the order of `all`. */
  clearAddress(pfn: number): void {
    const gfn = this.firstOf(pfn);
    if (gfn === null) return;
    for (const entry of this.byGfn.get(gfn)!.values()) {
      if (entry.pfn !== pfn) continue;
      this.clear(entry);
      return;
    }
  }

  /** Every entry: by page in the order of their first, each page's oldest first. */
  *all(): Generator<GttEntries, void, void> {
    for (const page of this.byGfn.values()) yield* page.values();
  }

  reset(): void {
    this.byGfn.clear();
    this.gfnsOf.clear();
    this.count = 0;
  }

  /** The first page that has an entry with a page frame. Most page frames are of one guest page alone. */
  private firstOf(pfn: number): number | null {
    const gfns = this.gfnsOf.get(pfn);
    if (!gfns) return null;
    const pages = gfns.size === 1 ? gfns : this.byGfn.keys();
    for (const gfn of pages) if (gfns.has(gfn)) return gfn;
    return null;
  }

  private clear(entry: GttEntries): GttEntries {
    if (--entry.times > 0) return entry;
    const { gfn, size, pfn } = entry;
    const page = this.byGfn.get(gfn)!;
    page.delete(keyOf(size, pfn));
    if (page.size === 0) this.byGfn.delete(gfn);
    this.count--;
    if (page.has(keyOf(size === '4K' ? '2M' : '4K', pfn))) return entry;
    const gfns = this.gfnsOf.get(pfn)!;
    gfns.delete(gfn);
    if (gfns.size === 0) this.gfnsOf.delete(pfn);
    return entry;
  }
}

function keyOf(size: GttPageSize, pfn: number): string {
  return `${size} ${pfn}`;
}
