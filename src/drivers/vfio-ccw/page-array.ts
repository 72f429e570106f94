import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { addressOf, offsetInPage, PAGE_SIZE, pageOf } from '../../kernel/pages.ts';
import type { KernelStep } from '../../kernel/task.ts';

/** IOMMU_READ | IOMMU_WRITE. */
const READ_WRITE = 3;
const PAGE = BigInt(PAGE_SIZE);

/** Keys that follow each other page by page: pinned, and unpinned, in one call. */
export interface PageRun {
  /** Key of the first page, bytes. */
  readonly iova: bigint;
  readonly npage: number;
}

/** Pages that the bytes [address, address+length) touch. */
export function pagesSpanned(address: bigint, length: number): number {
  return Math.ceil((offsetInPage(address) + length) / PAGE_SIZE);
}

/** The page's own address. */
export function pageAligned(address: bigint): bigint {
  return address - BigInt(offsetInPage(address));
}

/** Groups keys into runs, as page_array_pin does. */
export function runsOf(keys: readonly bigint[]): PageRun[] {
  const runs: { iova: bigint; npage: number }[] = [];
  for (const key of keys) {
    const last = runs.at(-1);
    if (last && BigInt.asUintN(64, last.iova + BigInt(last.npage) * PAGE) === key) last.npage++;
    else runs.push({ iova: key, npage: 1 });
  }
  return runs;
}

/**
 * page_array_pin: pins every run for reading and writing, or none.
 *
 * @returns the page frames in order, or what the first refused pin answered
 */
export function* pinRuns(api: DriverApi, runs: readonly PageRun[]): KernelStep<Errno | number[]> {
  const frames: number[] = [];
  for (const [i, { iova, npage }] of runs.entries()) {
    const pinned = yield* api.pinPages(iova, npage, READ_WRITE);
    if (typeof pinned === 'string') {
      yield* unpinRuns(api, runs.slice(0, i));
      return pinned;
    }
    frames.push(...pinned);
  }
  return frames;
}

/** page_array_unpin. */
export function* unpinRuns(api: DriverApi, runs: readonly PageRun[]): KernelStep<void> {
  for (const { iova, npage } of runs) yield* api.unpinPages(iova, npage);
}

/** page_array_iova_pinned: whether a run has a page number within that of the range's bytes. */
export function touches({ iova, npage }: PageRun, rangeIova: bigint, length: bigint): boolean {
  const first = pageOf(rangeIova);
  const last = pageOf(rangeIova + length - 1n);
  return pageOf(iova) <= last && pageOf(iova) + npage - 1 >= first;
}

/** Keys of the pages that [address, address+length) touches: the address itself, then 4096 further each. */
export function keysOf(address: bigint, length: number): bigint[] {
  return Array.from({ length: pagesSpanned(address, length) }, (_, i) =>
    BigInt.asUintN(64, address + addressOf(i)),
  );
}
