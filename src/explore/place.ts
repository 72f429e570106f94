import type { KernelStep } from '../kernel/task.ts';
import type { Known } from './fingerprints.ts';
import type { Form } from './form.ts';
import type { Difference, Memento } from './memento.ts';

/** The rest of a call on its way, which counts how often it goes on. */
export class Rest {
  times = 0;

  constructor(private readonly step: KernelStep<unknown>) {}

  get [Symbol.toStringTag](): string {
    return 'Generator';
  }

  next(): IteratorResult<unknown, unknown> {
    this.times++;
    return this.step.next();
  }
}

/** A state that one can go back to. */
export interface Place {
  readonly memento: Memento;
  readonly known: Known;
  /** Calls under way there, and how often each had gone on. */
  readonly underway: readonly { readonly rest: Rest; readonly times: number }[];
  /** The same as it was kept. */
  readonly kept: Kept | null;
}

/** A state as it differs from the one that it was found from: less than 1 KB, where all of it would be 3 KB. */
export class Kept {
  /**
   * @param action that led to it
   * @param difference null: nobody has been there, and what the action would come to was known
   */
  constructor(
    readonly from: Place | Kept,
    readonly action: number,
    public forms: readonly Form[],
    public difference: Difference | null,
  ) {}

  /** What is known of it, once somebody has gone there. */
  known: Known | null = null;

  /** What is known of the last state before it that somebody has gone to. */
  get knownBefore(): Known {
    let at = this.from;
    while (at instanceof Kept && !at.known) at = at.from;
    return at.known!;
  }

  /** A state that is known as a whole, and the differences from there on; all of them have been found out. */
  whole(): { from: Place; differences: Difference[] } {
    const differences: Difference[] = [];
    let at: Place | Kept = this;
    for (; at instanceof Kept; at = at.from) differences.push(at.difference!);
    return { from: at, differences: differences.reverse() };
  }
}
