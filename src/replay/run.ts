import type { Kernel } from '../kernel/kernel.ts';
import type { StartedCall } from '../machine/call-task.ts';
import type { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { checkCall } from '../machine/table.ts';
import { atOnce } from '../turns.ts';
import { deviceStates, modelStates } from './devices.ts';
import { expectationOf, nothingShown, observationOf, type Shown } from './observe.ts';
import { callOf, type Expectation, type Observation, type Scenario, type Step } from './scenario.ts';
import { sleeps } from './sleeps.ts';

/** A call that was started, and how much of it has been looked at. */
interface Looked {
  readonly started: StartedCall;
  readonly shown: Shown;
}

/** Runs the steps of a scenario on a machine that is as after a reset, one by one. */
export class ScenarioRun {
  private readonly pending = new Map<string, Looked>();

  constructor(private readonly machine: Machine) {}

  /**
   * Takes one step and says what was seen. A call that is neither finished nor marked `async` waits: every held
   * callback is resumed then, and what comes of it is the step's outcome (`hangs` where it is a deadlock).
   *
   * @throws Refused when the step is not a valid call
   */
  take(step: Step, index: number): Observation & { hangs: boolean } {
    return atOnce(this.steps(step, index));
  }

  /** The same, stopping where the machine pauses and now and then in between. */
  *steps(step: Step, index: number): Generator<void, Observation & { hangs: boolean }> {
    if (step.call === 'await') {
      const awaited = this.pending.get(String(step.of));
      if (!awaited) {
        throw Refused.badRequest(`step ${index}: await of "${step.of}", which was not started`);
      }
      if (step.timeoutMs === undefined) {
        this.pending.delete(String(step.of));
        awaited.started.awaited();
        yield* this.toItsEnd();
        if (!awaited.started.answer) yield* this.releaseHeld();
      } else if (!awaited.started.answer) yield* this.passTime(step.timeoutMs);
      return { ...this.look(awaited, step), hangs: false };
    }
    const looked: Looked = { started: this.start(step, index), shown: nothingShown() };
    yield* this.toItsEnd();
    if (step.async !== undefined) {
      this.pending.set(step.async, looked);
      return { ...this.look(looked, step), hangs: false };
    }
    if (looked.started.answer) return { ...this.look(looked, step), hangs: false };
    yield* this.releaseHeld();
    const both = [...this.pending.values(), looked];
    const hangs = both.every(({ started }) => isDeadlocked(started));
    return { ...this.look(looked, step), hangs };
  }

  /** Work of the kernel that pauses goes on to its end. */
  private *toItsEnd(): Generator<void, void> {
    while (this.machine.turns.isBusy) {
      yield;
      this.machine.proceed();
    }
  }

  /** Resumes every callback that is held. */
  private *releaseHeld(): Generator<void, void> {
    const { machine } = this;
    for (const { callback } of machine.kernel.scheduler.pending) {
      if (callback?.mode !== 'held') continue;
      machine.start({ call: 'resume-callbacks', device: callback.device });
      yield* this.toItsEnd();
    }
  }

  /** Gives up whatever is still under way. */
  end(): void {
    this.machine.abandon('the run of the trace ended');
  }

  private start(step: Step, index: number): StartedCall {
    try {
      return this.machine.start(checkCall(callOf(step)), undefined, step.async !== undefined);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw error.within(`step ${index}`);
    }
  }

  /** The host's own time passes, as it does for who waits in vain. */
  private *passTime(milliseconds: number): Generator<void, void> {
    for (const sleep of sleeps(milliseconds)) {
      this.machine.start(sleep);
      yield* this.toItsEnd();
    }
  }

  private look({ started, shown }: Looked, step: Step): Observation {
    const { kernel } = this.machine;
    const happened = {
      invalidations: started.delivered(),
      log: started.lines(),
      effects: started.effects,
    };
    const process = kernel.processes.get(typeof step.process === 'string' ? step.process : 'p0');
    const locked = {
      lockedPages: process ? process.lockedVm : null,
      lockedPagesOf: lockedPagesOf(kernel),
    };
    return observationOf(started.answer, happened, shown, locked, deviceStates(kernel), modelStates(kernel));
  }
}

function lockedPagesOf({ processes }: Kernel): Record<string, number> {
  return Object.fromEntries([...processes].map(([id, { lockedVm }]) => [id, lockedVm]));
}

function isDeadlocked({ answer }: StartedCall): boolean {
  return answer?.end.how === 'deadlocked';
}

/** What each step of a scenario is answered. A call that would never return `hangs`. */
export function runScenario(machine: Machine, scenario: Scenario): Expectation[] {
  const seen: Expectation[] = [];
  atOnce(watchedSteps(machine, scenario, (answer) => seen.push(answer)));
  return seen;
}

/** The same, stopping after every step, and keeping nothing: each answer is shown to `see`. */
export function* watchedSteps(
  machine: Machine,
  scenario: Scenario,
  see: (answer: Expectation, index: number) => void,
): Generator<void, void> {
  const run = new ScenarioRun(machine);
  for (const [index, step] of scenario.steps.entries()) {
    see(expectationOf(yield* run.steps(step, index)), index);
    yield;
  }
  run.end();
}
