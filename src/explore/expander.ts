import { type Finding, reaches } from './goals.ts';
import type { Kept } from './place.ts';
import type { Scene } from './scene.ts';
import type { Visited } from './visited.ts';
import { Walker } from './walker.ts';

/** States that are kept as they were found, to be gone on from: some 500 bytes each. */
const KEPT = 65_536;

/** A finding, and the actions that lead to it: no shorter path of the scene's actions does. */
export interface Hit {
  readonly finding: Finding;
  readonly path: readonly number[];
}

/** Goes on from states that have been found, by every action, and notes what comes of it. */
export class Expander {
  readonly walker: Walker;
  /** The first path to each finding. */
  readonly hits = new Map<Finding, Hit>();
  /** Actions taken. */
  transitions = 0;
  /** By number, in the order in which they were found. */
  private readonly kept = new Map<number, Kept>();

  /** @param goal what is looked for; null: every finding there is */
  constructor(
    private readonly scene: Scene,
    private readonly visited: Visited,
    private readonly goal: string | null,
  ) {
    this.walker = new Walker(scene);
  }

  /**
   * Takes every action from a state.
   *
   * @param isLast whether nobody goes on from what is found now
   * @returns whether the goal was reached
   */
  expand(state: number, isLast: boolean): boolean {
    if (this.visited.isDropped(state)) return false;
    const { stackTraceLimit } = Error;
    // A BUG_ON is an error that is thrown, and nobody looks at its stack.
    Error.stackTraceLimit = 0;
    try {
      return this.expandQuickly(state, isLast);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  private expandQuickly(state: number, isLast: boolean): boolean {
    const { walker, visited, scene, kept } = this;
    const path = visited.pathTo(state);
    const place = kept.get(state);
    if (place) walker.goToKept(place, path);
    else walker.goTo(path);
    kept.delete(state);
    for (let action = 0; action < scene.actions.length; action++) {
      this.transitions++;
      if (!walker.take(action)) continue;
      if (walker.findings.length > 0 && this.note(state, action)) return true;
      if (!isLast && walker.hasChanged && !walker.findings.some(isFinal)) {
        const { low, high } = walker.fingerprint();
        const found = visited.add(low, high, state, action);
        if (found >= 0) this.keep(found);
      }
      walker.back();
    }
    return false;
  }

  private keep(state: number): void {
    const { kept } = this;
    const place = kept.size < KEPT ? this.walker.keep() : null;
    if (place) kept.set(state, place);
  }

  /** The states with lower numbers that are kept, in the order in which they were found. */
  keptBelow(end: number): number[] {
    return [...this.kept.keys()].filter((state) => state < end);
  }

  /** Everything before a state has been gone on from, by whomever. */
  forget(before: number): void {
    for (const state of this.kept.keys()) {
      if (state >= before) return;
      this.kept.delete(state);
    }
  }

  /** Notes what has been found for the first time, of a goal what reaches it; whether there was such. */
  private note(state: number, action: number): boolean {
    const { hits, goal } = this;
    let reached = false;
    for (const finding of this.walker.findings) {
      if (goal !== null && !reaches(finding, goal)) continue;
      reached = goal !== null;
      if (!hits.has(finding)) hits.set(finding, { finding, path: [...this.visited.pathTo(state), action] });
    }
    return reached;
  }
}

/** Whether nothing comes after it that is worth a look: locks are held for ever from then on. */
function isFinal(finding: Finding): boolean {
  return finding.startsWith('BUG_ON') || finding.startsWith('DEADLOCK');
}
