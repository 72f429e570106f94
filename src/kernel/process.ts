import { EmulatedMemory } from './emulated-memory.ts';
import type { Errno } from './errno.ts';
import type { ProcessMemory } from './memory.ts';
import { offsetInPage, PAGE_SIZE, pageOf, TOP_PAGE } from './pages.ts';

/** Pid of process 0, and the distance between processes: more than calls may be under way at once. */
const FIRST_PID = 1000;
const PIDS_PER_PROCESS = 2048;

/** First host page frame of process 0, and the distance between processes, in pages. */
const PFN_BASE = 0x100000;
/** Host page frame of the shared zero page (`my_zero_pfn`). */
export const ZERO_PFN = 0xfff;
const PFN_PER_PROCESS = 2 ** 36;

/** A user-space process: its memory, its locked_vm and its limit (the kernel's mm, task and rlimit in one). */
export class Process {
  /** mm->locked_vm, pages. */
  lockedVm = 0;
  /** mm->pinned_vm, pages: only iommufd counts in it. */
  pinnedVm = 0;
  /** RLIMIT_MEMLOCK in bytes; null is RLIM_INFINITY. */
  memlock: bigint | null = null;
  /** Whether the process has CAP_IPC_LOCK, which lifts RLIMIT_MEMLOCK. */
  capIpcLock = true;

  /**
   * @param id the name clients use
   * @param number counter, from 0
   */
  constructor(
    readonly id: string,
    readonly number: number,
    readonly memory: ProcessMemory,
  ) {}

  /** Its memory where that is emulated; null where it is a real process's. */
  get emulated(): EmulatedMemory | null {
    return this.memory instanceof EmulatedMemory ? this.memory : null;
  }

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
    return PFN_BASE + this.number * PFN_PER_PROCESS + page;
  }

  /** Copies bytes out. The range must be accessible. */
  read(address: bigint, length: number): Uint8Array {
    return this.memory.read(address, length);
  }

  /** Copies bytes in; refused as ProcessMemory says. */
  write(address: bigint, data: Uint8Array): Errno | null {
    return this.memory.write(address, data);
  }

  /** Sets bytes to one value; refused as ProcessMemory says. */
  fill(address: bigint, length: number, byte: number): Errno | null {
    return this.memory.fill(address, length, byte);
  }
}
