import type { Kernel } from '../kernel/kernel.ts';
import type { Refused } from './refused.ts';

/** What waits for its turn; `call` is the name of the call it is for. */
interface Queued {
  readonly call: string;
  do(): void;
  refuse(error: Refused): void;
}

/**
 * What waits until a machine's kernel is through with long work, and nobody holds the machine: the calls of one
 * machine are atomic for each other, wherever they pause.
 */
export class TurnQueue {
  private holds = 0;
  private readonly queue: Queued[] = [];
  private readonly idlers: (() => void)[] = [];

  constructor(private readonly kernel: Kernel) {}

  get isBusy(): boolean {
    return this.holds > 0 || this.kernel.scheduler.paused !== null;
  }

  /** How many calls wait. */
  get length(): number {
    return this.queue.length;
  }

  /** The names of the calls that wait. */
  get calls(): string[] {
    return this.queue.map(({ call }) => call);
  }

  add(queued: Queued): void {
    this.queue.push(queued);
  }

  /** Does something on behalf of a call, at once or when its turn has come. */
  do(call: string, action: () => void): void {
    if (this.isBusy) this.add({ call, do: action, refuse: () => {} });
    else action();
  }

  /** Nothing changes the machine until what this returns is called. */
  hold(): () => void {
    this.holds++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.holds--;
      this.takeTurns();
    };
  }

  /** Resolves as soon as the machine is not busy, or has been given up. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isBusy) this.idlers.push(resolve);
      else resolve();
    });
  }

  /** Those that wait have their turn, one after another, until one of them makes the machine busy again. */
  takeTurns(): void {
    while (!this.isBusy && this.queue.length > 0) this.queue.shift()!.do();
    if (!this.isBusy) for (const goOn of this.idlers.splice(0)) goOn();
  }

  /** Nobody has a turn any more. */
  giveUp(error: (call: string) => Refused): void {
    for (const { call, refuse } of this.queue.splice(0)) refuse(error(call));
    for (const goOn of this.idlers.splice(0)) goOn();
  }
}
