import { type Advisory, type AdvisoryKind, AdvisoryList } from './advisories.ts';
import type { CallbackReturn, Invalidation, PendingCallback } from './callback.ts';
import type { DriverEffects } from './driver.ts';
import type { Errno } from './errno.ts';
import type { Kernel } from './kernel.ts';
import { KERNEL_BUGS, KERNEL_BUGS_PAGE, type KernelBugId } from './kernel-bugs.ts';
import { type Lock, Wedged } from './lock.ts';
import { bugEvent, prWarnLimit, splatOf, warn } from './printk.ts';
import type { Process } from './process.ts';
import type { Splat, SplatDetails, SplatEvent, SplatId } from './splats.ts';
import type { Device } from './vfio/device.ts';
import type { WaitQueue } from './wait-queue.ts';

/**
 * Where a kernel operation stops: at a lock somebody holds, in a callback to the outside, to sleep (milliseconds), at a
 * wait queue, until it is woken or the time is over (null: no time), at a BUG_ON for ever, or (`RESCHED`) to go on at
 * once, unless others on this thread are to have their turn.
 */
export type Suspension =
  | { wait: Lock; shared?: boolean }
  | { callback: PendingCallback }
  | { sleep: number }
  | { until: WaitQueue; timeoutMs: number | null }
  | { bug: SplatEvent }
  | typeof RESCHED;

/** cond_resched, in the middle of long work: locks stay held. A task yields it where `worked` says so. */
export const RESCHED = { resched: true } as const;

/** Work between two looks at whether others are to have their turn: pages, mappings or pins. */
const WORK_MAX = 1024;

/** What is printed is work as well: console, log and journal have it. */
const PRINT_WORK = 64;

/** So is a callback: the journal has each of them. */
const CALLBACK_WORK = 16;

/** A kernel operation that may stop on its way. Built-in drivers run inside it; it is resumed with no value. */
export type KernelStep<T> = Generator<Suspension, T, void>;

/** Thrown by BUG_ON: the task is dead and keeps the locks it holds. */
export class KernelBug extends Error {
  constructor(readonly splat: SplatEvent) {
    super('BUG_ON');
  }
}

/** How a task ended. `value` is there where it returned. */
export type TaskEnd<T = unknown> =
  | { how: 'returned'; value: T }
  | { how: 'killed'; splat: SplatEvent }
  | { how: 'wedged'; splat: SplatEvent }
  | { how: 'deadlocked'; errno: Errno; splat: SplatEvent }
  | { how: 'crashed'; error: unknown };

const NOTHING_SAID: CallbackReturn = {};
const NONE: never[] = [];

/**
 * One call on its way through the kernel (`current`): what it printed, whom it called, which locks it holds. It
 * carries its kernel, so that a kernel function needs nothing else of what is around it.
 */
export class Task {
  /** Work done since the last RESCHED. */
  private work = 0;
  // Lists that most tasks leave empty are made when something is noted.
  private printed: SplatEvent[] = NONE;
  private findings: AdvisoryList | null = null;
  private called: Invalidation[] = NONE;
  held: Lock[] = NONE;
  /** Which call of its kernel it is, from 1 on: `call 17` in words. */
  readonly number: number;
  /** What driver models did within the task; null where that is nothing. */
  effects: DriverEffects | null = null;
  /** Why the call was refused last, in words: which value broke which rule. */
  why: string | null = null;
  /** The device whose dma_unmap runs within the task. */
  inDmaUnmap: Device | null = null;
  /** What the kernel wrote back into the caller's struct although it refused: bytes unmapped (iommufd). */
  writtenBack: { readonly size: bigint } | null = null;
  waitsFor: Lock | null = null;
  /** When it wakes up, milliseconds; null: it does not sleep. */
  sleepsUntil: number | null = null;
  /** The queue it waits at; null: at none. */
  waitsAt: WaitQueue | null = null;
  callback: PendingCallback | null = null;
  /** What the last callback to the outside was answered. */
  callbackReturn: CallbackReturn = NOTHING_SAID;
  /** The process that makes the call (`current`), or in whose context the driver runs; null: a kernel thread. */
  process: Process | null;
  /** Whether the call says itself which process that is. */
  namesProcess = false;
  /** Which of its process's threads it runs in: the lowest that no pending task runs in. */
  thread = 0;
  /** The rest of its way; null before it starts and once it has ended. */
  step: KernelStep<unknown> | null = null;
  end: TaskEnd | null = null;

  /**
   * @param call name of the call, for logs
   * @param device the device it acts for, if any
   * @param byDriver whether the device's driver makes the call, be it from inside a callback
   * @param process who makes it; where it is not said, p0, if there is one
   */
  constructor(
    readonly kernel: Kernel,
    readonly call: string,
    readonly device: string | undefined,
    readonly byDriver: boolean = false,
    process: Process | null = kernel.processes.get('p0') ?? null,
  ) {
    this.number = ++kernel.callCount;
    this.process = process;
  }

  /** What it made the kernel print. */
  get splats(): readonly SplatEvent[] {
    return this.printed;
  }
  noteSplat(event: SplatEvent): void {
    this.work += PRINT_WORK;
    if (this.printed === NONE) this.printed = [event];
    else this.printed.push(event);
  }

  /** Findings the kernel does not make. */
  get advisories(): readonly Advisory[] {
    return this.findings ? this.findings.list() : NONE;
  }

  /** Deliveries of dma_unmap, in order. */
  get invalidations(): readonly Invalidation[] {
    return this.called;
  }
  noteInvalidation(invalidation: Invalidation): void {
    if (this.called === NONE) this.called = [invalidation];
    else this.called.push(invalidation);
    this.work += CALLBACK_WORK;
  }

  /** The kernel printed something because of the task. */
  onSplat(_event: SplatEvent): void {}
  /** A finding the kernel does not make, the first time the task has it. */
  onAdvisory(_advisory: Advisory): void {}
  /** The task stopped in a callback to the outside. */
  onCallback(_callback: PendingCallback): void {}
  /** The task has ended. */
  onEnd(): void {}

  /** Counts work (pages, mappings, pins); whether there has been so much that RESCHED is to be yielded. */
  worked(units = 1): boolean {
    this.work += units;
    if (this.work < WORK_MAX) return false;
    this.work = 0;
    return true;
  }

  /** Refuses a call: notes why, in words, and returns the errno. Words that take work are made where somebody reads. */
  refuse(errno: Errno, why: string | (() => string)): Errno {
    if (this.kernel.hasWords) this.why = typeof why === 'string' ? why : why();
    return errno;
  }

  /** mutex_trylock: the lock at once, or not at all. Spares the common case a generator. */
  tryLock(lock: Lock): boolean {
    if (lock.owner !== null || lock.readers.size > 0) return false;
    lock.owner = this;
    this.hold(lock);
    return true;
  }

  /** Notes that it has a lock from now on. The first list is made of one: it takes a fifth of what push would. */
  hold(lock: Lock): void {
    if (this.held === NONE) this.held = [lock];
    else this.held.push(lock);
  }

  /** mutex_lock. Throws Wedged where the owner never unlocks it. */
  *lock(lock: Lock): KernelStep<void> {
    if (this.tryLock(lock)) return;
    if (lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy);
    yield { wait: lock };
  }

  /** down_read: beside other readers, behind a writer that holds the semaphore or waits for it. */
  *lockShared(lock: Lock): KernelStep<void> {
    if (lock.owner !== null || lock.waiters.length > 0) {
      if (lock.owner !== null && lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy);
      yield { wait: lock, shared: true };
      return;
    }
    lock.readers.add(this);
    this.hold(lock);
  }

  /**
   * mutex_lock within another lock. Where the owner never unlocks it the task hangs with all it holds, and so
   * does whoever needs any of that.
   */
  *lockNested(lock: Lock): KernelStep<void> {
    if (lock.wedgedBy) throw new Wedged(lock, lock.wedgedBy, true);
    yield* this.lock(lock);
  }

  /** mutex_unlock, up_read: the first that waits has it from now on. */
  unlock(lock: Lock): void {
    this.kernel.scheduler.release(this, lock);
  }

  /**
   * WARN_ON, or WARN_ON_ONCE where the splat is one (then only the first one prints).
   *
   * @param splat one of the catalogue, or a driver model's own
   * @param caller where a function that is inlined into several callers has a flag in each: whose
   */
  warn(splat: SplatId | Splat, details: SplatDetails = {}, caller?: string): void {
    warn(this, typeof splat === 'string' ? splatOf(this, splat) : splat, details, caller);
  }

  /** BUG_ON: kills the task, which keeps its locks. */
  bug(splat: SplatId | Splat, details: SplatDetails): never {
    throw new KernelBug(this.bugEvent(splat, details));
  }

  /** The same for a function that may stop: it yields this, and never goes on. An exception takes longer than a callback. */
  bugStep(splat: SplatId, details: SplatDetails): Suspension {
    return { bug: this.bugEvent(splat, details) };
  }

  private bugEvent(splat: SplatId | Splat, details: SplatDetails): SplatEvent {
    return bugEvent(this, typeof splat === 'string' ? splatOf(this, splat) : splat, details);
  }

  /** pr_warn of a limit in bytes. */
  prWarn(id: 'L1' | 'L2', limitBytes: bigint): void {
    prWarnLimit(this, id, limitBytes);
  }

  /** Notes a finding the kernel itself does not make; `iova` is the first it is about, bytes. Its words are made once. */
  advise(kind: AdvisoryKind, devices: readonly string[], iova: bigint, text: string | (() => string)): void {
    this.findings ??= new AdvisoryList(this.kernel.hasWords);
    const advisory = this.findings.note(kind, devices, iova, text);
    if (advisory) this.onAdvisory(advisory);
  }

  /**
   * Notes that the answer shows a bug of this kernel generation.
   *
   * @param mapping which mapping it is about, where the text should name it
   */
  adviseBug(id: KernelBugId, iova: bigint, devices: readonly string[] = [], mapping?: string): void {
    const about = mapping === undefined ? '' : `: ${mapping} is still there`;
    const text = `${KERNEL_BUGS[id].title} (${KERNEL_BUGS_PAGE}#${id})${about}`;
    this.advise(`KERNEL_BUG:${id}`, devices, iova, text);
  }
}
