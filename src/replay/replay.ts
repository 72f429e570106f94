import type { Host } from '../host/host.ts';
import { compare } from './compare.ts';
import { ScenarioRun } from './run.ts';
import type { Difference, Scenario } from './scenario.ts';

/**
 * Runs a scenario on a host that is as after a reset, step by step, and returns every difference from its
 * expectations.
 *
 * @throws RequestProblem when a step is not a valid call
 */
export function replay(host: Host, scenario: Scenario): Difference[] {
  const differences: Difference[] = [];
  const run = new ScenarioRun(host);
  for (const [index, step] of scenario.steps.entries()) {
    const seen = run.take(step, index);
    const note = (field: string, expected: unknown, actual: unknown) =>
      differences.push({ step: index, call: step.call, field, expected, actual });
    if (step.expect?.hangs || seen.hangs) {
      if (step.expect && !step.expect.hangs !== !seen.hangs)
        note('hangs', step.expect.hangs ?? false, seen.hangs);
      continue;
    }
    if (step.expect) for (const m of compare(step.expect, seen)) note(m.field, m.expected, m.actual);
  }
  run.end();
  return differences;
}
