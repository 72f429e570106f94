import type { SavedProcess } from '../../schemas/snapshot.ts';
import type { KernelLimits } from '../kernel/kernel.ts';
import { PAGE_SIZE, pageOf } from '../kernel/pages.ts';
import type { Process } from '../kernel/process.ts';
import { checkAscending, WrongState, wrong } from '../kernel/saved/checks.ts';

/** A fresh process gets its memory and limits. */
export function* restoreProcess(
  process: Process,
  saved: SavedProcess,
  limits: KernelLimits,
  where: string,
): Generator<void, void> {
  const memory = process.emulated!;
  process.setMemlock(saved.memlock === null ? null : BigInt(saved.memlock));
  process.lockedVm = saved.lockedVm;
  process.pinnedVm = saved.pinnedVm ?? 0;
  for (const [i, { start, size, prot }] of saved.regions.entries()) {
    const errno = memory.addRegion(BigInt(start), BigInt(size), prot);
    if (!errno) continue;
    const why = errno === 'EEXIST' ? 'overlaps another region' : 'reaches beyond 2^64';
    throw wrong(`${where}/regions/${i}`, `(${start}, size ${size}) ${why}`);
  }
  const { contents } = saved;
  if (contents.length > limits.residentPages) {
    throw new WrongState(
      `${where}/contents has ${contents.length} pages; a process holds at most ${limits.residentPages}`,
      true,
    );
  }
  checkAscending(
    contents.map(({ page }) => BigInt(page)),
    `${where}/contents`,
  );
  for (const [i, { page, content }] of contents.entries()) {
    const bytes = typeof content === 'number' ? content : Buffer.from(content, 'base64');
    if (typeof bytes !== 'number' && bytes.length !== PAGE_SIZE) {
      throw wrong(`${where}/contents/${i}/content`, `has ${bytes.length} bytes, but must have ${PAGE_SIZE}`);
    }
    if (i % 256 === 0) yield;
    // A copy of its own: a small Buffer shares its memory with others.
    memory.restorePage(pageOf(BigInt(page)), typeof bytes === 'number' ? bytes : new Uint8Array(bytes));
  }
}
