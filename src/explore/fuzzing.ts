import type { Scenario } from '../replay/scenario.ts';
import { atOnce } from '../turns.ts';
import { type Finding, reaches } from './goals.ts';
import { Minimizing } from './minimize.ts';
import { randomOf } from './random.ts';
import type { Scene } from './scene.ts';
import { traceOf } from './trace.ts';
import { Walker } from './walker.ts';

/** A finding of a random walk, its trace shrunk. */
interface Fuzzed {
  readonly finding: Finding;
  /** The trace, and how many calls the walk had made. */
  readonly scenario: Scenario;
  readonly walked: number;
}

/** Calls of a walk that nothing ended. */
const WALK = 200;
/** Calls made before others have their turn. */
const CALLS_A_TURN = 64;
/** Traces that are tried to shrink a finding. */
const SHRINKING = 2000;

/**
 * Walks a scene at random, where it is too wide to be searched: what a walk comes to is shrunk. The same seed takes the
 * same ways.
 *
 * @param goal what is looked for; null: every finding there is
 * @param tell is told of each finding, the first time
 */
export class Fuzzing {
  private readonly walker: Walker;
  private readonly next: () => number;
  private readonly found = new Set<Finding>();
  /** Walks, and calls made, those that changed nothing included. */
  walks = 0;
  calls = 0;

  constructor(
    private readonly scene: Scene,
    private readonly goal: string | null,
    seed: number,
    private readonly tell: (fuzzed: Fuzzed) => void,
  ) {
    this.walker = new Walker(scene);
    this.next = randomOf(seed);
  }

  /** Walks until the goal is reached, or until nobody goes on; stops now and then. */
  *run(): Generator<void, void> {
    const { walker, scene } = this;
    for (;;) {
      this.walks++;
      walker.goTo([]);
      const path: number[] = [];
      while (path.length < WALK) {
        const action = Math.floor(this.next() * scene.actions.length);
        if (++this.calls % CALLS_A_TURN === 0) yield;
        if (!walker.take(action)) continue;
        path.push(action);
        const { findings } = walker;
        if (findings.length === 0) continue;
        if (this.note(path, [...findings])) return;
        // Locks are held for ever from here on.
        if (findings.some((finding) => /^(BUG_ON|DEADLOCK)/.test(finding))) break;
      }
    }
  }

  /** Notes what is new; whether the goal is reached. */
  private note(path: readonly number[], findings: readonly Finding[]): boolean {
    const { goal, scene, found } = this;
    for (const finding of findings) {
      if (found.has(finding) || (goal !== null && !reaches(finding, goal))) continue;
      found.add(finding);
      const trace = traceOf(`${finding} ${scene.gen.version}`, scene, path);
      const minimizing: Minimizing = new Minimizing(trace, finding, () => minimizing.tried > SHRINKING);
      atOnce(minimizing.run());
      this.tell({ finding, scenario: minimizing.result().scenario, walked: path.length });
      if (goal !== null) return true;
    }
    return false;
  }
}
