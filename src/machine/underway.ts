import type { Task } from '../kernel/task.ts';

/** What a call that is under way waits for, in words. */
export function waitsForOf({ waitsFor, sleepsUntil, callback }: Task): string {
  if (waitsFor) return waitsFor.name;
  if (sleepsUntil !== null) return 'time to pass';
  return `the ${callback?.call} callback of ${callback?.device}`;
}
