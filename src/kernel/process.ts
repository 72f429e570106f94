import type { Errno } from './errno.ts';
import { addressOf, isPageAligned, offsetInPage, PAGE_SIZE, pageOf, TOP, TOP_PAGE } from './pages.ts';

/** PROT_READ and PROT_WRITE of a memory region. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;

/** A part of a process's address space that is valid memory. */
export interface MemoryRegion {
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

/** Pid of process 0, and the distance between processes: more than calls may be under way at once. */
const FIRST_PID = 1000;
const PIDS_PER_PROCESS = 2048;

/** First host page frame of process 0, and the distance between processes, in pages. */
const PFN_BASE = 0x100000;
/** Host page frame of the shared zero page (`my_zero_pfn`). */
export const ZERO_PFN = 0xfff;
const PFN_PER_PROCESS = 2 ** 36;

/**
 * A user-space process: its memory, its locked_vm and its limit (the kernel's mm, task and rlimit in one).
 *
 * Contents are sparse: a page is absent (zero), one byte that fills it, or 4096 bytes of its own. Emulated
 * memory counts as written before, so every page counts when it is locked.
 */
export class Process {
  /** From the first region on, only regions are valid; before, every address is, readable and writable. */
  readonly regions: MemoryRegion[] = [];
  private readonly contents = new Map<number, Uint8Array | number>();
  /** mm->locked_vm, pages. */
  lockedVm = 0;
  /** RLIMIT_MEMLOCK in bytes; null is RLIM_INFINITY. */
  memlock: bigint | null = null;
  /** Whether the process has CAP_IPC_LOCK, which lifts RLIMIT_MEMLOCK. */
  capIpcLock = true;

  /**
   * @param id the name clients use
   * @param number counter, from 0
   * @param maxResidentPages pages that may have contents other than one repeated byte
   */
  constructor(
    readonly id: string,
    readonly number: number,
    private readonly maxResidentPages: number,
  ) {}

  /** Its name as the console has it (`comm`, at most 15 characters). */
  get comm(): string {
    return this.number === 0 ? 'vfio-host' : this.id.slice(0, 15);
  }

  /** Its pid; those above it up to the next process's are its threads'. */
  get pid(): number {
    return FIRST_PID + this.number * PIDS_PER_PROCESS;
  }

  /** RLIMIT_MEMLOCK in pages, rounded down. */
  get memlockPages(): number {
    return this.memlock === null ? Number.POSITIVE_INFINITY : pageOf(this.memlock);
  }

  /** A number also drops CAP_IPC_LOCK; unlimited (null) is the state a process starts in. */
  setMemlock(bytes: bigint | null): void {
    this.memlock = bytes;
    this.capIpcLock = bytes === null;
  }

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

  /** Whether a page fault would find the page accessible: one of the bits of `anyOf` (PROT_*) is set. */
  allows(page: number, anyOf: number): boolean {
    if (this.regions.length === 0) return true;
    for (const r of this.regions) {
      if (page >= r.start && page < r.start + r.size) return (r.prot & anyOf) !== 0;
    }
    return false;
  }

  /** How many of the pages [page, page+count) are accessible so, from the first one up to a fault. */
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

  /**
   * Whether a page is the shared zero page: memory that nobody ever wrote. An aligned 2 MiB of it is one huge zero
   * page, which is memory like any other (mem-00008, mem-00036).
   */
  isZeroPage(page: number): boolean {
    return this.zeroPages(page, 1) === 1;
  }

  /** How many of the pages [page, page+count) are the shared zero page. */
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

  /** How many of the bytes [address, address+length) a copy would reach before it faults. */
  accessibleBytes(address: bigint, length: number, anyOf: number): number {
    const offset = offsetInPage(address);
    const pages = Math.ceil((offset + length) / PAGE_SIZE);
    const fit = Math.min(pages, TOP_PAGE - pageOf(address));
    const reached = this.accessiblePages(pageOf(address), fit, anyOf) * PAGE_SIZE - offset;
    return Math.max(0, Math.min(length, reached));
  }

  /** Host page frame of a page: one fixed frame a page, neighbours next to each other. */
  pfnOf(page: number): number {
    return PFN_BASE + this.number * PFN_PER_PROCESS + page;
  }

  /** Copies bytes out. The range must be valid memory. */
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

  /**
   * Copies bytes in. The range must be valid memory.
   *
   * @returns ENOMEM, with nothing written, when the pages would be more than the host holds
   */
  write(address: bigint, data: Uint8Array): Errno | null {
    if (!this.hasRoom(address, data.length)) return 'ENOMEM';
    this.eachPage(address, data.length, (page, offset, count, done) => {
      this.ownPage(page).set(data.subarray(done, done + count), offset);
    });
    return null;
  }

  /** Sets `length` bytes to one value; ENOMEM as for write. */
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
    return [...this.contents]
      .sort(([a], [b]) => a - b)
      .map(([page, content]) => [page, typeof content === 'number' ? content : byteOf(content)]);
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
