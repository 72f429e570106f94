import type { StartedCall } from '../machine/call-task.ts';
import { Refused } from '../machine/refused.ts';

/** A call whose caller did not wait for its answer. */
interface Operation {
  readonly id: string;
  readonly started: StartedCall;
  /** What goes on for each who waits for the answer. */
  readonly waiters: Set<() => void>;
}

/** The calls whose callers did not wait, by id; the oldest finished ones are forgotten. */
export class Operations {
  private readonly byId = new Map<string, Operation>();
  private count = 0;

  /** How many are kept. */
  get kept(): number {
    return this.byId.size;
  }
  /** Whether one of them has not been answered. */
  get areUnderway(): boolean {
    for (const { started } of this.byId.values()) if (!started.answer) return true;
    return false;
  }
  /** How many wait for an answer. */
  waits = 0;

  /** `capacity` is the number of operations kept, finished ones included. */
  constructor(private readonly capacity: number) {}

  /** Keeps a call that is under way. */
  add(started: StartedCall): Operation {
    const operation: Operation = { id: `op${this.count++}`, started, waiters: new Set() };
    this.byId.set(operation.id, operation);
    started.whenAnswered(() => {
      for (const goOn of operation.waiters) goOn();
    });
    if (this.byId.size > this.capacity) this.forgetOldest();
    return operation;
  }

  get(id: string): Operation {
    const operation = this.byId.get(id);
    if (!operation) throw Refused.notFound('operation', id);
    return operation;
  }

  /** Resolves when an operation is answered, or `over` is aborted: then nothing is left of the wait. */
  async wait({ started, waiters }: Operation, over: AbortSignal): Promise<void> {
    if (started.answer || over.aborted) return;
    let goOn = () => {};
    const answered = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    waiters.add(goOn);
    over.addEventListener('abort', goOn);
    this.waits++;
    try {
      await answered;
    } finally {
      this.waits--;
      waiters.delete(goOn);
      over.removeEventListener('abort', goOn);
    }
  }

  /**
   * Ends an operation where it is.
   *
   * @throws Refused for a call of the kernel
   */
  cancel(id: string): void {
    const { started } = this.get(id);
    if (started.answer) return;
    if (!started.cancel) {
      throw new Refused(
        'calls-under-way',
        `operation "${id}" is a call in the kernel, which nobody can take back`,
      );
    }
    started.cancel();
  }

  /** Ends what can be ended: nobody can ask for it any more. */
  cancelAll(): void {
    for (const { started } of this.byId.values()) started.cancel?.();
  }

  /** Every one that is kept, oldest first. */
  list(): Operation[] {
    return [...this.byId.values()];
  }

  private forgetOldest(): void {
    for (const [id, { started }] of this.byId) {
      if (!started.answer) continue;
      this.byId.delete(id);
      return;
    }
  }
}
