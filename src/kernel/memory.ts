import type { Errno } from './errno.ts';

/** PROT_READ and PROT_WRITE of memory. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;

/** What a process has at its addresses: emulated, or that of a real process. */
export interface ProcessMemory {
  /** Whether no page of it is the zero page or a device's: then nobody need ask of each. */
  readonly isPlain: boolean;

  /**
   * How many of the pages [page, page+count) a page fault would find accessible, from the first one up to the first
   * that is not: one of the bits of `anyOf` (PROT_*) must be set.
   */
  accessiblePages(page: number, count: number, anyOf: number): number;

  /**
   * How many of the pages [page, page+count) are the shared zero page: memory that nobody ever wrote. An aligned
   * 2 MiB of it is one huge zero page, which is memory like any other (mem-00008, mem-00036).
   */
  zeroPages(page: number, count: number): number;

  /** How many of them are a device's (VM_PFNMAP): they have no struct page, and are never charged (mem-device-pci). */
  devicePages(page: number, count: number): number;

  /** The page frame of a device's page; null for any other. */
  deviceFrame(page: number): number | null;

  /** A page fault that writes to the pages [page, page+count), which are accessible: none is the zero page any more. */
  faultToWrite(page: number, count: number): void;

  /** Why a range cannot be written to, however short the pieces: ENOMEM as of write. */
  noRoomFor(address: bigint, length: number): Errno | null;

  /**
   * Copies bytes out. The range must be accessible.
   *
   * @param out where to, of that length: who reads much piece by piece makes no garbage as large as that
   */
  read(address: bigint, length: number, out?: Uint8Array): Uint8Array;

  /**
   * Copies bytes in. The range must be writable.
   *
   * @returns why not, with nothing written: ENOMEM where the pages would be more than the host holds
   */
  write(address: bigint, data: Uint8Array): Errno | null;

  /** Sets `length` bytes to one value; refused as write is. */
  fill(address: bigint, length: number, byte: number): Errno | null;

  /** exit_mmap: no process has it any more; no page is there from now on. */
  close?(): void;
}
