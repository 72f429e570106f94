import type { SavedLock } from '../../../schemas/saved.ts';
import type { Kernel } from '../kernel.ts';
import type { Lock } from '../lock.ts';
import { eventOfReport, type SplatReport, splatReport } from '../splat-report.ts';
import type { SplatEvent } from '../splats.ts';
import { Task } from '../task.ts';
import { canonical } from './canonical.ts';
import { WrongState, wrong } from './checks.ts';

/** Calls that hold the locks of a host for ever, at most. */
const DEAD_MAX = 65_536;

/** A lock while no call is pending: free, or held for ever by who is dead. */
export function saveLock({ owner, readers, wedgedBy }: Lock): SavedLock {
  if (!owner && readers.size === 0) return null;
  if (!wedgedBy) throw new Error('a lock is held while no call is pending');
  return {
    owner: owner?.call ?? null,
    // None ever lets go of it: which calls they are is all that is to be known.
    readers: [...new Set([...readers].map(({ call }) => call))].sort(),
    splat: canonical(splatReport(wedgedBy)) as NonNullable<SavedLock>['splat'],
  };
}

/**
 * Puts a lock into the hands of dead tasks again.
 *
 * @param shareable whether readers may hold it together
 */
export function restoreLock(
  kernel: Kernel,
  lock: Lock,
  saved: SavedLock,
  where: string,
  shareable = false,
): void {
  if (saved === null) return;
  const { owner, readers, splat } = saved;
  if ((owner === null) === (readers.length === 0)) {
    throw wrong(where, 'must have an owner or readers, and not both');
  }
  if (readers.length > 0 && !shareable)
    throw wrong(`${where}/readers`, 'must be empty: this lock is a mutex');
  const names = new Set(readers);
  // A kernel that is being restored has made no other calls.
  if (kernel.callCount + names.size > DEAD_MAX) {
    throw new WrongState(`${where} makes it more than ${DEAD_MAX} calls that hold locks for ever`, true);
  }
  const event = eventOfReport(splat as SplatReport);
  lock.wedgedBy = event;
  if (owner !== null) lock.owner = deadTask(kernel, owner, lock, event);
  for (const name of names) lock.readers.add(deadTask(kernel, name, lock, event));
}

function deadTask(kernel: Kernel, call: string, lock: Lock, splat: SplatEvent): Task {
  const task = new Task(kernel, call, undefined);
  task.end = { how: 'wedged', splat };
  task.hold(lock);
  return task;
}
