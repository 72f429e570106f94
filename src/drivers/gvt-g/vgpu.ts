import type { GttPageSize, GvtGConfig, GvtGState } from '../../../schemas/drivers/gvt-g.ts';
import { IOMMU_READ_WRITE } from '../../../schemas/uapi.ts';
import type { DriverApi, MdevDriver } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { GuestId } from '../../kernel/guest.ts';
import { Lock } from '../../kernel/lock.ts';
import { addressOf, hex, hexAddress, pageOf } from '../../kernel/pages.ts';
import { each, upTo } from '../../kernel/saved/each.ts';
import { type KernelStep, RESCHED } from '../../kernel/task.ts';
import { treeSteps } from '../../kernel/tree-shape.ts';
import type { ListOf } from '../../kernel/vfio/container.ts';
import { itemsOf } from '../../pause.ts';
import { AT_ONCE } from '../model.ts';
import { Gtt } from './gtt.ts';
import type { Gvt } from './gvt.ts';
import { type GuestPage, PageTree } from './page-tree.ts';

/** 4 KiB pages of each size. */
export const PAGES: Readonly<Record<GttPageSize, number>> = { '4K': 1, '2M': 512 };

/** A mapped page as calls answer it. */
type MappedPage = { gfn: string; size: GttPageSize; dmaAddr: string; ref: number };

/** What an unmap answers: the references that are left, and whose they are where that is not the page named. */
type UnmappedPage = { found: boolean; ref: number; gfn?: string };

const NOT_ATTACHED = 'the vGPU is not attached to a guest';

/** Pages of a range that nobody waits for: a nanosecond each would be a quarter of an hour. */
const ENDLESS_PAGES = 2 ** 40;

/**
 * One Intel vGPU (struct intel_vgpu) and what kvmgt.c does with guest pages, as all kernels have it: a page that the
 * page tables map is pinned, one key for each 4 KiB, and kept in a cache until its references drop, it is
 * invalidated, or the vGPU is closed. Each kernel's own part is in the file named after it. Nothing of GVT-g could
 * be recorded: every fact is read from the source that the files name, drivers/gpu/drm/i915/gvt.
 */
export abstract class Vgpu implements MdevDriver {
  readonly hasDmaUnmap = true;
  readonly dmaUnmapFunction: string = 'intel_vgpu_dma_unmap';
  readonly ownLock: Lock = new Lock('cache_lock');
  /** The guest it is attached to, from open_device on; null: it is not attached. */
  guest: GuestId | null = null;
  protected readonly gfnCache = new PageTree('gfn');
  protected readonly dmaAddrCache = new PageTree('pfn');
  readonly gtt = new Gtt();

  constructor(
    readonly config: GvtGConfig,
    protected readonly gvt: Gvt,
    /** The device's. */
    readonly id: string,
  ) {}

  abstract openDevice(api: DriverApi): KernelStep<Errno | null>;
  abstract closeDevice(api: DriverApi): KernelStep<void>;

  /** gvt_unpin_guest_page. */
  protected abstract unpin(api: DriverApi, gfn: number, pages: number): KernelStep<unknown>;

  /** What intel_gvt_dma_pin_guest_page answers while the vGPU is not attached. */
  protected abstract readonly pinUnattached: Errno;

  /** intel_vgpu_dma_unmap: every page that starts in the range; one that starts below and reaches in is not found. */
  *dmaUnmap(api: DriverApi, iova: bigint, length: bigint): KernelStep<void> {
    yield* api.lock(this.ownLock);
    const first = pageOf(iova);
    const end = first + pageOf(length);
    if (end - first >= ENDLESS_PAGES) api.adviseBug('gvt-walks-everything', iova);
    for (let page = this.gfnCache.lowestFrom(first); page && page.gfn < end; ) {
      yield* this.drop(api, page);
      if (api.worked()) yield RESCHED;
      page = this.gfnCache.lowestFrom(first);
    }
    api.unlock(this.ownLock);
  }

  /**
   * intel_gvt_dma_map_guest_page, for one entry of the page tables.
   *
   * @returns what a pin was answered; EINVAL also where the pages of 2 MiB are not next to each other in the host.
   *   (gtt.c of 6.12 and 7.2 then maps 512 pages of 4 KiB: ppgtt_populate_shadow_entry, split_2MB_gtt_entry.)
   */
  *mapPage(api: DriverApi, gfn: number, size: GttPageSize): KernelStep<Errno | MappedPage> {
    if (this.guest === null) return api.refuse('EINVAL', NOT_ATTACHED);
    yield* api.lock(this.ownLock);
    const page = yield* this.map(api, gfn, size);
    api.unlock(this.ownLock);
    if (typeof page === 'string') return page;
    this.gtt.add(page);
    return shown(page);
  }

  private *map(api: DriverApi, gfn: number, size: GttPageSize): KernelStep<Errno | GuestPage> {
    const known = this.gfnCache.find(gfn);
    if (known?.size === size) {
      known.ref++;
      return known;
    }
    if (known) yield* this.drop(api, known);
    const pfn = yield* this.pin(api, gfn, PAGES[size]);
    if (typeof pfn === 'string') return pfn;
    const page = { gfn, size, pfn, ref: 1 };
    this.gfnCache.add(page);
    this.dmaAddrCache.add(page);
    return page;
  }

  /**
   * intel_gvt_dma_pin_guest_page: a dma-buf's reference to the page at a DMA address (vgpu_gem_get_pages).
   *
   * @returns ENOMEM where there is none
   */
  *pinPage(api: DriverApi, dmaAddr: bigint): KernelStep<Errno | MappedPage> {
    if (this.guest === null) return api.refuse(this.pinUnattached, NOT_ATTACHED);
    yield* api.lock(this.ownLock);
    const page = this.dmaAddrCache.find(pageOf(dmaAddr));
    if (page) page.ref++;
    api.unlock(this.ownLock);
    return page ? shown(page) : api.refuse('ENOMEM', `no page of the cache is at ${hex(dmaAddr)}`);
  }

  /** A dma-buf's reference goes (vgpu_gem_put_pages): by its DMA address, as that of an entry of the page tables. */
  *unpinPage(api: DriverApi, dmaAddr: bigint): KernelStep<UnmappedPage> {
    return released(yield* this.unmapGuestPage(api, pageOf(dmaAddr)), null);
  }

  /**
   * The guest clears an entry of the page tables, or several entries' worth with the same DMA address: the one last
   * written for a page, or one with this DMA address. Only that address decides whose reference goes.
   */
  *unmapPage(api: DriverApi, what: { gfn: number } | { dmaAddr: bigint }): KernelStep<UnmappedPage> {
    if ('dmaAddr' in what) {
      const pfn = pageOf(what.dmaAddr);
      this.gtt.clearAddress(pfn);
      return released(yield* this.unmapGuestPage(api, pfn), null);
    }
    const entry = this.gtt.clearPage(what.gfn);
    return released(entry && (yield* this.unmapGuestPage(api, entry.pfn)), what.gfn);
  }

  /**
   * intel_gvt_dma_unmap_guest_page: one reference less of the page at a DMA address. Two guest pages on one host
   * page share it, and the wrong one may go.
   *
   * @returns the page, or null where there is none or the vGPU is not attached
   */
  private *unmapGuestPage(api: DriverApi, pfn: number): KernelStep<GuestPage | null> {
    if (this.guest === null) return null;
    yield* api.lock(this.ownLock);
    const page = this.dmaAddrCache.find(pfn);
    if (page && --page.ref === 0) yield* this.drop(api, page);
    api.unlock(this.ownLock);
    return page;
  }

  /**
   * intel_gvt_reset_vgpu (VFIO_DEVICE_RESET): the page tables are cleared, and with each 4 KiB entry a reference
   * goes. ppgtt_invalidate_spt passes over 2 MiB entries: their pages stay pinned. So do a dma-buf's.
   *
   * @returns pages of 2 MiB whose entries are gone and whose references are not
   */
  *reset(api: DriverApi): KernelStep<string[]> {
    const entries = [...this.gtt.all()];
    this.gtt.reset();
    for (const { pfn, times } of entries.filter(({ size }) => size === '4K')) {
      for (let i = 0; i < times; i++) {
        yield* this.unmapGuestPage(api, pfn);
        if (api.worked()) yield RESCHED;
      }
    }
    const kept = entries.filter(({ size, gfn }) => size === '2M' && this.gfnCache.find(gfn)?.size === '2M');
    for (const { gfn } of kept) api.adviseBug('gvt-reset-keeps-2m', addressOf(gfn));
    return kept.map(({ gfn }) => frame(gfn));
  }

  /** gvt_pin_guest_page: the first page frame of pages that follow each other in the host, or an errno. */
  private *pin(api: DriverApi, gfn: number, pages: number): KernelStep<Errno | number> {
    let base = 0;
    for (let i = 0; i < pages; i++) {
      const iova = BigInt.asUintN(64, addressOf(gfn + i));
      const pfn = yield* this.pinOne(api, iova);
      if (typeof pfn === 'string') {
        if (i > 0 || this.config.emptyUnpin) yield* this.unpin(api, gfn, i);
        return pfn;
      }
      if (i === 0) base = pfn;
      if (pfn === base + i) continue;
      yield* this.unpin(api, gfn, i + 1);
      return api.refuse('EINVAL', `the page at ${hex(iova)} does not follow the one before it in the host`);
    }
    return base;
  }

  /** vfio_pin_pages of one page: its page frame, or an errno. */
  protected *pinOne(api: DriverApi, iova: bigint): KernelStep<Errno | number> {
    const pinned = yield* api.pinPages(iova, 1, IOMMU_READ_WRITE);
    return typeof pinned === 'string' ? pinned : pinned[0]!;
  }

  /** gvt_dma_unmap_page and __gvt_cache_remove_entry. */
  private *drop(api: DriverApi, page: GuestPage): KernelStep<void> {
    yield* this.unpin(api, page.gfn, PAGES[page.size]);
    this.gfnCache.remove(page);
    this.dmaAddrCache.remove(page);
  }

  /** gvt_cache_destroy: the lowest page first, the lock taken anew for each. */
  protected *destroyCache(api: DriverApi): KernelStep<void> {
    for (;;) {
      yield* api.lock(this.ownLock);
      const page = this.gfnCache.lowestFrom(0);
      if (page) yield* this.drop(api, page);
      api.unlock(this.ownLock);
      if (!page) return;
    }
  }

  /**
   * Attaches it to the guest that its group has.
   *
   * @returns ESRCH without one; EEXIST where another vGPU of the GPU has it (__kvmgt_vgpu_exist)
   */
  protected attachGuest(api: DriverApi): Errno | null {
    const { guest } = api;
    if (guest === null)
      return api.refuse('ESRCH', 'the group has no guest: KVM is required to use Intel vGPU');
    if (this.gvt.has(guest)) return api.refuse('EEXIST', `another vGPU has the guest ${guest}`);
    this.attach(guest);
    return null;
  }

  /**
   * Work that was scheduled has time.
   *
   * @returns whether there was some
   */
  *runWork(_api: DriverApi): KernelStep<boolean> {
    return false;
  }

  private attach(guest: GuestId): void {
    this.guest = guest;
    this.gvt.attached.add(this);
  }

  protected detach(): void {
    this.guest = null;
    this.gvt.attached.delete(this);
  }

  state(most: number, list: ListOf = itemsOf): object {
    const listed = <A, B>(items: Iterable<A>, shows: (item: A) => B) => list(each(upTo(items, most), shows));
    return {
      guest: this.guest,
      entries: this.gfnCache.count,
      cache: listed(this.gfnCache.inOrder(), ({ page }) => shown(page)),
      dmaAddrs: listed(this.dmaAddrCache.inOrder(), ({ page, depth, red }) => ({
        gfn: frame(page.gfn),
        depth,
        red,
      })),
      gtt: listed(this.gtt.all(), ({ gfn, size, pfn, times }) => ({
        gfn: frame(gfn),
        size,
        dmaAddr: hexAddress(pfn),
        times,
      })),
    };
  }

  *restore(state: GvtGState): Generator<void, void> {
    if (state.guest !== null) this.attach(state.guest);
    const pages = new Map<string, GuestPage>();
    for (const [i, { gfn, size, dmaAddr, ref }] of state.cache.entries()) {
      const page = { gfn: Number(gfn), size, pfn: pageOf(BigInt(dmaAddr)), ref };
      this.gfnCache.add(page);
      pages.set(gfn, page);
      if (i % AT_ONCE === 0) yield;
    }
    const inOrder = state.dmaAddrs.map(({ gfn }) => pages.get(gfn)!);
    yield;
    this.dmaAddrCache.restore(inOrder, yield* treeSteps(state.dmaAddrs));
    for (const [i, { gfn, size, dmaAddr, times }] of state.gtt.entries()) {
      this.gtt.add({ gfn: Number(gfn), size, pfn: pageOf(BigInt(dmaAddr)) }, times);
      if (i % AT_ONCE === 0) yield;
    }
  }
}

const frame = (gfn: number) => `0x${gfn.toString(16)}`;

function shown({ gfn, size, pfn, ref }: GuestPage): MappedPage {
  return { gfn: frame(gfn), size, dmaAddr: hexAddress(pfn), ref };
}

/** `named` is the page that was asked for; null: it was a DMA address. */
function released(page: GuestPage | null, named: number | null): UnmappedPage {
  if (!page) return { found: false, ref: 0 };
  return { found: true, ref: page.ref, ...(page.gfn === named ? {} : { gfn: frame(page.gfn) }) };
}
