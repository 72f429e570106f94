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
  private readonly byGfn = new Map<number, GttEntries[]>();
  /** Different entries. */
  count = 0;

  /** Writes `times` entries. */
  add({ gfn, size, pfn }: Omit<GttEntries, 'times'>, times = 1): void {
    const entries = this.byGfn.get(gfn) ?? [];
    const same = entries.findIndex((one) => one.size === size && one.pfn === pfn);
    const before = same < 0 ? 0 : entries.splice(same, 1)[0]!.times;
    if (same < 0) this.count++;
    this.byGfn.set(gfn, [...entries, { gfn, size, pfn, times: before + times }]);
  }

  /** Clears the entry of a page that was written last, if there is one. */
  clearPage(gfn: number): GttEntries | null {
    const entry = this.byGfn.get(gfn)?.at(-1);
    return entry ? this.clear(entry) : null;
  }

  /** Clears an entry with this DMA address, if there is one. */
  clearAddress(pfn: number): void {
    for (const entry of this.all()) {
      if (entry.pfn !== pfn) continue;
      this.clear(entry);
      return;
    }
  }

  /** Every entry: by page in the order of their first, each page's oldest first. */
  *all(): Generator<GttEntries, void, void> {
    for (const entries of this.byGfn.values()) yield* entries;
  }

  reset(): void {
    this.byGfn.clear();
    this.count = 0;
  }

  private clear(entry: GttEntries): GttEntries {
    if (--entry.times > 0) return entry;
    const left = this.byGfn.get(entry.gfn)!.filter((one) => one !== entry);
    if (left.length > 0) this.byGfn.set(entry.gfn, left);
    else this.byGfn.delete(entry.gfn);
    this.count--;
    return entry;
  }
}
