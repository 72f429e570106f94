import { AdvisoryList } from './advisories.ts';
import type { NotifyResult } from './driver.ts';
import type { Errno } from './errno.ts';
import type { LogEntry } from './splats.ts';

/** One delivery of dma_unmap to one device. */
export interface Invalidation {
  device: string;
  /** The mapping's range, bytes. */
  iova: bigint;
  length: bigint;
  /** Visit of this mapping, 1 to 11. */
  attempt: number;
  /** Invalidation round within this unmap, from 1. */
  round: number;
}

/** What a driver outside is called for. */
export type CallbackName = 'dma-unmap' | 'open-device' | 'close-device';

/** A callback that waits for the world outside the kernel. */
export interface PendingCallback {
  /**
   * `held`: a synthetic driver's callback that stopped before it did anything.
   * `outside`: a driver outside must be called, or complete-callback says that it was.
   */
  readonly mode: 'held' | 'outside';
  readonly call: CallbackName;
  readonly device: string;
  /** With dma-unmap. */
  readonly invalidation: Invalidation | null;
}

/** What a driver outside answered: nothing much, unless it says so. */
export interface CallbackReturn {
  /** open-device: the errno it fails with. */
  errno?: Errno;
  /** dma-unmap on a notifier chain: NOTIFY_BAD or NOTIFY_STOP end the chain. */
  notify?: NotifyResult;
}

/** Where a kernel operation stops: at a lock somebody holds, or in a callback to the outside. */
export type Suspension = { wait: Lock; shared?: boolean } | { callback: PendingCallback };

/** A kernel operation that may stop on its way. Built-in drivers run inside it; it is resumed with no value. */
export type KernelStep<T> = Generator<Suspension, T, void>;

/** A kernel mutex, or a read-write semaphore. It goes to those who wait in order of arrival. */
export class Lock {
  /** Who holds it alone. */
  owner: Task | null = null;
  /** Who holds it together, as readers. */
  readonly readers = new Set<Task>();
  readonly waiters: { task: Task; shared: boolean }[] = [];
  /** The splat of the dead or deadlocked task that holds the lock for ever. */
  wedgedBy: LogEntry | null = null;

  constructor(readonly name: string) {}
}

/** Thrown where a call needs a lock that will never be released: the kernel's caller would hang. */
export class Wedged extends Error {
  /**
   * @param keepsLocks the caller hangs in the middle: what it holds is held for ever as well
   */
  constructor(
    readonly lock: Lock,
    readonly splat: LogEntry,
    readonly keepsLocks: boolean = false,
  ) {
    super(`${lock.name} is held for ever`);
  }
}

/** Thrown by BUG_ON: the task is dead and keeps the locks it holds. */
export class KernelBug extends Error {
  constructor(readonly splat: LogEntry) {
    super('BUG_ON');
  }
}

/** How a task ended. `value` is there where it returned. */
export type TaskEnd<T> =
  | { how: 'returned'; value: T }
  | { how: 'killed'; splat: LogEntry }
  | { how: 'wedged'; splat: LogEntry }
  | { how: 'deadlocked'; errno: Errno; splat: LogEntry }
  | { how: 'crashed'; error: unknown };

/** A pin that is in the way of an unmap, for the BUG_ON's log line. */
export interface LeftoverPin {
  iova: bigint;
  pfn: number;
  refCount: number;
  /** Holders by device id and how many references each has. */
  devices: { device: string; count: number }[];
}

/** What a splat is about, beyond what the kernel prints. */
export interface SplatDetails {
  container?: string | undefined;
  device?: string | undefined;
  /** Bytes. */
  iova?: bigint;
  size?: bigint;
  attempt?: number;
  /** The pins that were left (the first ones, when there are many). */
  pins?: LeftoverPin[];
  /** How many pins were left in all. */
  pinCount?: number;
}

/** Something the kernel printed, and what it was about. */
export interface SplatEvent {
  readonly entry: LogEntry;
  readonly details: SplatDetails;
}

const NOTHING_SAID: CallbackReturn = {};

/** One call on its way through the kernel: what it printed, whom it called, which locks it holds. */
export class Task<T = unknown> {
  readonly splats: SplatEvent[] = [];
  readonly advisories: AdvisoryList = new AdvisoryList();
  readonly invalidations: Invalidation[] = [];
  readonly held: Lock[] = [];
  /** Why the call was refused last, in words: which value broke which rule. */
  why: string | null = null;
  waitsFor: Lock | null = null;
  callback: PendingCallback | null = null;
  /** What the last callback to the outside was answered. */
  callbackReturn: CallbackReturn = NOTHING_SAID;
  /** The rest of its way; null before it starts and once it has ended. */
  step: KernelStep<T> | null = null;
  end: TaskEnd<T> | null = null;
  /**
   * @param call name of the call, for logs
   * @param device the device it acts for, if any
   */
  constructor(
    readonly call: string,
    readonly device: string | undefined,
  ) {}

  /** Called once, when the task has ended. */
  onEnd(): void {}
}

/** Refuses a call: notes why, in words, and returns the errno. */
export function refuse(task: Task, errno: Errno, why: string): Errno {
  task.why = why;
  return errno;
}

/** mutex_trylock: the lock at once, or not at all. Spares the common case a generator. */
export function tryAcquire(task: Task, lock: Lock): boolean {
  if (lock.owner !== null || lock.readers.size > 0) return false;
  lock.owner = task;
  task.held.push(lock);
  return true;
}

/** mutex_lock. Throws Wedged where the owner will never let go. */
export function* acquire(task: Task, lock: Lock): KernelStep<void> {
  if (tryAcquire(task, lock)) return;
  if (lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy);
  yield { wait: lock };
}

/** down_read: beside other readers, behind a writer that holds the semaphore or waits for it. */
export function* acquireShared(task: Task, lock: Lock): KernelStep<void> {
  if (lock.owner !== null || lock.waiters.length > 0) {
    if (lock.owner !== null && lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy);
    yield { wait: lock, shared: true };
    return;
  }
  lock.readers.add(task);
  task.held.push(lock);
}

/**
 * mutex_lock within another lock. Where the owner will never let go the task hangs with all it holds, and so
 * does whoever needs any of that.
 */
export function* acquireForGood(task: Task, lock: Lock): KernelStep<void> {
  if (lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy, true);
  yield* acquire(task, lock);
}

/** Refuses a call, before it changes anything, that would need a lock which is held for ever. */
export function refuseIfWedged(lock: Lock): void {
  if (lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy);
}
