import type { Task } from './task.ts';

/** Where tasks wait for something to happen (wait_queue_head, completion). Who waits there makes no time pass. */
export class WaitQueue {
  readonly waiters = new Set<Task>();

  constructor(readonly name: string) {}

  /** wake_up: everybody who waits looks again, in order. */
  wake(task: Task): void {
    if (this.waiters.size > 0) task.kernel.scheduler.wake(this);
  }
}
