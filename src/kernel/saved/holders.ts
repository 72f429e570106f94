import type { SavedPin } from '../../../schemas/snapshot/type1.ts';
import type { Kernel } from '../kernel.ts';
import { wrong } from './checks.ts';

/** Most references that one counter of the kernel's counts. */
const INT32_MAX = 2 ** 31 - 1;

/** Checks that a number is a device's, be it there or gone. */
export function checkDeviceNumber(kernel: Kernel, number: number, where: string): void {
  if (!kernel.deviceNames.has(number)) {
    throw wrong(where, `is ${number}, which is the number of no device and no former device`);
  }
}

/**
 * The references that the holders of a pin have together, each of whom is a device.
 *
 * @param before what the same counter counts already
 */
export function countHolders(
  kernel: Kernel,
  holders: SavedPin['holders'],
  before: number,
  where: string,
): number {
  let total = 0;
  for (const [device, count] of holders) {
    checkDeviceNumber(kernel, device, where);
    total += count;
  }
  if (new Map(holders).size < holders.length) throw wrong(where, 'has a device twice');
  if (before + total > INT32_MAX) throw wrong(where, `has more than ${INT32_MAX} references`);
  return total;
}
