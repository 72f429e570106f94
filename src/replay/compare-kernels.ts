import { isDeepStrictEqual } from 'node:util';
import type { ComparisonView } from '../../schemas/views.ts';
import {
  differencesBetween,
  type KernelDifference,
  neighbourOf,
  withDifference,
} from '../kernel/generations/differences.ts';
import { ENGINE_TRAITS } from '../kernel/generations/engine-differences.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { Machine } from '../machine/machine.ts';
import { atOnce } from '../turns.ts';
import { driverReasons } from './driver-reasons.ts';
import { engineReasons } from './engine-reasons.ts';
import { watchedSteps } from './run.ts';
import { callOf, type Expectation, type Scenario } from './scenario.ts';

/** Makes a fresh machine of a generation. */
type MachineOf = (gen: Generation) => Machine;

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
  return atOnce(comparisonSteps(scenario, generations, machineOf));
}

/**
 * The same, stopping after every step of every run.
 *
 * @param keeps told the bytes of each answer that is kept; what it throws ends the comparison
 */
export function* comparisonSteps(
  scenario: Scenario,
  generations: readonly Generation[],
  machineOf: MachineOf,
  keeps: (bytes: number) => void = () => {},
): Generator<void, StepComparison[]> {
  const runs: Expectation[][] = [];
  for (const gen of generations) {
    const run: Expectation[] = [];
    yield* watchedSteps(machineOf(gen), scenario, (seen, i) => {
      const answer = comparable(seen);
      // What is answered alike is kept once.
      const same = runs.find((other) => isDeepStrictEqual(other[i], answer));
      if (!same) keeps(bytesOf(answer));
      run.push(same ? same[i]! : answer);
    });
    runs.push(run);
  }
  const reasons: Attribution[] = [];
  for (const [i, gen] of generations.slice(1).entries()) {
    const from = generations.indexOf(neighbourOf(gen, generations)!);
    const attribution = new Attribution(scenario, generations[from]!, gen, runs[from]!, runs[i + 1]!);
    yield* attribution.find(machineOf);
    reasons.push(attribution);
  }
  const found: StepComparison[] = [];
  for (const [index, step] of scenario.steps.entries()) {
    yield;
    const answers = runs.map((run) => run[index]);
    if (answers.every((answer) => isDeepStrictEqual(answer, answers[0]))) continue;
    found.push({
      step: index,
      call: callOf(step),
      answers: Object.fromEntries(
        generations.flatMap((gen, i) => (answers[i] ? [[gen.version, answers[i]]] : [])),
      ),
      reasons: reasons.flatMap((attribution) => attribution.of(index)),
    });
  }
  return found;
}

/** Bytes that a value takes, about. */
function bytesOf(value: unknown): number {
  if (typeof value === 'string') return 16 + value.length;
  if (typeof value !== 'object' || value === null) return 8;
  return Object.values(value).reduce<number>((sum, inner) => sum + 8 + bytesOf(inner), 32);
}

/** Whether two runs are answered alike, stopping after every step. */
function* areAlike(one: readonly Expectation[], other: readonly Expectation[]): Generator<void, boolean> {
  for (const [i, answer] of one.entries()) {
    if (!isDeepStrictEqual(answer, other[i])) return false;
    yield;
  }
  return one.length === other.length;
}

/** An answer without what only names a place in one build's source: line numbers. */
function comparable(answer: Expectation): Expectation {
  if (!answer.log) return answer;
  return { ...answer, log: answer.log.map(({ line: _line, ...entry }) => entry) };
}

/** The differences of the same switches, and the steps that are answered otherwise when they alone are given, or taken. */
interface Trial {
  readonly differences: KernelDifference[];
  readonly matters: ReadonlySet<number>;
}

/**
 * Finds which differences between two kernels make a step differ, by trying: each difference alone is given to
 * the older kernel, and taken from the newer one, and the scenario is run again. Those between two engines come
 * together; which of them it is, the step's answers tell.
 */
class Attribution {
  private readonly trials: Trial[] = [];

  constructor(
    private readonly scenario: Scenario,
    private readonly from: Generation,
    private readonly to: Generation,
    private readonly before: readonly Expectation[],
    private readonly after: readonly Expectation[],
  ) {}

  /** Tries the differences, stopping after every step of every run. */
  *find(machineOf: MachineOf): Generator<void, void> {
    const { scenario, from, to, before, after } = this;
    if (yield* areAlike(before, after)) return;
    // Of the trials' own answers none is kept: there are many of them.
    const otherwise = (gen: Generation, than: readonly Expectation[], steps: Set<number>) =>
      watchedSteps(machineOf(gen), scenario, (seen, i) => {
        if (!isDeepStrictEqual(comparable(seen), than[i])) steps.add(i);
      });
    for (const difference of differencesBetween(from, to)) {
      const same = this.trials.find(({ differences: [one] }) => one!.traits === difference.traits);
      if (same) {
        same.differences.push(difference);
        continue;
      }
      const matters = new Set<number>();
      yield* otherwise(withDifference(from, to, difference), before, matters);
      yield* otherwise(withDifference(to, from, difference), after, matters);
      this.trials.push({ differences: [difference], matters });
    }
  }

  of(step: number): Reason[] {
    const { from, to } = this;
    if (isDeepStrictEqual(this.before[step], this.after[step])) return [];
    return this.trials
      .filter(({ matters }) => matters.has(step))
      .flatMap(({ differences }) => this.shownAt(step, differences))
      .map(({ id, text }) => ({ from: from.version, to: to.version, id, text }));
  }

  /** Of differences that come together, those that the step shows. */
  private shownAt(step: number, differences: KernelDifference[]): KernelDifference[] {
    if (differences.length === 1) return differences;
    if (differences[0]!.traits !== ENGINE_TRAITS) {
      const at = Array.from({ length: step + 1 }, (_, i) => this.driversAt(i));
      return [...driverReasons(differences, at[step]!, at.slice(0, step))];
    }
    const answers = Array.from({ length: step + 1 }, (_, i) => this.answersAt(i));
    const reasons: string[] = engineReasons({ ...answers[step]!, earlier: answers.slice(0, step) });
    return differences.filter(({ id }) => reasons.includes(id));
  }

  private driversAt(step: number) {
    return { step: this.scenario.steps[step]!, older: this.before[step]!, newer: this.after[step]! };
  }

  private answersAt(step: number) {
    const [before, after] = [this.before[step]!, this.after[step]!];
    const [type1, iommufd] = this.to.containerOf === 'iommufd' ? [before, after] : [after, before];
    return { step: this.scenario.steps[step]!, type1, iommufd };
  }
}
