import type { KernelStep } from '../kernel/task.ts';
import type { Known, KnownDifference } from './fingerprints.ts';
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

/** A state as it differs from the one that it was found from: some 500 bytes, where all of it would be 3 KB. */
export class Kept {
  constructor(
    private readonly from: Place | Kept,
    private readonly memento: Difference,
    private readonly known: KnownDifference,
  ) {}

  /** A state that is known as a whole, and the differences from there on. */
  whole(): { from: Place; mementos: Difference[]; knowns: KnownDifference[] } {
    const mementos: Difference[] = [];
    const knowns: KnownDifference[] = [];
    let at: Place | Kept = this;
    for (; at instanceof Kept; at = at.from) {
      mementos.push(at.memento);
      knowns.push(at.known);
    }
    return { from: at, mementos: mementos.reverse(), knowns: knowns.reverse() };
  }
}
