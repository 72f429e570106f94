import type { RegionKind } from '../../schemas/kinds.ts';
import type { OpenFile } from './files.ts';
import { PROT_WRITE } from './memory.ts';
import type { PageStore } from './page-store.ts';
import { addressOf } from './pages.ts';
import type { Device } from './vfio/device.ts';

/** Pages of a huge page, 2 MiB: transparent, or of hugetlb. */
export const HUGE_PAGES = 512;

/** A BAR of a device that is mapped: the mapping holds the device's file. */
interface MappedBar {
  readonly device: Device;
  readonly file: OpenFile;
}

/** A part of a process's address space that is valid memory (struct vm_area_struct). */
export interface MemoryRegion {
  /** First page. */
  readonly start: number;
  /** Size in pages. */
  readonly size: number;
  /** PROT_READ, PROT_WRITE. */
  readonly prot: number;
  readonly kind: RegionKind;
  /** Nobody ever wrote here: every page is the shared zero page (mem-00024). */
  readonly neverWritten: boolean;
  /** Its contents; page p of the region is page p - base of them. */
  readonly store: PageStore;
  readonly base: number;
  /** Whether a fork's child has the same memory rather than a copy. */
  readonly isShared: boolean;
  /** A file that was opened for reading, mapped shared: it may never be written (no VM_MAYWRITE). */
  readonly readOnlyFile: boolean;
  readonly bar: MappedBar | null;
}

/** The page just past a region. */
export function endOf({ start, size }: MemoryRegion): number {
  return start + size;
}

/** The pages [from, to) of a region. */
export function part(region: MemoryRegion, from: number, to: number): MemoryRegion {
  return { ...region, start: from, size: to - from };
}

/** Whether pages of a region are there to be used so: a BAR's only while the device decodes memory. */
export function allows({ prot, bar }: MemoryRegion, anyOf: number): boolean {
  return (prot & anyOf) !== 0 && (bar === null || bar.device.memoryEnabled);
}

/** Pages of a region within [from, to) that are the shared zero page: in an aligned 2 MiB it is one huge page. */
export function zeroPagesIn(region: MemoryRegion, from: number, to: number): number {
  if (!region.neverWritten) return 0;
  const end = endOf(region);
  const hugeFrom = Math.ceil(region.start / HUGE_PAGES) * HUGE_PAGES;
  const hugeTo = Math.floor(end / HUGE_PAGES) * HUGE_PAGES;
  return overlap(from, to, region.start, end) - overlap(from, to, hugeFrom, hugeTo);
}

/** How many pages two ranges [from, to) share. */
export function overlap(from: number, to: number, start: number, end: number): number {
  return Math.max(0, Math.min(to, end) - Math.max(from, start));
}

/** What can be written counts as populated; anonymous memory that cannot never was written. */
export function isNeverWritten(kind: RegionKind, prot: number): boolean {
  return kind === 'anonymous' && (prot & PROT_WRITE) === 0;
}

/** Address in bytes of a region's start and size, for listings. */
export function regionBytes(region: MemoryRegion): { start: bigint; size: bigint } {
  return { start: addressOf(region.start), size: addressOf(region.size) };
}
