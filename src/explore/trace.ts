import { generationOf } from '../kernel/generations/index.ts';
import { Machine } from '../machine/machine.ts';
import { expectationOf } from '../replay/observe.ts';
import { ScenarioRun } from '../replay/run.ts';
import type { Scenario, Step } from '../replay/scenario.ts';
import { atOnce, Turn } from '../turns.ts';
import type { Scene } from './scene.ts';

/**
 * The trace of a path, with what each step is answered: the calls that lead to where the search began, the path's, and
 * for each call that was still under way when the next one was made the end it came to.
 */
export function traceOf(id: string, scene: Scene, path: readonly number[]): Scenario {
  const calls = [...scene.setup, ...path.map((action) => scene.actions[action]!.call)];
  const underway = callsLeftUnderway(scene, calls);
  const steps: Step[] = calls.map((call, i) => {
    const name = underway.get(i);
    return name === undefined ? { ...call } : { ...call, async: name };
  });
  for (const of of underway.values()) steps.push({ call: 'await', of });
  return withExpectations({ id, kernel: scene.gen.version, steps });
}

/** Which of the calls do not end before the next is made, by place, with a name for each. The last one is waited for. */
function callsLeftUnderway({ gen }: Scene, calls: readonly Step[]): Map<number, string> {
  const machine = new Machine(gen);
  const names = new Map<number, string>();
  for (const [i, call] of calls.slice(0, -1).entries()) {
    if (!machine.start(call).answer) names.set(i, String.fromCharCode(97 + names.size));
  }
  return names;
}

/** A trace with what each of its steps is answered on its kernel, which there is. */
function withExpectations(trace: Scenario): Scenario {
  return atOnce(expectationSteps(trace));
}

/** The same, stopping now and then. */
export function* expectationSteps(trace: Scenario): Generator<void, Scenario> {
  const run = new ScenarioRun(
    new Machine(generationOf(trace.kernel)!, undefined, { pauses: new Turn(false) }),
  );
  const steps: Step[] = [];
  for (const [i, { expect: _expect, ...step }] of trace.steps.entries()) {
    steps.push({ ...(step as Step), expect: expectationOf(yield* run.steps(step as Step, i)) });
    yield;
  }
  run.end();
  return { ...trace, steps };
}
