import type { CallObject } from '../../schemas/calls.ts';
import { DRIVER_EFFECTS } from '../../schemas/drivers/index.ts';
import { Budget } from '../budget.ts';
import type { CallbackReturn, PendingCallback } from '../kernel/callback.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { MachineListener } from '../machine/listener.ts';
import { redactCall } from '../machine/redact.ts';
import { deviceStates, modelStates } from '../replay/devices.ts';
import {
  expectationOf,
  nothingShown,
  observationOf,
  plainExpectation,
  plainExpectationOf,
  type Shown,
} from '../replay/observe.ts';
import type { Expectation, Scenario, Step } from '../replay/scenario.ts';
import { bytesOf, CallRecord } from './call-record.ts';
import { recordOf } from './journal-writer.ts';
import { MemorySteps } from './memory-steps.ts';
import type { MemoryFact, RealMemory } from './real-memory.ts';

/** What drivers did, as a step may expect it. */
const OPS = ['vfio', 'instructions', 'unpinnedNotHeld'] as const;

/**
 * What drivers do while a call waits is told to whoever looks first: a thread of its own in a replay, where another call
 * may look before it.
 */
function withoutOps(expect: Expectation): Expectation {
  for (const list of OPS) delete (expect as Partial<Record<string, unknown>>)[list];
  return expect;
}

/** A call that is under way, in the trace. */
interface Recorded {
  /** What its await is for. */
  readonly name: string;
  /** Callbacks and log lines the step and its awaits have shown already. */
  readonly shown: Shown;
}

/**
 * Writes down the calls of a host as a trace with expectations, in the recordings' form, so that it replays
 * elsewhere: a call that has to wait is an `async` step with an `await` where it was answered, and what a webhook
 * did is a `manual` driver with a complete-callback step.
 */
export class TraceRecorder implements MachineListener {
  /** A call whose record says all of it is written out when the trace is read. */
  private readonly steps: (Step | CallRecord)[] = [];
  private readonly unsettled: (Step | CallRecord)[] = [];
  /** Place of the step of the call that runs; -1 where it is not written down. */
  private running = -1;
  /** Steps that are to tell the states of devices, once nothing moves. */
  private readonly changed: { step: Step; kernel: Kernel; devices: ReadonlySet<string> }[] = [];
  private readonly waiting = new Map<CallTask, Recorded>();
  /** What has been said of the memory of real processes. */
  private readonly memories = new WeakMap<RealMemory, MemorySteps>();
  private asyncCount = 0;
  private bytes = 0;
  /** Steps that are not here any more, or never were. */
  private dropped = 0;

  /**
   * @param lockedPages locked_vm of a process, pages; null where there is none of that id
   * @param capacity number of steps kept; a trace that would be longer is cut at its end, or its steps so far are
   *   given to `overflow`
   * @param fromNothing whether the host is as after a reset; where it was restored from a snapshot, the trace
   *   does not begin at its beginning, and counts as cut
   * @param budget bytes that the steps may take; beyond it the trace is cut
   */
  constructor(
    private readonly lockedPages: (process: string) => number | null,
    private readonly capacity: number,
    private readonly fromNothing: boolean,
    private readonly overflow: ((steps: Step[]) => void) | null = null,
    private readonly budget: Budget = new Budget(Number.POSITIVE_INFINITY),
  ) {}

  /** Its step takes its place in the order. */
  called(task: CallTask): void {
    this.running = !isForWebhook(task) && this.add(recordOf(task)) ? this.steps.length - 1 : -1;
  }

  /** The step of a call that waits is one that is not waited for. */
  waits(task: CallTask): void {
    const name = `a${this.asyncCount++}`;
    const shown = nothingShown();
    this.waiting.set(task, { name, shown });
    const happened = { invalidations: task.delivered(), log: task.lines(), effects: task.effects };
    this.write({
      ...portable(task.object),
      async: name,
      expect: withoutOps(expectationOf(observationOf(null, happened, shown, NOT_YET))),
    });
  }

  /** A call that waited is answered where its await is. */
  ended(task: CallTask): void {
    const waited = this.waiting.get(task);
    // A call that was given up was not answered by the kernel.
    const crashed = task.end?.how === 'crashed';
    if (waited) {
      this.waiting.delete(task);
      if (crashed) return;
      const step: Step = {
        call: 'await',
        of: waited.name,
        expect: withoutOps(expectationFor(task, waited.shown)),
      };
      this.add(step);
      this.unsettled.push(step);
    } else if (crashed) this.write(portable(task.object));
    else if (recordOf(task).value === null) {
      const step: Step = { ...portable(task.object), expect: expectationFor(task, nothingShown()) };
      this.write(step);
      this.tellStates(task, step);
    } else if (this.running >= 0) this.unsettled.push(recordOf(task));
  }

  /** Writes out the step of the call that runs. */
  private write(step: Step): void {
    if (this.running < 0) return;
    this.take(sizeOf(step) - sizeOf(this.steps[this.running]!));
    this.steps[this.running] = step;
    this.unsettled.push(step);
  }

  /** A webhook's callback returned: in the trace somebody says so. */
  returned(_task: CallTask, { device }: PendingCallback, answer: CallbackReturn): void {
    const step: Step = { call: 'complete-callback', device, ...answer, expect: { errno: null } };
    this.add(step);
    this.unsettled.push(step);
  }

  /** Nothing moves any more: the steps since the last time are whole. */
  quiet(): void {
    this.settle();
    const { steps, overflow } = this;
    if (!overflow || steps.length < this.capacity) return;
    this.dropped += steps.length;
    this.take(-this.bytes);
    overflow(steps.splice(0).map(written));
  }

  /** What the process has locked now is what the steps since the last time expect. */
  private settle(): void {
    const { unsettled } = this;
    if (unsettled.length === 0) return;
    for (const one of unsettled) {
      if (one instanceof CallRecord) one.lockedPages = this.lockedPages(actorOf(one.object));
      else if (one.expect && !one.expect.killed) {
        const lockedPages = this.lockedPages(actorOf(one));
        if (lockedPages !== null) one.expect.lockedPages = lockedPages;
      }
    }
    unsettled.length = 0;
    for (const { step, kernel, devices } of this.changed.splice(0)) {
      const states = deviceStates(kernel, devices);
      if (Object.keys(states).length > 0 && !step.expect!.killed) {
        Object.assign(step.expect!, { devices: states, ...modelStates(kernel), log: step.expect!.log ?? [] });
      }
    }
  }

  /** The step tells the states of the driver models' devices that the call had to do with. */
  private tellStates({ kernel, device, effects, invalidations }: CallTask, step: Step): void {
    if (!effects || !Object.keys(effects).some((field) => field in DRIVER_EFFECTS)) return;
    const devices = new Set((effects.vfio ?? []).flatMap((call) => call.device ?? []));
    for (const called of invalidations) devices.add(called.device);
    if (device !== undefined) devices.add(device);
    this.changed.push({ step, kernel, devices });
  }

  /** Whether the trace was cut. */
  get isCut(): boolean {
    return this.dropped > 0 || !this.fromNothing;
  }

  /** The steps so far, each written out when it is its turn. */
  *writtenSteps(): Generator<Step, void, void> {
    for (const step of this.steps.slice()) yield written(step);
  }

  /** The trace so far, and whether it was cut: such a trace does not replay on a fresh host. */
  trace(id: string, kernel: string): { scenario: Scenario; truncated: boolean } {
    return {
      scenario: { id, kernel, steps: this.steps.map(written) },
      truncated: this.isCut,
    };
  }

  /** The call that runs has learnt something of a real process's memory: the steps before it say so. */
  learnt(memory: RealMemory, process: string, fact: MemoryFact): void {
    const known = this.memories.get(memory) ?? new MemorySteps(process);
    this.memories.set(memory, known);
    const steps = known.of(fact);
    if (steps.length === 0) return;
    if (!this.overflow && this.steps.length + steps.length > this.capacity) {
      this.dropped += steps.length;
      return;
    }
    const at = this.running >= 0 ? this.running : this.steps.length;
    this.steps.splice(at, 0, ...steps);
    if (this.running >= 0) this.running += steps.length;
  }

  private add(step: Step | CallRecord): boolean {
    const size = sizeOf(step);
    const isFull = this.steps.length >= this.capacity || !this.budget.has(size);
    // What is not written down leaves a gap: nothing that comes after it replays.
    if (!this.overflow && (isFull || this.dropped > 0)) {
      this.dropped++;
      return false;
    }
    this.take(size);
    this.steps.push(step);
    return true;
  }

  private take(bytes: number): void {
    this.bytes += bytes;
    this.budget.take(bytes);
  }
}

/**
 * Whether a call would complete a callback that its webhook answers. It is refused here; in the trace, where the driver
 * is `manual`, it would not be.
 */
function isForWebhook({ machine, object: { call, device } }: CallTask): boolean {
  if (call !== 'complete-callback' || !machine.callsWebhooks) return false;
  return machine.kernel.devices.get(device as string)?.driver.config?.type === 'webhook';
}

/** The process whose locked pages a step shows. */
function actorOf({ process }: CallObject): string {
  return typeof process === 'string' ? process : 'p0';
}

/** The pages that are locked when nothing moves any more. */
const NOT_YET = { lockedPages: null, lockedPagesOf: {} };

/** A call as a trace has it: without secrets, and with a driver and memory that need nobody outside. */
function portable(call: CallObject): CallObject {
  const driver = call.driver as { type?: string; openDevice?: boolean; closeDevice?: boolean } | undefined;
  if (driver?.type !== 'webhook') {
    const { pid: _pid, ...rest } = redactCall(call);
    return rest as CallObject;
  }
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

/** What a call that has ended came to, in the terms of a recording. */
function expectationFor(task: CallTask, shown: Shown): Expectation {
  const answer = task.answer!;
  const plain = shown.invalidations === 0 && shown.log === 0 ? plainExpectation(answer) : null;
  return plain ?? expectationOf(observationOf(answer, answer, shown, NOT_YET));
}

/** Bytes of a callback and of a log line in an expectation, about. */
const CALLBACK_BYTES = 120;
const LINE_BYTES = 300;

/** Bytes that a step takes, about. */
function sizeOf(step: Step | CallRecord): number {
  if (step instanceof CallRecord) return bytesOf(step.object);
  const { invalidations = [], log = [] } = step.expect ?? {};
  return bytesOf(step) + invalidations.length * CALLBACK_BYTES + log.length * LINE_BYTES;
}

/** A step as a reader gets it. */
function written(step: Step | CallRecord): Step {
  if (!(step instanceof CallRecord)) return step;
  const { object, value, lockedPages } = step;
  // A long call that others have their turn in: what it comes to is not known yet.
  if (value === null) return portable(object);
  return {
    ...portable(object),
    expect: { ...plainExpectationOf(value), ...(lockedPages === null ? {} : { lockedPages }) },
  };
}
