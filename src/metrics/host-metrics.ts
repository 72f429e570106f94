import type { AdvisoryKind } from '../kernel/advisories.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { LogEntry } from '../kernel/splats.ts';
import type { Answer } from '../machine/answer.ts';

/**
 * How a callback ended: a webhook `returned` or `failed`; the code of a `built-in` driver ran; a `manual` one was
 * left to complete-callback.
 */
export type CallbackOutcome = 'returned' | 'failed' | 'built-in' | 'manual';

/** Told what happens on a host, so that it can be counted. It must be quick and must not throw. */
export interface HostMetrics {
  /** A call was answered, whatever it was answered. */
  answered(answer: Answer): void;
  /** The kernel, or one of its drivers, printed something. */
  splat(entry: LogEntry, gen: Generation): void;
  /** A finding, the first time its call has it. */
  advisory(kind: AdvisoryKind): void;
  /** A callback of a driver; one to a webhook when it has ended, another when it is delivered. */
  callback(outcome: CallbackOutcome): void;
}
