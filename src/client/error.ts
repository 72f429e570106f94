import type { Static } from '@sinclair/typebox';
import type { InvalidationEntry, LogEntry, Problem } from '../../schemas/answers.ts';

/** An RFC 9457 problem as the host answers it. */
export type ProblemBody = Static<typeof Problem> & { [field: string]: unknown };

/** `type` of the problem where a call needs a lock that is held for ever ends so. */
const WEDGED = 'container-wedged';

/** A request was answered with a problem: refused by the emulated kernel (`errno`), or before any kernel saw it. */
export class VfioHostError extends Error {
  override readonly name = 'VfioHostError';

  constructor(
    /** HTTP status. */
    readonly status: number,
    /** The whole problem. */
    readonly problem: ProblemBody,
  ) {
    super(problem.detail);
  }

  /** The kernel's errno by name ("EINVAL"); undefined where no kernel answered. Decide by this. */
  get errno(): string | undefined {
    return this.problem.errno;
  }
  /** What the kernel printed because of the call. */
  get log(): Static<typeof LogEntry>[] {
    return this.problem.log ?? [];
  }
  /** Callbacks that were delivered before the call failed, in order. */
  get invalidations(): Static<typeof InvalidationEntry>[] {
    return this.problem.invalidations ?? [];
  }
  /** The call ran into a BUG_ON: on a real kernel the caller's task would be dead. */
  get killed(): boolean {
    return this.problem.killed === true;
  }
  /** The call needs a lock that a dead or deadlocked task holds for ever. */
  get wedged(): boolean {
    return this.problem.type.endsWith(WEDGED);
  }
}
