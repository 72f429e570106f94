import type { DifferenceView } from '../../schemas/views.ts';
import type { Machine } from '../machine/machine.ts';
import { atOnce } from '../turns.ts';
import { compare } from './compare.ts';
import { ScenarioRun } from './run.ts';
import type { Scenario } from './scenario.ts';

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
    const seen = run.take(step, index);
    yield;
    const { expect } = step;
    if (!expect) continue;
    const note = (field: string, expected: unknown, actual: unknown) =>
      differences.push({ step: index, call: step.call, field, expected, actual });
    const hangs = seen.hangs || seen.wedged;
    if ((expect.hangs ?? false) !== hangs) note('hangs', expect.hangs ?? false, hangs);
    if (expect.hangs || hangs) continue;
    for (const { field, expected, actual } of compare(expect, seen)) note(field, expected, actual);
  }
  run.end();
  return differences;
}
