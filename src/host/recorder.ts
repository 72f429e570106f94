import type { CallObject } from '../../schemas/calls.ts';
import type { CallbackReturn } from '../kernel/task.ts';
import type { Answer } from '../machine/answer.ts';
import { redactCall } from '../machine/redact.ts';
import { expectationOf, observationOf, plainExpectation } from '../replay/observe.ts';
import type { Scenario, Step } from '../replay/scenario.ts';

/** A call whose step is in the trace; `name` once it was not answered at once. */
export interface RecordedCall {
  /** Null where the trace is as long as it may be. */
  readonly step: Step | null;
  name: string | null;
  /** Callbacks and log lines the step and its awaits have shown already. */
  readonly shown: { invalidations: number; log: number };
}

/**
 * Writes down the calls of a host as a trace with expectations, in the recordings' form, so that it replays
 * elsewhere: a call that has to wait is an `async` step with an `await` where it was answered, and what a webhook
 * did is a `manual` driver with a complete-callback step.
 */
export class TraceRecorder {
  private readonly steps: Step[] = [];
  private readonly unsettled: Step[] = [];
  private asyncCount = 0;
  /** Steps that were not written down any more. */
  private dropped = 0;

  /**
   * @param capacity number of steps kept; a trace that would be longer is cut at its end
   * @param fromNothing whether the host is as after a reset; where it was restored from a snapshot, the trace
   *   does not begin at its beginning, and counts as cut
   */
  constructor(
    private readonly capacity: number,
    private readonly fromNothing: boolean = true,
  ) {}

  /** A call is about to run: its step takes its place in the order. */
  begin(call: CallObject): RecordedCall {
    const step = portable(call) as Step;
    return { step: this.add(step) ? step : null, name: null, shown: { invalidations: 0, log: 0 } };
  }

  /** The call was answered at once. */
  answered(recorded: RecordedCall, answer: Answer): void {
    const { step, shown } = recorded;
    if (!step || answer.end.how === 'crashed') return;
    step.expect =
      plainExpectation(answer) ?? expectationOf(observationOf(answer, answer.invalidations, shown, 0));
    this.unsettled.push(step);
  }

  /** The call has run as far as it can and waits; `invalidations` so far. */
  waits(recorded: RecordedCall, invalidations: readonly unknown[]): void {
    const { step, shown } = recorded;
    recorded.name = `a${this.asyncCount++}`;
    if (!step) return;
    step.async = recorded.name;
    step.expect = expectationOf(observationOf(null, invalidations, shown, 0));
    this.unsettled.push(step);
  }

  /** A call that waited has been answered. */
  ended(recorded: RecordedCall, answer: Answer): void {
    // A call that was given up was not answered by the kernel.
    if (recorded.name === null || answer.end.how === 'crashed') return;
    const step: Step = { call: 'await', of: recorded.name };
    step.expect = expectationOf(observationOf(answer, answer.invalidations, recorded.shown, 0));
    this.add(step);
    this.unsettled.push(step);
  }

  /** A webhook's callback returned: in the trace somebody says so. */
  callbackReturned(device: string, answer: CallbackReturn): void {
    const step: Step = { call: 'complete-callback', device, ...answer, expect: { errno: null } };
    this.add(step);
    this.unsettled.push(step);
  }

  /** Nothing moves any more until the next call: what the process has locked is what these steps expect. */
  settle(lockedPages: number): void {
    for (const { expect } of this.unsettled) if (expect && !expect.killed) expect.lockedPages = lockedPages;
    this.unsettled.length = 0;
  }

  /** The trace so far, and whether it was cut: such a trace does not replay on a fresh host. */
  trace(id: string, kernel: string): { scenario: Scenario; truncated: boolean } {
    return {
      scenario: { id, kernel, steps: [...this.steps] },
      truncated: this.dropped > 0 || !this.fromNothing,
    };
  }

  private add(step: Step): boolean {
    if (this.steps.length >= this.capacity) {
      this.dropped++;
      return false;
    }
    this.steps.push(step);
    return true;
  }
}

/** A call as a trace has it: without secrets, and with a driver that needs nobody outside. */
function portable(call: CallObject): CallObject {
  const driver = call.driver as { type?: string; openDevice?: boolean; closeDevice?: boolean } | undefined;
  if (driver?.type !== 'webhook') return { ...redactCall(call) };
  const { openDevice, closeDevice } = driver;
  return {
    ...call,
    driver: {
      type: 'manual',
      ...(openDevice === undefined ? {} : { openDevice }),
      ...(closeDevice === undefined ? {} : { closeDevice }),
    },
  };
}
