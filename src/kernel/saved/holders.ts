import type { SavedPin } from '../../../schemas/snapshot/type1.ts';
import type { Kernel } from '../kernel.ts';
import type { ListOf } from '../vfio/container.ts';
import { wrong } from './checks.ts';

/** Most references that one counter of the kernel's counts. */
const INT32_MAX = 2 ** 31 - 1;

/** Checks that a number is a device's, be it there or gone. */
export function checkDeviceNumber(kernel: Kernel, number: number, where: string): void {
  if (!kernel.deviceNames.has(number)) {
    throw wrong(where, `is ${number}, which is the number of no device and no former device`);
  }
}

/** Who holds a pin: references by device number, earliest holder first, and all of them together. */
export interface Holders {
  readonly counts: Map<number, number>;
  readonly total: number;
}

/** Holders that are counted, or shown, in one go. */
const AT_ONCE = 1024;

/** Who holds a pin, as it is saved: of many a list that is made as it is written. */
export function saveHolders(holders: ReadonlyMap<number, number>, list: ListOf): SavedPin['holders'] {
  return holders.size < AT_ONCE ? [...holders] : list(holders);
}

/**
 * The holders of a pin, each of whom is a device, stopping now and then.
 *
 * @param before what the same counter counts already
 */
export function* countHolders(
  kernel: Kernel,
  holders: SavedPin['holders'],
  before: number,
  where: string,
): Generator<void, Holders> {
  const counts = new Map<number, number>();
  let total = 0;
  for (const [device, count] of holders) {
    checkDeviceNumber(kernel, device, where);
    counts.set(device, count);
    total += count;
    if (counts.size % AT_ONCE === 0) yield;
  }
  if (counts.size < holders.length) throw wrong(where, 'has a device twice');
  if (before + total > INT32_MAX) throw wrong(where, `has more than ${INT32_MAX} references`);
  return { counts, total };
}
