import type { CALLS, CallArgs, CallName } from '../../schemas/calls.ts';
import type { Errno } from '../kernel/errno.ts';
import { exact, hex } from '../kernel/pages.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelStep, Task } from '../kernel/task.ts';
import type { Container } from '../kernel/vfio/container.ts';
import type { Device } from '../kernel/vfio/device.ts';
import type { Machine } from './machine.ts';

/** What a call answers on success: JSON fields. */
export type CallBody = Record<string, unknown>;

/** The fields of an answer that are made when somebody looks at them. */
export abstract class LazyBody {
  abstract fields(): CallBody;

  /** What an expectation has of them, in little room, for as long as a journal or a trace keeps it; null: too much. */
  abstract kept(): CallBody | LazyBody | null;

  /**
   * The fields as JSON; null where they may be long. A call that is made often writes them itself: that takes a third
   * of the time.
   */
  text(): string | null {
    return JSON.stringify(this.fields());
  }
}

/** A size alone. */
export class SizeBody extends LazyBody {
  constructor(private readonly size: bigint) {
    super();
  }

  override fields(): CallBody {
    return { size: hex(this.size) };
  }

  override kept(): this {
    return this;
  }
}

/** What a call answers: an errno, or the fields of the answer. */
export type CallResult = Errno | CallBody | LazyBody;

/**
 * A call that is ready to run and has nothing to do beside the kernel's function: its generator is all there is of it. A
 * generator function that is made for one call costs more than most calls do.
 */
export interface KernelCall<T> {
  run(task: Task): KernelStep<T>;
  /** What the call answers, from what the kernel's function returned. */
  answer(value: T): CallResult;
}

/** Such a call that is its own answer: for the calls that are made most. */
export abstract class DirectCall<T> extends LazyBody implements KernelCall<T> {
  abstract run(task: Task): KernelStep<T>;
  abstract answer(value: T): CallResult;
}

/** A function of the kernel on one object, which answers an errno or nothing. */
export class ErrnoCall<T> implements KernelCall<Errno | null> {
  constructor(
    private readonly call: (task: Task, on: T) => KernelStep<Errno | null>,
    private readonly on: T,
  ) {}

  run(task: Task): KernelStep<Errno | null> {
    return this.call(task, this.on);
  }

  answer(errno: Errno | null): CallResult {
    return ok(errno);
  }
}

/** A call that has been looked up and checked, ready to run as a task. */
export type PreparedCall = ((task: Task) => KernelStep<CallResult>) | KernelCall<unknown>;

/** What a call is made on; of a fault its id, of the host nothing. */
export interface Targets {
  host: null;
  process: Process;
  container: Container;
  device: Device;
  fault: string;
}

/**
 * One call's code. It looks up further ids and checks what a schema cannot; whatever is wrong there it throws as a
 * Refused, before anything has changed. What it returns runs in the kernel.
 */
export type CallHandler<N extends CallName> = (
  machine: Machine,
  target: Targets[(typeof CALLS)[N]['on']],
  args: CallArgs<N>,
) => PreparedCall;

/** Handlers of some of the calls. */
export type CallHandlers<N extends CallName> = { [K in N]: CallHandler<K> };

/** An answer with nothing to say. */
export const NOTHING: CallBody = {};

/** EEXIST: something has that id already. */
export function idTaken(task: Task, what: string, id: string): Errno {
  return task.refuse('EEXIST', `there is a ${what} "${id}" already`);
}

/** A kernel function's errno as a call's result. */
export function ok(errno: Errno | null, body: CallBody = NOTHING): CallResult {
  return errno ?? body;
}

/** An address or size argument, exact. */
export function address(value: string | number): bigint {
  if (typeof value === 'number' || value.length > SHORT) return BigInt(value);
  let bytes = 0;
  for (let i = 2; i < value.length; i++) {
    const code = value.charCodeAt(i);
    bytes = bytes * 16 + (code <= NINE ? code - ZERO : (code | LOWER) - A + 10);
  }
  return exact(bytes);
}

/** Longest `0x…` that a number holds exactly. Most are shorter, and are read in half of the time that BigInt takes. */
const SHORT = '0x1fffffffffffff'.length - 1;
const ZERO = '0'.charCodeAt(0);
const NINE = '9'.charCodeAt(0);
const A = 'a'.charCodeAt(0);
/** The bit that makes a capital small. */
const LOWER = 0x20;
