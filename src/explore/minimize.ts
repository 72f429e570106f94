import { generationOf } from '../kernel/generations/index.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { ScenarioRun } from '../replay/run.ts';
import type { Scenario, Step } from '../replay/scenario.ts';
import { atOnce, Turn } from '../turns.ts';
import { adviceFound, type Finding, findingsOf, reaches } from './goals.ts';
import { smallerSteps } from './smaller.ts';
import { expectationSteps } from './trace.ts';
import type { LongWork } from './work.ts';

/** A finding of a trace, and the step it came with. */
interface Found {
  readonly finding: Finding;
  readonly step: number;
}

/** What a trace was shrunk to. */
interface Minimized extends Record<string, unknown> {
  readonly scenario: Scenario;
  /** What it still comes to. */
  readonly finding: Finding;
  readonly before: number;
  readonly after: number;
  /** Traces that were tried. */
  readonly tried: number;
  /** Whether it was done to the end: no step can be left out any more, and no value be made smaller. */
  readonly whole: boolean;
}

/** From the worst on. */
const KINDS = ['BUG_ON', 'DEADLOCK', 'WARN_ON', 'ADVISORY', 'PRINTED'];

/**
 * Shrinks a trace to one that comes to the same finding, and of which no step can be left out and no value be made
 * smaller: by delta debugging over its steps, then over sizes and addresses.
 */
export class Minimizing implements LongWork {
  private steps: Step[];
  /** Traces that were tried. */
  tried = 0;
  private isDone = false;
  /** What the trace is to come to; null until it has been run once. */
  private target: Finding | null = null;

  /**
   * @param goal what it is to come to; null: the worst that it comes to
   * @param isOver whether the time is up: then what there is so far is the answer
   */
  constructor(
    private readonly trace: Scenario,
    private readonly goal: string | null,
    private readonly isOver: () => boolean,
  ) {
    this.steps = trace.steps.map(({ expect: _expect, ...step }) => step as Step);
  }

  /** What it has come to. */
  result(): Minimized {
    return atOnce(this.resultSteps());
  }

  /**
   * The same, stopping now and then.
   *
   * @throws Refused where it was stopped before the trace had come to anything
   */
  *resultSteps(): Generator<void, Minimized> {
    const { trace, target, tried } = this;
    if (target === null) throw new Refused('abandoned', 'it was stopped before the trace had been run once');
    const scenario = yield* expectationSteps({ ...trace, steps: this.steps });
    const [before, after] = [trace.steps.length, this.steps.length];
    return { scenario, finding: target, before, after, tried, whole: this.isDone };
  }

  /** @throws Refused where the trace comes to no such thing */
  *run(): Generator<void, void> {
    yield* this.findTarget();
    for (let changed = true; changed && !this.isOver(); ) {
      const fewer = yield* this.fewerSteps();
      changed = (yield* this.smallerValues()) || fewer;
    }
    this.isDone = !this.isOver();
  }

  private *findTarget(): Generator<void, void> {
    const { trace, goal } = this;
    const found = yield* this.found(trace.steps, () => false);
    const target = found === null ? null : targetOf(found, goal);
    if (!target) {
      throw Refused.badRequest(
        found === null
          ? 'a step of the trace is no call that can be made'
          : `the trace comes to no ${goal ?? 'splat, deadlock or advisory'}`,
      );
    }
    this.target = target.finding;
    this.steps = (yield* this.upToTarget(this.steps)) ?? this.steps;
  }

  /** Leaves out steps, in large pieces first; whether it could. */
  private *fewerSteps(): Generator<void, boolean> {
    let changed = false;
    for (let size = Math.ceil(this.steps.length / 2); size >= 1; ) {
      let removed = false;
      for (let at = this.steps.length - size; at > -size && !this.isOver(); at -= size) {
        const from = Math.max(at, 0);
        if (from >= this.steps.length) continue;
        removed = (yield* this.accept(withoutSteps(this.steps, from, from + size))) || removed;
        yield;
      }
      changed ||= removed;
      if (this.isOver()) break;
      if (size === 1 && !removed) break;
      size = size === 1 ? 1 : Math.ceil(size / 2);
    }
    return changed;
  }

  /** Makes sizes and addresses smaller, and leaves out what need not be said; whether it could. */
  private *smallerValues(): Generator<void, boolean> {
    let changed = false;
    for (let again = true; again && !this.isOver(); ) {
      again = false;
      for (const candidate of smallerSteps(this.steps)) {
        yield;
        if (this.isOver()) break;
        if (!(yield* this.accept(candidate))) continue;
        again = true;
        changed = true;
        // What could be smaller now is another list.
        break;
      }
    }
    return changed;
  }

  /** Takes a trace in place of the one there is, where it comes to the same. */
  private *accept(steps: Step[]): Generator<void, boolean> {
    const shorter = yield* this.upToTarget(steps);
    if (!shorter) return false;
    this.steps = shorter;
    return true;
  }

  /** A trace up to where it comes to the finding; null where it does not. */
  private *upToTarget(steps: Step[]): Generator<void, Step[] | null> {
    const found = yield* this.found(steps, (finding) => finding === this.target);
    const last = found?.find(({ finding }) => finding === this.target);
    return last ? steps.slice(0, last.step + 1) : null;
  }

  /** What a trace comes to, until `enough`; null where a step of it is no call. */
  private *found(
    steps: readonly Step[],
    enough: (finding: Finding) => boolean,
  ): Generator<void, Found[] | null> {
    this.tried++;
    const found: Found[] = [];
    let step = 0;
    const note = (findings: readonly Finding[]) => {
      for (const finding of findings) found.push({ finding, step });
    };
    const machine = new Machine(generationOf(this.trace.kernel)!, undefined, {
      pauses: new Turn(false),
      listeners: [
        {
          splat: (task, event) => note(findingsOf(task, event)),
          advisory: (_task, advisory) => note(adviceFound(advisory)),
        },
      ],
    });
    const run = new ScenarioRun(machine);
    try {
      for (; step < steps.length; step++) {
        yield* run.steps(steps[step]!, step);
        yield;
        if (found.some(({ finding }) => enough(finding))) break;
      }
    } catch (error) {
      if (error instanceof Refused) return null;
      throw error;
    }
    return found;
  }
}

/** The finding that a trace is to come to: the worst, the last of those, and of that what says most. */
function targetOf(found: readonly Found[], goal: string | null): Found | null {
  const rank = ({ finding }: Found) => KINDS.indexOf(finding.split(':')[0]!);
  const wanted = found.filter(({ finding }) => reaches(finding, goal ?? 'any'));
  const worst = wanted.filter((one) => rank(one) === Math.min(...wanted.map(rank)));
  return worst.sort((a, b) => b.step - a.step || b.finding.length - a.finding.length)[0] ?? null;
}

/** Without the steps [from, to), and without what waits for one of them. */
function withoutSteps(steps: readonly Step[], from: number, to: number): Step[] {
  const gone = new Set(steps.slice(from, to).map(({ async }) => async));
  return steps.filter((step, i) => {
    if (i >= from && i < to) return false;
    return step.call !== 'await' || !gone.has(String(step.of));
  });
}
