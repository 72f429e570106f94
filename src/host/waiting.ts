import type { CallTask } from '../machine/call-task.ts';
import type { HostListener } from './listener.ts';

/** The calls under way that wait for a lock or a callback, and since when. */
export class Waiting implements HostListener {
  private readonly since = new Map<CallTask, number>();

  waits(task: CallTask): void {
    this.since.set(task, performance.now());
  }

  ended(task: CallTask): void {
    if (this.since.size > 0) this.since.delete(task);
  }

  /** Each with how long it has waited, milliseconds, in the order in which they began to. */
  *list(): Generator<{ task: CallTask; waitingMs: number }> {
    const now = performance.now();
    for (const [task, since] of this.since) yield { task, waitingMs: Math.round(now - since) };
  }
}
