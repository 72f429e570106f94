import { Budget } from '../budget.ts';
import type { PAUSE } from '../pause.ts';
import { type Counted, UNCOUNTED } from './counted.ts';
import type { Errno } from './errno.ts';
import type { OpenFile } from './files.ts';
import { PROT_WRITE, type ProcessMemory } from './memory.ts';
import { allows, endOf, HUGE_PAGES, type MemoryRegion, overlap, part, zeroPagesIn } from './memory-region.ts';
import { barFrame } from './mm.ts';
import { type PageContent, PageStore } from './page-store.ts';
import { isPageAligned, offsetInPage, PAGE_SIZE, pageOf, TOP, TOP_PAGE } from './pages.ts';

/** What a region is to be; its contents are anonymous memory's unless given. */
type NewRegion = Pick<MemoryRegion, 'prot' | 'kind' | 'neverWritten'> & Partial<MemoryRegion>;

/**
 * Memory that exists here alone (the part of struct mm_struct that holds memory areas).
 *
 * It begins with every address valid, readable and writable; from the first region on only regions are. What can be
 * written counts as written before, so every page of it counts when it is locked.
 */
export class EmulatedMemory implements ProcessMemory {
  /** Lowest first, apart from each other. */
  private areas: MemoryRegion[] = [];
  /** No region was ever made or taken away: every address is valid. */
  private everything = true;
  private readonly budget: Budget;
  /** Contents of anonymous memory, by page of the address space. */
  private readonly anonymous: PageStore;

  /**
   * @param maxResidentPages pages that may have contents other than one repeated byte
   * @param maxRegions regions it may have
   * @param all what the memories of a host may have together
   * @param counted their regions
   */
  constructor(
    private readonly maxResidentPages: number,
    private readonly maxRegions: number,
    private readonly all: Budget | null = null,
    private readonly counted: Pick<Counted, 'add' | 'refuse'> = UNCOUNTED,
  ) {
    this.budget = new Budget(maxResidentPages, all);
    this.anonymous = new PageStore(this.budget);
  }

  get regions(): readonly MemoryRegion[] {
    return this.areas;
  }

  get isPlain(): boolean {
    return this.everything;
  }

  /** Whether there is no memory at all: no region is left, or none yet after an exec. */
  get isEmpty(): boolean {
    return !this.everything && this.areas.length === 0;
  }

  /** The files of the devices whose memory is mapped, lowest first. */
  deviceFiles(): Set<OpenFile> {
    const files = new Set<OpenFile>();
    for (const { bar } of this.areas) if (bar) files.add(bar.file);
    return files;
  }

  /** Leaves it without any memory (exec). */
  clear(): void {
    this.everything = false;
  }

  /** New contents for memory that is not anonymous. */
  newStore(background = 0): PageStore {
    return new PageStore(this.budget, background);
  }

  /** Whether a copy of its pages has room beside it. */
  get fitsTwice(): boolean {
    return this.all?.has(this.budget.used) ?? true;
  }

  /** dup_mm: what a child of a fork has: copies, and the same where memory is shared. Stops now and then. */
  *fork(): Generator<void, EmulatedMemory> {
    const child = new EmulatedMemory(this.maxResidentPages, this.maxRegions, this.all, this.counted);
    child.everything = this.everything;
    yield* this.anonymous.copy(child.budget, child.anonymous);
    const copies = new Map<PageStore, PageStore>([[this.anonymous, child.anonymous]]);
    for (const region of this.areas) {
      const { store } = region;
      if (region.isShared) child.splice(child.areas.length, 0, region);
      else {
        const copy = copies.get(store) ?? (yield* store.copy(child.budget));
        copies.set(store, copy);
        child.splice(child.areas.length, 0, { ...region, store: copy });
      }
    }
    return child;
  }

  /** Nobody can reach it any more: its pages count no longer, but for those that others may share. */
  release(): void {
    const mine = new Set([this.anonymous]);
    for (const { store, isShared } of this.areas) if (!isShared) mine.add(store);
    for (const store of mine) store.clear();
    this.counted.add(-this.areas.length);
  }

  /**
   * mmap at a fixed place: new memory there, whatever was there before.
   *
   * @param start first byte, a multiple of 4096
   * @param size bytes, a multiple of 4096, not 0
   * @returns EINVAL when misaligned, empty or beyond 2^64; ENOMEM beyond the number of regions
   */
  map(start: bigint, size: bigint, region: NewRegion): Errno | null {
    if (!isPageAligned(start) || !isPageAligned(size) || size === 0n || start + size > TOP) return 'EINVAL';
    // Where every address was valid, the first region ends that.
    const first = this.everything;
    const [from, to] = [pageOf(start), pageOf(start + size)];
    if (!first && this.isFull) return 'ENOMEM';
    this.everything = false;
    if (!first) this.takeOut(from, to);
    this.insert({
      isShared: false,
      readOnlyFile: false,
      bar: null,
      store: this.anonymous,
      base: 0,
      ...region,
      start: from,
      size: to - from,
    });
    return null;
  }

  /**
   * munmap.
   *
   * @returns EINVAL for a misaligned or empty range, and for a part of a huge page; ENOMEM beyond
   *   the number of regions
   */
  unmap(start: bigint, size: bigint): Errno | null {
    const to = pageOf(start + size + BigInt(PAGE_SIZE - 1));
    if (!isPageAligned(start) || size === 0n || to > TOP_PAGE) return 'EINVAL';
    this.makeExplicit();
    const from = pageOf(start);
    if (this.splitsHugePage(from, to)) return 'EINVAL';
    if (this.isFull && this.splits(from, to)) return 'ENOMEM';
    this.takeOut(from, to);
    return null;
  }

  /**
   * mprotect.
   *
   * @returns ENOMEM where there is no memory (what lies below is changed), or beyond the number of regions; EACCES for a
   *   file that was not opened for it; EINVAL for a misaligned start, and for a part of a huge page
   */
  protect(start: bigint, size: bigint, prot: number): Errno | null {
    const to = pageOf(start + size + BigInt(PAGE_SIZE - 1));
    if (!isPageAligned(start)) return 'EINVAL';
    if (size === 0n) return null;
    if (to > TOP_PAGE) return 'ENOMEM';
    this.makeExplicit();
    const from = pageOf(start);
    if (this.isFull && this.splits(from, to)) return 'ENOMEM';
    let done = from;
    for (let at = this.indexOf(from); at < this.areas.length && done < to; at++) {
      const region = this.areas[at]!;
      if (region.start > done) return 'ENOMEM';
      const end = Math.min(to, endOf(region));
      if (region.readOnlyFile && prot & PROT_WRITE) return 'EACCES';
      if (region.kind === 'hugetlb' && (done % HUGE_PAGES !== 0 || end % HUGE_PAGES !== 0)) return 'EINVAL';
      const parts = [
        part(region, region.start, done),
        { ...part(region, done, end), prot },
        part(region, end, endOf(region)),
      ].filter(({ size: pages }) => pages > 0);
      this.splice(at, 1, ...parts);
      at += parts.findIndex((one) => one.start === done);
      done = end;
    }
    return done < to ? 'ENOMEM' : null;
  }

  accessiblePages(page: number, count: number, anyOf: number): number {
    if (this.everything) return count;
    let done = 0;
    for (let at = this.indexOf(page); done < count; at++) {
      const region = this.areas[at];
      if (!region || region.start > page + done || !allows(region, anyOf)) return done;
      done = endOf(region) - page;
    }
    return count;
  }

  zeroPages(page: number, count: number): number {
    return this.sum(page, page + count, zeroPagesIn);
  }

  devicePages(page: number, count: number): number {
    return this.sum(page, page + count, ({ kind, ...region }, from, to) =>
      kind === 'device' ? overlap(from, to, region.start, region.start + region.size) : 0,
    );
  }

  deviceFrame(page: number): number | null {
    const region = this.areas[this.indexOf(page)];
    if (!region?.bar || region.start > page) return null;
    return barFrame(region.bar.device.number, page - region.base);
  }

  faultToWrite(page: number, count: number): void {
    if (count === 0) return;
    const to = page + count;
    for (let at = this.indexOf(page); at < this.areas.length && this.areas[at]!.start < to; at++) {
      const region = this.areas[at]!;
      if (!region.neverWritten) continue;
      // A huge zero page that is written to becomes small ones; one region too many, and all of it counts as written.
      const [from, until] = this.isFull
        ? [region.start, endOf(region)]
        : [Math.max(page, region.start), Math.min(to, endOf(region))];
      const parts = [
        part(region, region.start, from),
        { ...part(region, from, until), neverWritten: false },
        part(region, until, endOf(region)),
      ].filter(({ size }) => size > 0);
      this.splice(at, 1, ...parts);
      at += parts.length - 1;
    }
  }

  read(address: bigint, length: number, out: Uint8Array = new Uint8Array(length)): Uint8Array {
    this.eachPage(address, length, ({ store, page, offset, count, done }) => {
      store.read(page, offset, count, out, done);
    });
    return out;
  }

  noRoomFor(address: bigint, length: number): Errno | null {
    const pages = Math.ceil((offsetInPage(address) + length) / PAGE_SIZE);
    if (this.budget.has(pages)) return null;
    let more = 0;
    this.eachPage(address, length, ({ store, page }) => {
      if (!store.has(page)) more++;
    });
    return this.budget.has(more) ? null : 'ENOMEM';
  }

  write(address: bigint, data: Uint8Array): Errno | null {
    if (this.noRoomFor(address, data.length)) return 'ENOMEM';
    this.eachPage(address, data.length, ({ store, page, offset, count, done }) => {
      store.own(page).set(data.subarray(done, done + count), offset);
    });
    return null;
  }

  fill(address: bigint, length: number, byte: number): Errno | null {
    if (this.noRoomFor(address, length)) return 'ENOMEM';
    this.eachPage(address, length, ({ store, page, offset, count }) => {
      if (count < PAGE_SIZE) store.own(page).fill(byte, offset, offset + count);
      else store.set(page, byte);
    });
    return null;
  }

  /** Whether a store is that of anonymous memory. */
  isAnonymous(store: PageStore): boolean {
    return store === this.anonymous;
  }

  /** Sets a page's contents, from a snapshot: one byte throughout, or bytes of its own. */
  restorePage(page: number, content: PageContent): void {
    this.anonymous.set(page, content);
  }

  /** Pages of anonymous memory with contents, lowest first. */
  residentPages(): [number, PageContent][] {
    return this.anonymous.resident();
  }

  /** The same, one by one: the memory stays as it is meanwhile. */
  eachResidentPage(): Generator<[number, PageContent] | typeof PAUSE, void, void> {
    return this.anonymous.eachResident();
  }

  private get isFull(): boolean {
    return this.areas.length >= this.maxRegions || this.counted.refuse(1) !== null;
  }

  private splice(at: number, out: number, ...regions: MemoryRegion[]): void {
    this.areas.splice(at, out, ...regions);
    this.counted.add(regions.length - out);
  }

  /** Where every address is valid, that is said by a region. */
  private makeExplicit(): void {
    if (!this.everything) return;
    this.everything = false;
    this.insert({
      start: 0,
      size: TOP_PAGE,
      prot: 3,
      kind: 'anonymous',
      neverWritten: false,
      store: this.anonymous,
      base: 0,
      isShared: false,
      readOnlyFile: false,
      bar: null,
    });
  }

  /** Place of the first region that ends after a page. */
  private indexOf(page: number): number {
    let [low, high] = [0, this.areas.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(this.areas[middle]!) > page) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private insert(region: MemoryRegion): void {
    this.splice(this.indexOf(region.start), 0, region);
  }

  /** Takes the regions out of [from, to), cutting those that reach beyond, and forgets what was in them. */
  private takeOut(from: number, to: number): void {
    const first = this.indexOf(from);
    let last = first;
    while (last < this.areas.length && this.areas[last]!.start < to) last++;
    const hit = this.areas.slice(first, last);
    const left = hit.flatMap((region) => [
      ...(region.start < from ? [part(region, region.start, from)] : []),
      ...(endOf(region) > to ? [part(region, to, endOf(region))] : []),
    ]);
    this.splice(first, last - first, ...left);
    this.anonymous.deleteRange(from, to);
  }

  /** Whether a range begins and ends within one region, which it would make two. */
  private splits(from: number, to: number): boolean {
    const region = this.areas[this.indexOf(from)];
    return region !== undefined && region.start < from && endOf(region) > to;
  }

  private splitsHugePage(from: number, to: number): boolean {
    const cuts = (page: number, { kind, start }: MemoryRegion) =>
      kind === 'hugetlb' && start < page && page % HUGE_PAGES !== 0;
    const [first, last] = [this.areas[this.indexOf(from)], this.areas[this.indexOf(to)]];
    return (first !== undefined && cuts(from, first)) || (last !== undefined && cuts(to, last));
  }

  private sum(
    from: number,
    to: number,
    count: (region: MemoryRegion, from: number, to: number) => number,
  ): number {
    let found = 0;
    for (let at = this.indexOf(from); at < this.areas.length && this.areas[at]!.start < to; at++) {
      found += count(this.areas[at]!, from, to);
    }
    return found;
  }

  /** The pieces of a range, page by page, each with the store it is in and its place there. */
  private eachPage(
    address: bigint,
    length: number,
    visit: (piece: { store: PageStore; page: number; offset: number; count: number; done: number }) => void,
  ): void {
    let page = pageOf(address);
    let offset = offsetInPage(address);
    let done = 0;
    let at = this.indexOf(page);
    while (done < length) {
      const count = Math.min(PAGE_SIZE - offset, length - done);
      while (at < this.areas.length && endOf(this.areas[at]!) <= page) at++;
      const region = this.areas[at];
      const inside = region !== undefined && region.start <= page;
      const store = inside ? region.store : this.anonymous;
      visit({ store, page: inside ? page - region.base : page, offset, count, done });
      done += count;
      offset = 0;
      page++;
    }
  }
}
