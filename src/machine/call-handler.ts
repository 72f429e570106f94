import type { CallArgs, CallName } from '../../schemas/calls.ts';
import type { Errno } from '../kernel/errno.ts';
import type { KernelStep, Task } from '../kernel/task.ts';
import type { Machine } from './machine.ts';

/** What a call answers on success: JSON fields. */
export type CallBody = Record<string, unknown>;

/** An errno, or the fields of the answer. */
export type CallResult = Errno | CallBody;

/** A call that has been looked up and checked, ready to run as a task. */
export type PreparedCall = (task: Task) => KernelStep<CallResult>;

/**
 * One call's code. It looks up ids and checks what a schema cannot; whatever is wrong there it throws as a
 * Refused, before anything has changed. What it returns runs in the kernel.
 */
export type CallHandler<N extends CallName> = (
  machine: Machine,
  /** Id of the object the call is made on; empty for a call on the host. */
  id: string,
  args: CallArgs<N>,
) => PreparedCall;

/** Handlers of some of the calls. */
export type CallHandlers<N extends CallName> = { [K in N]: CallHandler<K> };

/** An answer with nothing to say. */
export const NOTHING: CallBody = {};

/** A kernel function's errno as a call's result. */
export function ok(errno: Errno | null, body: CallBody = NOTHING): CallResult {
  return errno ?? body;
}

/** An address or size argument, exact. */
export function address(value: string | number): bigint {
  return BigInt(value);
}
