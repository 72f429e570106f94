import type { CallbackReturn } from './callback.ts';
import { findCycle, reportDeadlock } from './deadlock.ts';
import { type Lock, Wedged } from './lock.ts';
import type { SplatEvent } from './splats.ts';
import { KernelBug, type KernelStep, RESCHED, type Task, type TaskEnd } from './task.ts';
import type { WaitQueue } from './wait-queue.ts';

/** Says when long work is to stop for a while, so that others on the thread have their turn. */
export interface Pauses {
  /** Work that may be long goes on from here. */
  begin(): void;
  /** Whether it has gone on long enough. */
  isDue(): boolean;
  /** Has whoever runs the kernel call `goOn` when others have had their turn. */
  later(goOn: () => void): void;
}

/**
 * Runs the kernel's tasks on one thread: each until it ends, waits for a lock, or waits for a callback.
 *
 * Everything that can go on goes on before run() or resume() returns, in a fixed order, so the same calls
 * give the same interleaving.
 */
export class Scheduler {
  private readonly ready: Task[] = [];
  /** Tasks that have stopped somewhere, in the order in which they first did. */
  private readonly stopped = new Set<Task>();
  private running = false;
  /** Without it nothing pauses: whatever can go on does before run() or resume() returns. */
  pauses: Pauses | null = null;
  /** The task that pauses in the middle of its work; nothing else runs before goOn(). */
  paused: Task | null = null;
  /** Whether the work that goes on has been noticed to be long. */
  private isLong = false;
  /** The time, milliseconds since boot. It passes only while somebody waits: see passTime. */
  now = 0;

  /** Tasks that wait for a lock or a callback, in the order in which they first stopped. */
  get pending(): Task[] {
    return [...this.stopped];
  }

  /** How many there are. */
  get pendingCount(): number {
    return this.stopped.size;
  }

  /** Starts a task. */
  run(task: Task, step: KernelStep<unknown>): void {
    task.step = step;
    if (this.stopped.size > 0) task.thread = this.freeThread();
    this.drain(task);
  }

  /** The lowest number of a thread that no pending task runs in. */
  private freeThread(): number {
    const taken = new Set(Array.from(this.stopped, ({ thread }) => thread));
    let thread = 0;
    while (taken.has(thread)) thread++;
    return thread;
  }

  /**
   * Lets time pass until nobody waits any more, or until those who do wait for something else than time.
   *
   * @param waits whether somebody waits
   */
  passTime(waits: () => boolean): void {
    while (!this.paused && waits()) {
      const next = this.firstToWake();
      if (!next) return;
      this.now = next.sleepsUntil!;
      this.leaveQueue(next);
      this.drain(next);
    }
  }

  /** wake_up of everybody who waits at a queue. */
  wake(queue: WaitQueue): void {
    for (const task of [...queue.waiters]) {
      this.leaveQueue(task);
      this.drain(task);
    }
  }

  private leaveQueue(task: Task): void {
    task.waitsAt?.waiters.delete(task);
    task.waitsAt = null;
    task.sleepsUntil = null;
  }

  /**
   * Of the tasks that wake up first, the one that stopped first; null where nobody sleeps but those who wait for
   * something to happen, which they would do for ever.
   */
  private firstToWake(): Task | null {
    let first: Task | null = null;
    let sleeps = false;
    for (const task of this.stopped) {
      if (task.sleepsUntil === null) continue;
      if (!task.waitsAt) sleeps = true;
      if (!first || task.sleepsUntil < first.sleepsUntil!) first = task;
    }
    return sleeps ? first : null;
  }

  /** Resumes a task whose callback has returned. */
  resume(task: Task, answer: CallbackReturn = {}): void {
    if (!task.callback) throw new Error('the task is not in a callback');
    task.callback = null;
    task.callbackReturn = answer;
    this.drain(task);
  }

  /** mutex_unlock: hands the lock to the first waiter, which goes on after the current task stops. */
  release(task: Task, lock: Lock): void {
    if (lock.owner === task) lock.owner = null;
    else if (!lock.readers.delete(task)) throw new Error(`${lock.name} is not held by ${task.call}`);
    const { held } = task;
    // Mostly it is the last one.
    for (let at = held.lastIndexOf(lock) + 1; at < held.length; at++) held[at - 1] = held[at]!;
    held.pop();
    this.handOver(lock);
  }

  /** wake_up_all: everybody who waits for a lock that nobody holds goes on, after the current task stops. */
  wakeAll(lock: Lock): void {
    this.handOver(lock);
  }

  /** Gives a lock to the first that waits: one writer, or every reader up to the next writer. */
  private handOver(lock: Lock): void {
    while (lock.owner === null && lock.waiters.length > 0) {
      const { task, shared } = lock.waiters[0]!;
      if (!shared && lock.readers.size > 0) return;
      lock.waiters.shift();
      if (shared) lock.readers.add(task);
      else lock.owner = task;
      task.hold(lock);
      task.waitsFor = null;
      this.ready.push(task);
    }
  }

  /** Runs a task and whatever it makes ready; from inside another task's run, when that has stopped. */
  private drain(first: Task): void {
    if (this.running) {
      this.ready.push(first);
      return;
    }
    this.running = true;
    this.isLong = false;
    try {
      for (let task: Task | undefined = first; task; task = this.paused ? undefined : this.ready.shift()) {
        this.advance(task);
      }
    } finally {
      this.running = this.paused !== null;
    }
  }

  /** The task that pauses goes on, and whatever it unblocks. */
  goOn(): void {
    const task = this.paused!;
    this.paused = null;
    this.running = false;
    this.drain(task);
  }

  /** The task that pauses never goes on. */
  dropPaused(): void {
    this.paused = null;
    this.running = false;
    this.ready.length = 0;
  }

  /** Whether long work is to stop for a while. */
  private pausesNow(): boolean {
    if (!this.pauses) return false;
    if (this.isLong) return this.pauses.isDue();
    this.isLong = true;
    this.pauses.begin();
    return false;
  }

  private advance(task: Task): void {
    const { step } = task;
    if (!step) return;
    try {
      let next = step.next();
      while (next.value === RESCHED) {
        if (this.pausesNow()) {
          this.paused = task;
          return;
        }
        next = step.next();
      }
      const { done, value } = next;
      if (done) {
        this.finish(task, { how: 'returned', value });
      } else if ('wait' in value) {
        this.stopped.add(task);
        task.waitsFor = value.wait;
        value.wait.waiters.push({ task, shared: value.shared ?? false });
        this.breakCycle(task);
      } else if ('bug' in value) {
        this.die(task, { how: 'killed', splat: value.bug }, value.bug);
      } else if ('resched' in value) {
        throw new Error('RESCHED is one object');
      } else if ('sleep' in value) {
        this.stopped.add(task);
        task.sleepsUntil = this.now + value.sleep;
      } else if ('until' in value) {
        this.stopped.add(task);
        task.waitsAt = value.until;
        value.until.waiters.add(task);
        task.sleepsUntil = value.timeoutMs === null ? null : this.now + value.timeoutMs;
      } else {
        this.stopped.add(task);
        task.callback = value.callback;
        task.onCallback(value.callback);
      }
    } catch (error) {
      if (error instanceof KernelBug) this.die(task, { how: 'killed', splat: error.splat }, error.splat);
      else if (error instanceof Wedged && error.keepsLocks) {
        this.die(task, { how: 'wedged', splat: error.splat }, error.splat);
      } else if (error instanceof Wedged) {
        this.releaseAll(task);
        this.finish(task, { how: 'wedged', splat: error.splat });
      } else {
        this.releaseAll(task);
        this.finish(task, { how: 'crashed', error });
      }
    }
  }

  private finish(task: Task, end: TaskEnd): void {
    task.step = null;
    if (this.stopped.size > 0) this.stopped.delete(task);
    task.end = end;
    task.waitsFor = null;
    this.leaveQueue(task);
    task.callback = null;
    task.onEnd();
  }

  private releaseAll(task: Task): void {
    for (const lock of [...task.held]) this.release(task, lock);
  }

  /** Ends a task that keeps its locks for ever; whoever waits for one of them is stuck as well. */
  private die(task: Task, end: TaskEnd, splat: SplatEvent): void {
    this.finish(task, end);
    for (const lock of task.held) {
      lock.wedgedBy = splat;
      for (const { task: waiter } of lock.waiters.splice(0)) {
        if (!waiter.end) this.die(waiter, { how: 'wedged', splat }, splat);
      }
    }
  }

  /** Ends every task of the lock cycle that a task has closed, if any. */
  private breakCycle(start: Task): void {
    const cycle = findCycle(start, this.stopped);
    if (!cycle) return;
    const splat = reportDeadlock(cycle);
    for (const task of cycle) {
      // Out of the queue first, so that only tasks outside the cycle count as stuck behind it.
      const waiters = task.waitsFor?.waiters;
      const at = waiters?.findIndex((waiter) => waiter.task === task) ?? -1;
      if (at >= 0) waiters?.splice(at, 1);
    }
    for (const task of cycle) this.die(task, { how: 'deadlocked', errno: 'EDEADLK', splat }, splat);
  }
}
