import { settleModelHosts } from '../drivers/index.ts';
import type { HostCodec } from '../drivers/model.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { wrong } from '../kernel/saved/checks.ts';
import { restoreLock, saveLock } from '../kernel/saved/lock.ts';
import { tooManyPins } from './drivers.ts';

/** How models save and restore what is the kernel's. */
export function codecOf(kernel: Kernel, where: string): HostCodec {
  return {
    saveLock,
    restoreLock: (lock, saved, field, shareable) =>
      restoreLock(kernel, lock, saved, `${where}/${field}`, shareable),
    checkPins(count, field) {
      const { pins } = kernel.limits;
      if (count > pins) throw tooManyPins(`${where}/${field}`, count, pins);
    },
  };
}

/** Restores what the devices of a model share as far as it needs the devices, which are there now; stops now and then. */
export function* settleModels(kernel: Kernel, where: string): Generator<void, void> {
  const found = yield* settleModelHosts(kernel, (type) => codecOf(kernel, `${where}/${type}`));
  if (!found) return;
  const { field, rule } = found.wrong;
  throw wrong([where, found.type, ...(field ? [field] : [])].join('/'), rule);
}
