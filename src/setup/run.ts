import type { SetupView } from '../../schemas/setup.ts';
import { type Answer, errnoOf } from '../machine/answer.ts';
import { answerTo, type StartedCall } from '../machine/call-task.ts';
import type { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { checkCall } from '../machine/table.ts';
import { show } from '../machine/validate.ts';
import { differencesOf } from '../replay/replay.ts';
import { ScenarioRun } from '../replay/run.ts';
import type { Observation, Step } from '../replay/scenario.ts';
import type { Turns } from '../turns.ts';
import type { Ids, SetupCalls } from './steps.ts';

/** A rig cannot be set up so; the message names the place in the setup and says why. */
export class SetupRefused extends Error {
  constructor(
    readonly where: string,
    /** What a call was answered, or what refused it. */
    readonly why: Answer | Refused,
  ) {
    super(`${where}: ${why instanceof Refused ? why.message : wordsOf(why)}`);
  }
}

function wordsOf(answer: Answer): string {
  const { call, end, why } = answer;
  const errno = errnoOf(answer);
  if (errno === null) return `${call} was ${end.how}`;
  return `${call} answers ${errno}${why === null ? '' : `: ${why}`}`;
}

/**
 * Work that sets a machine up. It stops after each call, so that others can have their turn, and at a call that waits,
 * which it gives: it is to be resumed when that is answered.
 *
 * @throws SetupRefused
 */
type Setup = Generator<StartedCall | undefined, number>;

/**
 * Makes the calls of a setup on a fresh machine; how many there were.
 *
 * @param panicked the line of the panic that the machine is dead of; null while it lives
 * @param reqId id of the request that asks for it, for the journal
 */
export function* setUp(
  machine: Machine,
  calls: SetupCalls,
  panicked: () => string | null = () => null,
  reqId?: string,
): Setup {
  let count = 0;
  for (let next = calls.next(); !next.done; count++) {
    const { call, where } = next.value;
    const started = refusedAt(where, () => machine.start(checkCall(call), reqId));
    // Work of the kernel that pauses goes on to its end, also where nobody else has a turn.
    while (machine.turns.isBusy) {
      yield undefined;
      machine.proceed();
    }
    if (!started.answer) refusedAt(where, () => refuseWaiting(machine));
    yield started.answer ? undefined : started;
    const answer = started.answer!;
    const { end } = answer;
    if (end.how !== 'returned' || typeof end.value === 'string') throw new SetupRefused(where, answer);
    const dead = panicked();
    if (dead !== null) throw new SetupRefused(where, new Refused('abandoned', dead));
    next = calls.next(end.value as Ids);
  }
  return count;
}

/**
 * Takes the steps of a trace on a fresh machine; how many there were. A step that expects nothing must succeed, and no
 * call may be under way in the end.
 *
 * @param placeOf names the place of a step
 */
export function* setUpTrace(
  machine: Machine,
  steps: readonly Step[],
  placeOf: (index: number) => string,
): Setup {
  const run = new ScenarioRun(machine);
  for (const [index, step] of steps.entries()) {
    const where = placeOf(index);
    const wrong = wrongWith(step, index, yield* taken(run, step, index, where));
    if (wrong !== null) throw new SetupRefused(where, Refused.badRequest(`${step.call}: ${wrong}`));
    yield undefined;
  }
  const [underway] = machine.underway();
  if (underway === undefined) return steps.length;
  const why = `${underway}: no call may be under way when a rig is set up`;
  throw new SetupRefused(placeOf(steps.length - 1), Refused.badRequest(why));
}

/** Takes a step, stopping where the machine pauses. */
function* taken(
  run: ScenarioRun,
  step: Step,
  index: number,
  where: string,
): Generator<undefined, Observation & { hangs: boolean }> {
  const steps = run.steps(step, index);
  for (;;) {
    const { done, value } = refusedAt(where, () => steps.next(), `step ${index}: `);
    if (done) return value;
    yield undefined;
  }
}

/** Why a step is not as it should be, in words; null where it is. */
function wrongWith(step: Step, index: number, seen: Observation & { hangs: boolean }): string | null {
  if (step.expect) {
    const [first] = differencesOf(step, index, seen);
    if (!first) return null;
    const { field, actual, expected } = first;
    return `${field} is ${show(actual)}, expected ${show(expected)}`;
  }
  if (seen.killed) return 'runs into a BUG_ON';
  if (seen.hangs || seen.wedged) return 'never returns: it needs a lock that is held for ever';
  return seen.errno === null ? null : `answers ${seen.errno}, and expects nothing else than success`;
}

/** Sets a machine up in turns. */
export async function setUpInTurns(setup: Setup, work: Turns): Promise<number> {
  work.begin();
  for (;;) {
    const { done, value } = setup.next();
    if (done) return value;
    if (value) {
      await answerTo(value);
      work.begin();
    } else if (work.isOver) await work.next();
  }
}

/** Sets a machine up without a pause: a call that waits for somebody outside is refused. */
export function setUpAtOnce(setup: Setup): number {
  for (;;) {
    const { done, value } = setup.next();
    if (done) return value;
    if (value !== undefined) throw Refused.badRequest('a call waits for a webhook, which is not asked here');
  }
}

/**
 * Does something for a place in a setup: what is refused there names it.
 *
 * @param before what a message calls the place itself
 */
function refusedAt<T>(where: string, act: () => T, before = ''): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { slug, message } = error;
    const words = message.startsWith(before) ? message.slice(before.length) : message;
    throw new SetupRefused(where, new Refused(slug, words));
  }
}

/** Refuses a call that waits for anything else than a webhook: nobody could resume it. */
function refuseWaiting(machine: Machine): void {
  const waits = machine.kernel.scheduler.pending.every(({ callback }) => {
    if (callback?.mode !== 'outside') return false;
    return machine.callsWebhooks && machine.device(callback.device).driver.config?.type === 'webhook';
  });
  if (waits) return;
  throw Refused.badRequest(`${machine.underway().join('; ')}, which nobody can end while a rig is set up`);
}

/** What is there after a setup. */
export function setupView(rig: string, machine: Machine, calls: number): SetupView {
  const { kernel, faults } = machine;
  return {
    rig,
    kernel: kernel.gen.version,
    calls,
    processes: [...kernel.processes.keys()],
    containers: [...kernel.containers.keys()],
    devices: [...kernel.devices.values()].map(({ id, group }) => ({
      device: id,
      group: group.id,
      container: group.container?.id ?? null,
    })),
    faults: faults.list().map(({ rule }) => rule.fault),
  };
}
