import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compare } from '../../src/replay/compare.ts';
import { ScenarioRun } from '../../src/replay/run.ts';
import type { Expectation, Scenario } from '../../src/replay/scenario.ts';
import { newHost } from '../harness/host.ts';

const FILE = 'conformance/linux-6.12-iommufd/experiments/accounting-pinned-vm.jsonl';
const scenarios = readFileSync(FILE, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line) as Scenario);

test.each(scenarios)('$id: pinned_vm and locked_vm after every step', (scenario) => {
  const host = newHost('6.12-iommufd');
  const run = new ScenarioRun(host.machine);
  for (const [index, step] of scenario.steps.entries()) {
    const { pinnedVm, ...expected } = step.expect as Expectation & { pinnedVm?: number };
    const seen = run.take(step, index);
    expect(compare(expected, seen), `step ${index}`).toEqual([]);
    if (pinnedVm !== undefined) expect(host.machine.process('p0').pinnedVm, `step ${index}`).toBe(pinnedVm);
  }
});
