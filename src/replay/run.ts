import { RequestProblem } from '../calls/problem.ts';
import { checkCall } from '../calls/table.ts';
import { toReply } from '../host/answer.ts';
import type { Host, StartedCall } from '../host/host.ts';
import { fnv1a64, INFO_FIELDS } from './compare.ts';
import { callOf, type Expectation, type Observation, type Scenario, type Step } from './scenario.ts';

/** A call that was started, and how much of it has been looked at. */
interface Looked {
  readonly started: StartedCall;
  invalidations: number;
  log: number;
}

/** Runs the steps of a scenario on a host that is as after a reset, one by one. */
export class ScenarioRun {
  private readonly pending = new Map<string, Looked>();

  constructor(private readonly host: Host) {}

  /**
   * Takes one step and says what was seen. A call that is neither finished nor marked `async` waits: every held
   * callback is let go then, and what comes of it is the step's outcome (`hangs` where it is a deadlock).
   *
   * @throws RequestProblem 400 when the step is not a valid call
   */
  take(step: Step, index: number): Observation & { hangs: boolean } {
    if (step.call === 'await') {
      const awaited = this.pending.get(String(step.of));
      if (!awaited) {
        throw RequestProblem.badRequest(`step ${index}: await of "${step.of}", which was not started`);
      }
      this.pending.delete(String(step.of));
      if (!awaited.started.answer) releaseHeld(this.host);
      return { ...this.look(awaited), hangs: false };
    }
    const looked: Looked = { started: this.start(step, index), invalidations: 0, log: 0 };
    if (step.async !== undefined) {
      this.pending.set(step.async, looked);
      return { ...this.look(looked), hangs: false };
    }
    if (looked.started.answer) return { ...this.look(looked), hangs: false };
    releaseHeld(this.host);
    const both = [...this.pending.values(), looked];
    const hangs = both.every(({ started }) => isDeadlocked(started));
    return { ...this.look(looked), hangs };
  }

  /** Gives up whatever is still under way. */
  end(): void {
    this.host.abandonPending('the run of the trace ended');
  }

  private start(step: Step, index: number): StartedCall {
    try {
      return this.host.start(checkCall(callOf(step)));
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      throw new RequestProblem(error.status, error.slug, error.title, `step ${index}: ${error.message}`);
    }
  }

  private look(looked: Looked): Observation {
    const { answer } = looked.started;
    const reply = answer ? toReply(answer) : null;
    const invalidations = looked.started.invalidations();
    const log = answer ? answer.log : [];
    const body = reply?.body ?? {};
    const wedged = reply?.status === 423;
    const refused = reply !== null && reply.status >= 400 && !body.killed && !wedged;
    const observation: Observation = {
      errno: (body.errno as string | undefined) ?? (refused ? `status ${reply.status}` : null),
      killed: body.killed === true,
      wedged,
      pending: answer === null,
      body,
      invalidations: invalidations.slice(looked.invalidations),
      log: log.slice(looked.log),
      lockedPages: this.host.machine.process('p0').lockedVm,
    };
    looked.invalidations = invalidations.length;
    looked.log = log.length;
    return observation;
  }
}

function isDeadlocked({ answer }: StartedCall): boolean {
  return answer?.end.how === 'deadlocked';
}

/** Lets go every callback that is held. */
function releaseHeld(host: Host): void {
  for (const { callback } of host.kernel.scheduler.pending) {
    if (callback?.mode === 'held') host.start({ call: 'resume-callbacks', device: callback.device });
  }
}

/** An observation in the terms of a recording. */
export function expectationOf(seen: Observation & { hangs?: boolean }): Expectation {
  if (seen.hangs || seen.wedged) return { hangs: true };
  const { body } = seen;
  const expect: Expectation = {};
  if (seen.pending) expect.pending = true;
  else if (seen.killed) expect.killed = true;
  else expect.errno = seen.errno;
  for (const field of ['size', 'pinned', 'unpinned', 'value', 'dirtyPages'] as const) {
    if (body[field] !== undefined) Object.assign(expect, { [field]: body[field] });
  }
  if (body.dmaAvail !== undefined) {
    expect.info = Object.fromEntries(INFO_FIELDS.filter((f) => f in body).map((f) => [f, body[f]]));
  }
  if (typeof body.data === 'string') expect.fnv1a64 = fnv1a64(Buffer.from(body.data, 'base64'));
  if (seen.invalidations.length > 0) expect.invalidations = seen.invalidations as never;
  if (seen.log.length > 0) expect.log = seen.log as never;
  // After a kill nothing was read any more.
  if (!seen.killed) expect.lockedPages = seen.lockedPages;
  return expect;
}

/** What each step of a scenario is answered. A call that would never return `hangs`. */
export function runScenario(host: Host, scenario: Scenario): Expectation[] {
  const run = new ScenarioRun(host);
  const seen: Expectation[] = [];
  for (const [index, step] of scenario.steps.entries()) {
    seen.push(expectationOf(run.take(step, index)));
  }
  run.end();
  return seen;
}
