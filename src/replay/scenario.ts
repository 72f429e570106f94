import type { Static } from '@sinclair/typebox';
import type { CallObject } from '../../schemas/calls.ts';
import type { Expect } from '../../schemas/scenario.ts';

/** What a recorded step was answered. Absent `log` and `invalidations` mean none. */
export type Expectation = Static<typeof Expect>;

/** A call with what it was answered; `async` names one that is not waited for, `await` waits for it. */
export type Step = CallObject & { async?: string; of?: string; timeoutMs?: number; expect?: Expectation };

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
  /** What else driver models show. */
  models: Readonly<Record<string, unknown>>;
  /** Locked pages after the step of the process that made the call; null: it is gone. */
  lockedPages: number | null;
  /** Locked pages of every process that is there. */
  lockedPagesOf: Readonly<Record<string, number>>;
}

/** A step without what belongs to the recording: the call object. */
export function callOf(step: Step): CallObject {
  const { expect: _expect, async: _async, ...call } = step;
  return call;
}
