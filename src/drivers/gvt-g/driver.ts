import type { GttPageSize, GvtGConfig, GvtGState } from '../../../schemas/drivers/gvt-g.ts';
import type { DriverApi, MdevDriver } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { Lock } from '../../kernel/lock.ts';
import { addressOf, hex, hexAddress, pageOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';

/** 4 KiB pages of each size. */
const PAGES: Readonly<Record<GttPageSize, number>> = { '4K': 1, '2M': 512 };
/** IOMMU_READ | IOMMU_WRITE. */
const READ_WRITE = 3;

/** A mapped page as calls answer it. */
export type MappedPage = { gfn: string; size: GttPageSize; dmaAddr: string; ref: number };

/** A guest page that is mapped for the vGPU (struct gvt_dma). */
interface CacheEntry {
  readonly gfn: number;
  readonly size: GttPageSize;
  /** First host page frame; there is no IOMMU behind the GPU here, so the DMA address is its own. */
  readonly pfn: number;
  ref: number;
}

/**
 * GVT-g: one Intel vGPU (spec section 5.3). A page that the guest's GTT maps is pinned, one key for each 4 KiB,
 * and kept in a cache until its references drop, it is invalidated, or the device is closed.
 *
 * Variants: `notifier` (up to 5.19) unpins page by page; `callback` (6.0 to 6.5) all pages of an entry in one
 * call, also when that is none (C2); `double-shift` (July 2022) does so at `iova << PAGE_SHIFT`, because it
 * shifts the frame number twice: what it should release stays pinned, but for frame 0.
 */
export class GvtGDriver implements MdevDriver {
  readonly hasDmaUnmap = true;
  private readonly cache = new Map<number, CacheEntry>();
  readonly ownLock: Lock = new Lock('cache_lock');

  constructor(readonly config: GvtGConfig) {}

  state(most: number): object {
    const cache = this.ascending().slice(0, most);
    return {
      entries: this.cache.size,
      cache: cache.map(shown),
    };
  }

  restore(state: GvtGState): void {
    for (const { gfn, size, dmaAddr, ref } of state.cache) {
      const entry = { gfn: Number(gfn), size, pfn: pageOf(BigInt(dmaAddr)), ref };
      this.cache.set(entry.gfn, entry);
    }
  }

  *openDevice(): KernelStep<Errno | null> {
    return null;
  }

  /** gvt_cache_destroy. */
  *closeDevice(api: DriverApi): KernelStep<void> {
    yield* api.lock(this.ownLock);
    for (const entry of this.ascending()) yield* this.drop(api, entry);
    api.unlock(this.ownLock);
  }

  /** intel_vgpu_remove: returns early, with a warning (G2), while the vGPU is open. */
  *remove(api: DriverApi, open: boolean): KernelStep<void> {
    if (open) api.warn('G2');
  }

  /** Drops every entry that starts in the range; one that starts below and reaches into it is not found. */
  *dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    yield* api.lock(this.ownLock);
    const first = pageOf(iova);
    for (const entry of this.startingIn(first, first + pageOf(length))) yield* this.drop(api, entry);
    api.unlock(this.ownLock);
  }

  /**
   * intel_gvt_dma_map_guest_page.
   *
   * @returns what a pin was answered, or EINVAL where the pages are not next to each other in the host
   */
  *mapPage(api: DriverApi, gfn: number, size: GttPageSize): KernelStep<Errno | MappedPage> {
    yield* api.lock(this.ownLock);
    const result = yield* this.map(api, gfn, size);
    api.unlock(this.ownLock);
    return result;
  }

  private *map(api: DriverApi, gfn: number, size: GttPageSize): KernelStep<Errno | MappedPage> {
    const known = this.cache.get(gfn);
    if (known?.size === size) {
      known.ref++;
      return shown(known);
    }
    if (known) yield* this.drop(api, known);
    const pfn = yield* this.pin(api, gfn, PAGES[size]);
    if (typeof pfn === 'string') return pfn;
    const entry = { gfn, size, pfn, ref: 1 };
    this.cache.set(gfn, entry);
    return shown(entry);
  }

  /** intel_gvt_dma_unmap_guest_page: one reference less; a page that is not in the cache is passed over. */
  *unmapPage(api: DriverApi, gfn: number): KernelStep<{ found: boolean; ref: number }> {
    yield* api.lock(this.ownLock);
    const entry = this.cache.get(gfn);
    if (entry && --entry.ref === 0) yield* this.drop(api, entry);
    api.unlock(this.ownLock);
    return { found: entry !== undefined, ref: entry?.ref ?? 0 };
  }

  /** gvt_pin_guest_page: the first page frame of pages that follow each other in the host, or an errno. */
  private *pin(api: DriverApi, gfn: number, pages: number): KernelStep<Errno | number> {
    let base = 0;
    for (let i = 0; i < pages; i++) {
      const iova = BigInt.asUintN(64, addressOf(gfn + i));
      const pinned = yield* api.pinPages(iova, 1, READ_WRITE);
      if (typeof pinned === 'string') {
        if (i > 0 || (this.config.emptyUnpin ?? true)) yield* this.unpin(api, gfn, i);
        return pinned;
      }
      const pfn = pinned[0]!;
      if (i === 0) base = pfn;
      if (pfn === base + i) continue;
      yield* this.unpin(api, gfn, i + 1);
      return api.refuse('EINVAL', `the page at ${hex(iova)} does not follow the one before it in the host`);
    }
    return base;
  }

  /** gvt_unpin_guest_page. */
  private *unpin(api: DriverApi, gfn: number, pages: number): KernelStep<void> {
    const iova = addressOf(gfn);
    switch (this.config.variant) {
      case 'notifier':
        for (let i = 0; i < pages; i++) yield* api.unpinPages(BigInt.asUintN(64, iova + addressOf(i)), 1);
        return;
      case 'callback':
        yield* api.unpinPages(iova, pages);
        return;
      case 'double-shift':
        yield* api.unpinPages(BigInt.asUintN(64, iova << 12n), pages);
    }
  }

  private *drop(api: DriverApi, entry: CacheEntry): KernelStep<void> {
    yield* this.unpin(api, entry.gfn, PAGES[entry.size]);
    this.cache.delete(entry.gfn);
  }

  private ascending(): CacheEntry[] {
    return [...this.cache.values()].sort((a, b) => a.gfn - b.gfn);
  }

  /** The entries that start at frames [first, end), lowest first. */
  private startingIn(first: number, end: number): CacheEntry[] {
    if (end - first > this.cache.size) {
      return this.ascending().filter(({ gfn }) => gfn >= first && gfn < end);
    }
    const found: CacheEntry[] = [];
    for (let gfn = first; gfn < end; gfn++) {
      const entry = this.cache.get(gfn);
      if (entry) found.push(entry);
    }
    return found;
  }
}

function shown({ gfn, size, pfn, ref }: CacheEntry): MappedPage {
  return { gfn: `0x${gfn.toString(16)}`, size, dmaAddr: hexAddress(pfn), ref };
}
