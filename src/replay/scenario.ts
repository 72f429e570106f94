import type { CallObject } from '../../schemas/calls.ts';

/** What a recorded step was answered (API contract, section 9). Absent `log` and `invalidations` mean none. */
export interface Expectation {
  errno?: string | null;
  killed?: boolean;
  hangs?: boolean;
  pending?: boolean;
  size?: string;
  pinned?: number;
  unpinned?: number;
  value?: number;
  dirtyPages?: number[];
  info?: Record<string, unknown>;
  fnv1a64?: string;
  invalidations?: { device: string; iova: string; length: string }[];
  log?: Record<string, unknown>[];
  lockedPages?: number;
  /** States of driver models' devices after the step, by id: those fields that are told. */
  devices?: Record<string, Record<string, unknown>>;
  /** What a recorded kernel printed, where there is no `log`: not compared. */
  kernelLog?: string[];
  /** What driver models did, or answered: the fields are theirs. */
  [field: string]: unknown;
}

/** A call with what it was answered; `async` names one that is not waited for, `await` waits for it. */
export type Step = CallObject & { async?: string; of?: string; expect?: Expectation };

/** A trace: calls in order. */
export interface Scenario {
  id: string;
  kernel: string;
  steps: Step[];
}

/** What was seen at one step, in the terms of an expectation. `null`: not there. */
export interface Observation {
  errno: string | null;
  killed: boolean;
  /** The call needs a lock that is held for ever. */
  wedged: boolean;
  pending: boolean;
  /** Fields of the answer. */
  body: Record<string, unknown>;
  /** Callbacks since the call started, or since it was last looked at. */
  invalidations: unknown[];
  log: unknown[];
  /** What driver models did. */
  effects: Readonly<Record<string, unknown>>;
  /** States of driver models' devices, by id. */
  devices: Readonly<Record<string, Record<string, unknown>>>;
  /** The process's locked pages after the step. */
  lockedPages: number;
}

/** One field in which a step differed. */
export interface Difference {
  step: number;
  call: string;
  field: string;
  expected: unknown;
  actual: unknown;
}

/** A step without what belongs to the recording: the call object. */
export function callOf(step: Step): CallObject {
  const { expect: _expect, async: _async, ...call } = step;
  return call;
}
