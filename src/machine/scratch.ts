import type { Generation } from '../kernel/generations/index.ts';
import type { KernelBudgets } from '../kernel/kernel.ts';
import { Turn } from '../turns.ts';
import type { MachineLimits } from './limits.ts';
import { Machine } from './machine.ts';

/** Machines that traces are run on, one after the other: what one has taken is given back when the next is made. */
export class Scratch {
  private last: Machine | null = null;

  constructor(
    private readonly limits: MachineLimits,
    private readonly budgets: KernelBudgets,
  ) {}

  /** A fresh machine; the one before it is used no more. */
  machine(gen: Generation): Machine {
    this.close();
    // Whoever runs it drives it from pause to pause, and holds bytes against a hash.
    const options = { pauses: new Turn(false), budgets: this.budgets, hashesBytes: true };
    this.last = new Machine(gen, this.limits, options);
    return this.last;
  }

  /** The last machine is used no more. */
  close(): void {
    this.last?.kernel.closeBudgets();
    this.last = null;
  }
}
