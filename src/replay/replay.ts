import { RequestProblem } from '../calls/problem.ts';
import { checkCall } from '../calls/table.ts';
import { toReply } from '../host/answer.ts';
import type { Host, StartedCall } from '../host/host.ts';
import { compare } from './compare.ts';
import { callOf, type Difference, type Observation, type Scenario, type Step } from './scenario.ts';

/** A call that was started with `async`, and how much of it has been looked at. */
interface Pending {
  started: StartedCall;
  seen: { invalidations: number; log: number };
}

/**
 * Runs a scenario on a host that is as after a reset, step by step, and returns every difference from its
 * expectations.
 *
 * @throws RequestProblem 400 when a step is not a valid call
 */
export function replay(host: Host, scenario: Scenario): Difference[] {
  const differences: Difference[] = [];
  const pending = new Map<string, Pending>();
  scenario.steps.forEach((step, index) => {
    const note = (field: string, expected: unknown, actual: unknown) =>
      differences.push({ step: index, call: step.call, field, expected, actual });
    if (step.expect?.hangs) {
      const hung = startStep(host, step, index);
      if (hung.started.answer) note('hangs', true, false);
      releaseHeld(host);
      for (const { started } of [...pending.values(), hung]) {
        const errno = started.answer && toReply(started.answer).body.errno;
        if (errno !== 'EDEADLK') note('hangs', 'EDEADLK', errno ?? null);
      }
      return;
    }
    let of: Pending;
    if (step.call === 'await') {
      const awaited = pending.get(String(step.of));
      if (!awaited)
        throw RequestProblem.badRequest(`step ${index}: await of "${step.of}", which was not started`);
      pending.delete(String(step.of));
      of = awaited;
    } else {
      of = startStep(host, step, index);
      if (step.async !== undefined) pending.set(step.async, of);
    }
    const seen = observe(host, of);
    if (step.expect) for (const m of compare(step.expect, seen)) note(m.field, m.expected, m.actual);
  });
  host.abandonPending('the replay ended');
  return differences;
}

function startStep(host: Host, step: Step, index: number): Pending {
  try {
    const started = host.start(checkCall(callOf(step)));
    return { started, seen: { invalidations: 0, log: 0 } };
  } catch (error) {
    if (!(error instanceof RequestProblem)) throw error;
    throw RequestProblem.badRequest(`step ${index}: ${error.message}`);
  }
}

function observe(host: Host, { started, seen }: Pending): Observation {
  const { answer } = started;
  const reply = answer ? toReply(answer) : null;
  const invalidations = started.invalidations();
  const log = answer ? answer.log : [];
  const observation: Observation = {
    errno:
      (reply?.body.errno as string | undefined) ??
      (reply && reply.status >= 400 && !reply.body.killed ? 'none' : null),
    killed: reply?.body.killed === true,
    pending: answer === null,
    body: reply?.body ?? {},
    invalidations: invalidations.slice(seen.invalidations),
    log: log.slice(seen.log),
    lockedPages: host.machine.process('p0').lockedVm,
  };
  seen.invalidations = invalidations.length;
  seen.log = log.length;
  return observation;
}

/** Lets go every callback that is held. */
function releaseHeld(host: Host): void {
  for (const { callback } of host.kernel.scheduler.pending) {
    if (callback?.mode === 'held') host.start({ call: 'resume-callbacks', device: callback.device });
  }
}
