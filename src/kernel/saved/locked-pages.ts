import type { Kernel } from '../kernel.ts';
import type { Mm } from '../mm.ts';
import { wrong } from './checks.ts';

/** Pages that can have leaked: all of 2^64 bytes. What mappings and pins will have locked can be counted on from there. */
const LEAKED_MAX = 2 ** 52;

/**
 * Checks that each process has at least as many pages locked as the mappings and pins of its containers say. It may
 * have more: kernels leak (a mapping that ends at 2^64, a pin left in a mapping that went).
 */
export function* checkLockedPages({ processes, containers }: Kernel, where: string): Generator<void, void> {
  const charged = new Map<Mm, number>();
  for (const container of containers.values()) {
    const pagesOf = yield* container.chargedPages();
    for (const [mm, pages] of pagesOf) charged.set(mm, (charged.get(mm) ?? 0) + pages);
  }
  for (const [i, process] of [...processes.values()].entries()) {
    const pages = charged.get(process.mm) ?? 0;
    if (process.lockedVm - pages > LEAKED_MAX) {
      const rule = `${LEAKED_MAX} pages more than the ${pages} of mappings and pins of "${process.id}"`;
      throw wrong(`${where}/${i}/lockedVm`, `is ${process.lockedVm}, more than ${rule}`);
    }
    if (process.lockedVm >= pages) continue;
    throw wrong(
      `${where}/${i}/lockedVm`,
      `is ${process.lockedVm}, but mappings and pins of "${process.id}" have ${pages} pages locked`,
    );
  }
}
