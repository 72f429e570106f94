import { isDeepStrictEqual } from 'node:util';
import type { ComparisonView } from '../../schemas/views.ts';
import {
  differencesBetween,
  type KernelDifference,
  withDifference,
} from '../kernel/generations/differences.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { Machine } from '../machine/machine.ts';
import { runScenario } from './run.ts';
import { callOf, type Expectation, type Scenario } from './scenario.ts';

/** Makes a fresh machine of a generation. */
export type MachineOf = (gen: Generation) => Machine;

/** A step that is not answered alike on every kernel. */
export type StepComparison = ComparisonView['steps'][number];
/** Why two neighbouring kernels of a comparison answer a step differently. */
type Reason = StepComparison['reasons'][number];

/** Runs a scenario on several kernels and returns the steps that differ, with the reasons. */
export function compareKernels(
  scenario: Scenario,
  generations: readonly Generation[],
  machineOf: MachineOf,
): StepComparison[] {
  const runs = generations.map((gen) => runScenario(machineOf(gen), scenario).map(comparable));
  const reasons = generations.slice(1).map((gen, i) => {
    const pair = { from: generations[i]!, to: gen };
    return new Attribution(scenario, pair.from, pair.to, runs[i]!, runs[i + 1]!, machineOf);
  });
  return scenario.steps.flatMap((step, index) => {
    const answers = runs.map((run) => run[index]);
    if (answers.every((answer) => isDeepStrictEqual(answer, answers[0]))) return [];
    return [
      {
        step: index,
        call: callOf(step),
        answers: Object.fromEntries(
          generations.flatMap((gen, i) => (answers[i] ? [[gen.version, answers[i]]] : [])),
        ),
        reasons: reasons.flatMap((attribution) => attribution.of(index)),
      },
    ];
  });
}

/** An answer without what only names a place in one build's source: line numbers. */
function comparable(answer: Expectation): Expectation {
  if (!answer.log) return answer;
  return { ...answer, log: answer.log.map(({ line: _line, ...entry }) => entry) };
}

/**
 * Finds which differences between two kernels make a step differ, by trying: each difference alone is given to
 * the older kernel, and taken from the newer one, and the scenario is run again.
 */
class Attribution {
  private readonly trials: { difference: KernelDifference; given: Expectation[]; taken: Expectation[] }[] =
    [];

  constructor(
    scenario: Scenario,
    private readonly from: Generation,
    private readonly to: Generation,
    private readonly before: readonly Expectation[],
    private readonly after: readonly Expectation[],
    machineOf: MachineOf,
  ) {
    if (isDeepStrictEqual(before, after)) return;
    const run = (gen: Generation) => runScenario(machineOf(gen), scenario).map(comparable);
    for (const difference of differencesBetween(from, to)) {
      const given = run(withDifference(from, to, difference));
      const taken = run(withDifference(to, from, difference));
      this.trials.push({ difference, given, taken });
    }
  }

  of(step: number): Reason[] {
    const { from, to } = this;
    if (isDeepStrictEqual(this.before[step], this.after[step])) return [];
    const matter = this.trials.filter(
      ({ given, taken }) =>
        !isDeepStrictEqual(given[step], this.before[step]) ||
        !isDeepStrictEqual(taken[step], this.after[step]),
    );
    return matter.map(({ difference: { id, text } }) => ({ from: from.version, to: to.version, id, text }));
  }
}
