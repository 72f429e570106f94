import type { DifferenceView } from '../../schemas/views.ts';
import type { Machine } from '../machine/machine.ts';
import { atOnce } from '../turns.ts';
import { compare } from './compare.ts';
import { ScenarioRun } from './run.ts';
import type { Observation, Scenario, Step } from './scenario.ts';

/**
 * Runs a scenario on a machine that is as after a reset, step by step, and returns every difference from its
 * expectations.
 *
 * @throws Refused when a step is not a valid call
 */
export function replay(machine: Machine, scenario: Scenario): DifferenceView[] {
  return atOnce(replaySteps(machine, scenario));
}

/** The same, stopping after every step, so that others can have their turn. */
export function* replaySteps(machine: Machine, scenario: Scenario): Generator<void, DifferenceView[]> {
  const differences: DifferenceView[] = [];
  const run = new ScenarioRun(machine);
  for (const [index, step] of scenario.steps.entries()) {
    const seen = yield* run.steps(step, index);
    yield;
    differences.push(...differencesOf(step, index, seen));
  }
  run.end();
  return differences;
}

/** In what a step differed from what it expects; one that expects nothing differs in nothing. */
export function differencesOf(
  { call, expect }: Step,
  index: number,
  seen: Observation & { hangs: boolean },
): DifferenceView[] {
  if (!expect) return [];
  const different = (field: string, expected: unknown, actual: unknown) => ({
    step: index,
    call,
    field,
    expected,
    actual,
  });
  const hangs = seen.hangs || seen.wedged;
  const hung = (expect.hangs ?? false) === hangs ? [] : [different('hangs', expect.hangs ?? false, hangs)];
  if (expect.hangs || hangs) return hung;
  return [
    ...hung,
    ...compare(expect, seen).map(({ field, expected, actual }) => different(field, expected, actual)),
  ];
}
