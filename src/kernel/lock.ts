import type { SplatEvent } from './splats.ts';
import type { Task } from './task.ts';

/** A kernel mutex, or a read-write semaphore. It goes to those who wait in order of arrival. */
export class Lock {
  /** Who holds it alone. */
  owner: Task | null = null;
  /** Who holds it together, as readers. */
  readonly readers = new Set<Task>();
  readonly waiters: { task: Task; shared: boolean }[] = [];
  /** The splat of the dead or deadlocked task that holds the lock for ever. */
  wedgedBy: SplatEvent | null = null;

  constructor(readonly name: string) {}

  /** Refuses a call, before it changes anything, that would need this lock, where it is held for ever. */
  refuseIfWedged(): void {
    if (this.wedgedBy) throw new Wedged(this, this.wedgedBy);
  }
}

/** Thrown where a call needs a lock that will never be released: the kernel's caller would hang. */
export class Wedged extends Error {
  /**
   * @param keepsLocks the caller hangs in the middle: what it holds is held for ever as well
   */
  constructor(
    readonly lock: Lock,
    readonly splat: SplatEvent,
    readonly keepsLocks: boolean = false,
  ) {
    super(`${lock.name} is held for ever`);
  }
}
