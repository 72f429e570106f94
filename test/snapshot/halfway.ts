import { compare } from '../../src/replay/compare.ts';
import { ScenarioRun } from '../../src/replay/run.ts';
import type { Scenario } from '../../src/replay/scenario.ts';
import { newHost } from '../harness/host.ts';
import { hostFrom, textOf } from './restored.ts';

/** The last place in the first half of a scenario where no call is under way or waits to be looked at. */
function halfway({ steps }: Scenario): number {
  const started = new Set<unknown>();
  let place = 0;
  for (const [i, step] of steps.entries()) {
    if (started.size === 0 && i <= steps.length / 2) place = i;
    if (step.async !== undefined) started.add(step.async);
    if (step.call === 'await') started.delete(step.of);
  }
  return place;
}

/** Runs the first half on one host and the second on another, restored from a snapshot; what differs. */
export function differences(scenario: Scenario): unknown[] {
  const place = halfway(scenario);
  let host = newHost(scenario.kernel);
  let run = new ScenarioRun(host.machine);
  const found: unknown[] = [];
  for (const [index, step] of scenario.steps.entries()) {
    if (index === place && host.machine.underway().length === 0) {
      const text = textOf(host);
      host = hostFrom(text);
      if (textOf(host) !== text) found.push({ step: index, field: 'snapshot' });
      run = new ScenarioRun(host.machine);
    }
    const seen = run.take(step, index);
    const { expect: expected } = step;
    if (!expected) continue;
    const hangs = seen.hangs || seen.wedged;
    if ((expected.hangs ?? false) !== hangs)
      found.push({ step: index, call: step.call, field: 'hangs', hangs });
    if (expected.hangs || hangs) continue;
    found.push(
      ...compare(expected, seen).map((difference) => ({ step: index, call: step.call, ...difference })),
    );
  }
  return found;
}
