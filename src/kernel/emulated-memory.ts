import type { Errno } from './errno.ts';
import { PROT_WRITE, type ProcessMemory } from './memory.ts';
import { addressOf, isPageAligned, offsetInPage, PAGE_SIZE, pageOf, TOP } from './pages.ts';

/** A part of a process's address space that is valid memory. */
interface MemoryRegion {
  /** First page. */
  readonly start: number;
  /** Size in pages. */
  readonly size: number;
  /** PROT_READ, PROT_WRITE. */
  readonly prot: number;
  /** Nobody ever wrote here: every page is the shared zero page (mem-00024). */
  readonly neverWritten: boolean;
}

/** Pages of a transparent huge page, 2 MiB. */
const HUGE_PAGES = 512;

/**
 * Memory that exists here alone.
 *
 * Contents are sparse: a page is absent (zero), one byte that fills it, or 4096 bytes of its own. It counts as
 * written before, so every page counts when it is locked.
 */
export class EmulatedMemory implements ProcessMemory {
  /** From the first region on, only regions are valid; before, every address is, readable and writable. */
  readonly regions: MemoryRegion[] = [];
  private readonly contents = new Map<number, Uint8Array | number>();

  /** @param maxResidentPages pages that may have contents other than one repeated byte */
  constructor(private readonly maxResidentPages: number) {}

  /**
   * mmap of anonymous memory at a fixed place.
   *
   * @param start first byte, a multiple of 4096
   * @param size bytes, a multiple of 4096, not 0
   * @returns EINVAL when misaligned, empty or beyond 2^64; EEXIST when it overlaps a region
   */
  addRegion(start: bigint, size: bigint, prot: number): Errno | null {
    if (!isPageAligned(start) || !isPageAligned(size) || size === 0n || start + size > TOP) return 'EINVAL';
    // What can be written counts as populated; what cannot never was written.
    const region = {
      start: pageOf(start),
      size: pageOf(size),
      prot,
      neverWritten: (prot & PROT_WRITE) === 0,
    };
    const clash = this.regions.some(
      (r) => region.start < r.start + r.size && r.start < region.start + region.size,
    );
    if (clash) return 'EEXIST';
    this.regions.push(region);
    return null;
  }

  accessiblePages(page: number, count: number, anyOf: number): number {
    if (this.regions.length === 0) return count;
    let done = 0;
    while (done < count) {
      const at = page + done;
      const region = this.regions.find((r) => at >= r.start && at < r.start + r.size);
      if (!region || (region.prot & anyOf) === 0) return done;
      done = region.start + region.size - page;
    }
    return count;
  }

  zeroPages(page: number, count: number): number {
    let found = 0;
    for (const { start, size, neverWritten } of this.regions) {
      if (!neverWritten) continue;
      const end = start + size;
      const hugeFrom = Math.ceil(start / HUGE_PAGES) * HUGE_PAGES;
      const hugeTo = Math.floor(end / HUGE_PAGES) * HUGE_PAGES;
      found += overlap(page, page + count, start, end);
      if (hugeFrom < hugeTo) found -= overlap(page, page + count, hugeFrom, hugeTo);
    }
    return found;
  }

  read(address: bigint, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.eachPage(address, length, (page, offset, count, done) => {
      const content = this.contents.get(page);
      if (content === undefined) return;
      if (typeof content === 'number') out.fill(content, done, done + count);
      else out.set(content.subarray(offset, offset + count), done);
    });
    return out;
  }

  write(address: bigint, data: Uint8Array): Errno | null {
    if (!this.hasRoom(address, data.length)) return 'ENOMEM';
    this.eachPage(address, data.length, (page, offset, count, done) => {
      this.ownPage(page).set(data.subarray(done, done + count), offset);
    });
    return null;
  }

  fill(address: bigint, length: number, byte: number): Errno | null {
    if (!this.hasRoom(address, length)) return 'ENOMEM';
    this.eachPage(address, length, (page, offset, count) => {
      if (count < PAGE_SIZE) this.ownPage(page).fill(byte, offset, offset + count);
      else if (byte === 0) this.contents.delete(page);
      else this.contents.set(page, byte);
    });
    return null;
  }

  /** Sets a page's contents, from a snapshot: one byte throughout, or bytes of its own. */
  restorePage(page: number, content: Uint8Array | number): void {
    this.contents.set(page, content);
  }

  /** Every page with contents, lowest first: the byte it is full of, however it came there, or its bytes. */
  residentPages(): [number, Uint8Array | number][] {
    return [...this.eachResidentPage()];
  }

  /** The same, one by one: the memory stays as it is meanwhile. */
  *eachResidentPage(): Generator<[number, Uint8Array | number], void, void> {
    for (const page of [...this.contents.keys()].sort((a, b) => a - b)) {
      const content = this.contents.get(page)!;
      yield [page, typeof content === 'number' ? content : byteOf(content)];
    }
  }

  private hasRoom(address: bigint, length: number): boolean {
    const pages = Math.ceil((offsetInPage(address) + length) / PAGE_SIZE);
    if (this.contents.size + pages <= this.maxResidentPages) return true;
    let added = 0;
    const first = pageOf(address);
    for (let i = 0; i < pages; i++) if (!this.contents.has(first + i)) added++;
    return this.contents.size + added <= this.maxResidentPages;
  }

  private ownPage(page: number): Uint8Array {
    const content = this.contents.get(page);
    if (content instanceof Uint8Array) return content;
    const own = new Uint8Array(PAGE_SIZE);
    if (content !== undefined) own.fill(content);
    this.contents.set(page, own);
    return own;
  }

  private eachPage(
    address: bigint,
    length: number,
    visit: (page: number, offset: number, count: number, done: number) => void,
  ): void {
    let page = pageOf(address);
    let offset = offsetInPage(address);
    let done = 0;
    while (done < length) {
      const count = Math.min(PAGE_SIZE - offset, length - done);
      visit(page, offset, count, done);
      done += count;
      offset = 0;
      page++;
    }
  }
}

/** How many pages two ranges [from, to) share. */
function overlap(from: number, to: number, start: number, end: number): number {
  return Math.max(0, Math.min(to, end) - Math.max(from, start));
}

/** The byte that all of these are; themselves where they differ. */
function byteOf(bytes: Uint8Array): Uint8Array | number {
  const first = bytes[0]!;
  return bytes.every((byte) => byte === first) ? first : bytes;
}

/** Address in bytes of a region's start and size, for listings. */
export function regionBytes(region: MemoryRegion): { start: bigint; size: bigint } {
  return { start: addressOf(region.start), size: addressOf(region.size) };
}
