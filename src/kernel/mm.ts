import { EmulatedMemory } from './emulated-memory.ts';
import type { Errno } from './errno.ts';
import type { ProcessMemory } from './memory.ts';
import { offsetInPage, PAGE_SIZE, pageOf, TOP_PAGE } from './pages.ts';

/** First host page frame of the first memory, and the distance between memories, in pages. */
const PFN_BASE = 0x100000;
/** Host page frame of the shared zero page (`my_zero_pfn`). */
export const ZERO_PFN = 0xfff;
/** Host page frames of BARs, below those of memory: 1 MiB a device. */
const BAR_PFN_BASE = 0x80000;
export const BAR_PAGES = 256;
const PFN_PER_MM = 2 ** 36;

/** The page frame of a page of a device's BAR 0. */
export function barFrame(device: number, page: number): number {
  return BAR_PFN_BASE + ((device * BAR_PAGES + page) % (PFN_BASE - BAR_PFN_BASE));
}

/** Whether a page frame is a device's. */
export function isBarFrame(pfn: number): boolean {
  return pfn >= BAR_PFN_BASE && pfn < PFN_BASE;
}

/** The memory of a process, from its fork or exec to its exit or next exec (struct mm_struct). */
export class Mm {
  /** `locked_vm`, pages. */
  lockedVm = 0;
  /** `pinned_vm`, pages: only iommufd counts in it. */
  pinnedVm = 0;
  /** Whether a process has it (`mm_users`): where not, nobody can reach its pages any more. */
  alive = true;

  /** @param number counter, from 0 */
  constructor(
    readonly number: number,
    readonly memory: ProcessMemory,
  ) {}

  /** mmput: its last process has it no more. */
  drop(): void {
    this.alive = false;
    this.memory.close?.();
  }

  /** Its memory where that is emulated; null where it is a real process's. */
  get emulated(): EmulatedMemory | null {
    return this.memory instanceof EmulatedMemory ? this.memory : null;
  }

  /** Whether a page fault would find the page accessible: one of the bits of `anyOf` (PROT_*) is set. */
  allows(page: number, anyOf: number): boolean {
    return this.memory.accessiblePages(page, 1, anyOf) === 1;
  }

  /** How many of the pages [page, page+count) are accessible so, from the first one up to a fault. */
  accessiblePages(page: number, count: number, anyOf: number): number {
    return this.memory.accessiblePages(page, count, anyOf);
  }

  /**
   * Whether a page is the shared zero page: memory that nobody ever wrote. An aligned 2 MiB of it is one huge zero
   * page, which is memory like any other (mem-00008, mem-00036).
   */
  isZeroPage(page: number): boolean {
    return this.zeroPages(page, 1) === 1;
  }

  /** How many of the pages [page, page+count) are a device's. */
  devicePages(page: number, count: number): number {
    return this.memory.devicePages(page, count);
  }

  /** How many of the pages [page, page+count) are the shared zero page. */
  zeroPages(page: number, count: number): number {
    return this.memory.zeroPages(page, count);
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
    return PFN_BASE + this.number * PFN_PER_MM + page;
  }

  /** Whether a host page frame is one of its pages', as far as frames of two memories do not meet. */
  hasFrame(pfn: number): boolean {
    const page = pfn - this.pfnOf(0);
    return page >= 0 && page < PFN_PER_MM;
  }

  /** Copies bytes out, as ProcessMemory says. */
  read(address: bigint, length: number, out?: Uint8Array): Uint8Array {
    return this.memory.read(address, length, out);
  }

  /** Why a range cannot be written to, as ProcessMemory says. */
  noRoomFor(address: bigint, length: number): Errno | null {
    return this.memory.noRoomFor(address, length);
  }

  /** Copies bytes in; refused as ProcessMemory says. */
  write(address: bigint, data: Uint8Array): Errno | null {
    this.faultToWrite(address, data.length);
    return this.memory.write(address, data);
  }

  /** Sets bytes to one value; refused as ProcessMemory says. */
  fill(address: bigint, length: number, byte: number): Errno | null {
    this.faultToWrite(address, length);
    return this.memory.fill(address, length, byte);
  }

  private faultToWrite(address: bigint, length: number): void {
    if (length === 0) return;
    const page = pageOf(address);
    this.memory.faultToWrite(page, pageOf(address + BigInt(length - 1)) - page + 1);
  }
}
