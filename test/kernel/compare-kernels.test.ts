import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { neighbourOf } from '../../src/kernel/generations/differences.ts';
import { GENERATIONS } from '../../src/kernel/generations/index.ts';
import { compareKernels } from '../../src/replay/compare-kernels.ts';
import { callOf, type Scenario } from '../../src/replay/scenario.ts';
import { hostOf } from '../harness/host.ts';
import { recordings } from '../harness/recordings.ts';

/** The recordings of one file on every kernel, by scenario id. */
function byId(file: string): Map<string, Map<string, Scenario>> {
  const found = new Map<string, Map<string, Scenario>>();
  for (const { version } of GENERATIONS) {
    for (const scenario of recordings(version).find((r) => r.file.startsWith(file))!.scenarios) {
      const versions = found.get(scenario.id) ?? new Map<string, Scenario>();
      found.set(scenario.id, versions.set(version, scenario));
    }
  }
  return found;
}

const withoutLines = (expectation: unknown): unknown =>
  JSON.parse(JSON.stringify(expectation ?? null, (key, value) => (key === 'line' ? undefined : value)));

/** Steps of which the recordings of two kernels are not alike. */
function recordedDifferences(a: Scenario, b: Scenario): number[] {
  const steps = Math.max(a.steps.length, b.steps.length);
  const at = (scenario: Scenario, i: number) => withoutLines(scenario.steps[i]?.expect);
  return Array.from({ length: steps }, (_, i) => i).filter((i) => !isDeepStrictEqual(at(a, i), at(b, i)));
}

/** Both were recorded with the same calls (on 5.10 some were rounded to pages). */
function sameCalls(a: Scenario, b: Scenario): boolean {
  const steps = Math.min(a.steps.length, b.steps.length);
  const calls = (scenario: Scenario) => scenario.steps.slice(0, steps).map(callOf);
  return isDeepStrictEqual(calls(a), calls(b));
}

for (const file of ['corner-cases.jsonl', 'spec-cases.jsonl']) {
  test(`compare finds exactly the differences between the recordings of ${file}`, () => {
    let compared = 0;
    let differing = 0;
    for (const [id, versions] of byId(file)) {
      GENERATIONS.slice(1).forEach((to) => {
        const from = neighbourOf(to, GENERATIONS)!;
        const a = versions.get(from.version);
        const b = versions.get(to.version);
        if (!a || !b || !sameCalls(a, b)) return;
        const longer = a.steps.length >= b.steps.length ? a : b;
        const found = compareKernels(longer, [from, to], (gen) => hostOf(gen).machine);
        expect(
          found.map(({ step }) => step),
          `${id} ${from.version} ${to.version}`,
        ).toEqual(recordedDifferences(a, b));
        for (const { step, reasons } of found) {
          expect(reasons.length, `${id} step ${step}: no reason`).toBeGreaterThan(0);
        }
        compared++;
        if (found.length > 0) differing++;
      });
    }
    console.log(`${file}: ${compared} pairs of recordings compared, ${differing} differ`);
    expect(compared).toBeGreaterThan(100);
  });
}
