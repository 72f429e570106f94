import { type Finding, reaches } from './goals.ts';
import type { Scene } from './scene.ts';
import { Visited } from './visited.ts';
import { Walker } from './walker.ts';

/** How far a search goes. */
export interface Bounds {
  /** Actions of the longest path. */
  readonly depth: number;
  /** For the states that have been found, bytes. */
  readonly memory: number;
  /** Seconds. */
  readonly time: number;
}

/** A finding, and the actions that lead to it: no shorter path of the scene's actions does. */
interface Hit {
  readonly finding: Finding;
  readonly path: readonly number[];
}

/** Why a search ended: everything within the depth was tried, there is nothing more, or it was cut short. */
type Ended = 'goal' | 'depth' | 'exhausted' | 'time' | 'memory' | 'stopped';

/** What a search has come to, or has come to so far. */
export interface Progress {
  /** The shortest path to each finding. */
  readonly hits: readonly Hit[];
  readonly states: number;
  /** Actions taken, those that changed nothing included. */
  readonly transitions: number;
  /** Every path of so many actions has been tried. */
  readonly depth: number;
  /** States to go on from at the next depth. */
  readonly frontier: number;
  readonly seconds: number;
}

export interface Outcome extends Progress {
  readonly ended: Ended;
}

/** States that are looked at before others have their turn. */
const STATES_A_TURN = 16;

/**
 * Breadth-first search over a scene: states by their canonical form, each gone on from once. A dead or deadlocked task
 * ends a path.
 *
 * @param goal the search ends with the first finding that reaches it; null: it looks for every finding there is
 * @param now the time, milliseconds
 */
export class Search {
  private readonly walker: Walker;
  private readonly visited: Visited;
  private readonly hits = new Map<Finding, Hit>();
  private readonly began: number;
  private transitions = 0;
  private depth = 0;
  private frontier = 1;

  constructor(
    private readonly scene: Scene,
    private readonly bounds: Bounds,
    private readonly goal: string | null,
    private readonly now: () => number,
  ) {
    this.began = now();
    this.walker = new Walker(scene);
    this.visited = new Visited(Visited.bufferFor(bounds.memory));
    const { low, high } = this.walker.fingerprint();
    this.visited.add(low, high, -1, 0);
  }

  get progress(): Progress {
    const { hits, transitions, depth, frontier } = this;
    return {
      hits: [...hits.values()],
      states: this.visited.count,
      transitions,
      depth,
      frontier,
      seconds: (this.now() - this.began) / 1000,
    };
  }

  /** Searches, stopping now and then; whoever runs it may stop it there. */
  *run(): Generator<void, Outcome> {
    const { visited, bounds } = this;
    let from = 0;
    let ended: Ended | null = null;
    while (ended === null) {
      const to = visited.count;
      if (this.depth === bounds.depth) ended = 'depth';
      else if (from === to) ended = 'exhausted';
      for (; ended === null && from < to; from++) {
        ended = this.expand(from);
        if (from % STATES_A_TURN === 0) yield;
      }
      if (ended) break;
      this.depth++;
      this.frontier = visited.count - to;
    }
    return { ...this.progress, ended };
  }

  /** Takes every action from a state; why the search ends with it, or null. */
  private expand(state: number): Ended | null {
    const { stackTraceLimit } = Error;
    // A BUG_ON is an error that is thrown, and nobody looks at its stack.
    Error.stackTraceLimit = 0;
    try {
      return this.expandQuickly(state);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  private expandQuickly(state: number): Ended | null {
    const { walker, visited, scene } = this;
    walker.goTo(visited.pathTo(state));
    for (let action = 0; action < scene.actions.length; action++) {
      this.transitions++;
      if (!walker.take(action)) continue;
      if (walker.findings.length > 0 && this.note(state, action)) return 'goal';
      // Where the last depth leads to is not gone on from.
      if (this.depth + 1 < this.bounds.depth && !walker.findings.some(isFinal)) {
        const { low, high } = walker.fingerprint();
        visited.add(low, high, state, action);
      }
      walker.back();
    }
    if (visited.isFull) return 'memory';
    return this.now() - this.began > this.bounds.time * 1000 ? 'time' : null;
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
