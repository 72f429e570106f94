import { hex } from './pages.ts';
import type { Task } from './task.ts';
import type { Device } from './vfio/device.ts';

/** An unmap answered success and removed nothing; why, in words. */
export function adviseNothing(task: Task, iova: bigint, why: string): void {
  task.advise('UNMAPPED_NOTHING', [], iova, () => `nothing was unmapped from ${hex(iova)} on: ${why}`);
}

/** An unmap that called nobody, beside open devices that listen: for a client that waits for a callback. */
export function adviseNoCallback(task: Task, iova: bigint, listening: readonly Device[]): void {
  if (task.invalidations.length > 0 || listening.length === 0) return;
  const devices = listening.map(({ id }) => id);
  const text =
    'no callback was made: no page of what was unmapped is pinned, and the kernel calls only about pages that are';
  task.advise('NO_CALLBACK', devices, iova, text);
}
