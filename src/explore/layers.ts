import type { Hit } from './expander.ts';
import type { Finding } from './goals.ts';
import type { Visited } from './visited.ts';

/** How far a search goes. */
export interface Bounds {
  /** Actions of the longest path. */
  readonly depth: number;
  /** For the states that have been found, bytes. */
  readonly memory: number;
  /** Seconds. */
  readonly time: number;
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
  /** States to go on from at this depth. */
  readonly frontier: number;
  readonly seconds: number;
}

export interface Outcome extends Progress {
  readonly ended: Ended;
}

/** Where a search stands: the states that are gone on from now are those from `from` up to `to`. */
export interface Standing {
  depth: number;
  from: number;
  to: number;
  transitions: number;
  /** Of earlier runs. */
  seconds: number;
  hits: Hit[];
}

/** The layers of a breadth-first search: the states at each depth, one depth after the other. */
export class Layers {
  private readonly hits = new Map<Finding, Hit>();
  private readonly began: number;
  /** States of this layer, and of all up to it; of a search that goes on the numbers that nobody has are counted too. */
  private frontier: number;
  private upTo: number;

  /** @param now the time, milliseconds */
  constructor(
    readonly visited: Visited,
    readonly bounds: Bounds,
    private readonly now: () => number,
    readonly standing: Standing = { depth: 0, from: 0, to: 1, transitions: 0, seconds: 0, hits: [] },
  ) {
    this.began = now();
    this.frontier = standing.to - standing.from;
    this.upTo = standing.to;
    this.note(standing.hits);
  }

  /** Whether nobody goes on from what is found now. */
  get isLast(): boolean {
    return this.standing.depth + 1 >= this.bounds.depth;
  }

  /** Why there is no layer to go on with; null where there is one. */
  get end(): 'depth' | 'exhausted' | null {
    const { depth, from, to } = this.standing;
    if (depth >= this.bounds.depth) return 'depth';
    return from === to ? 'exhausted' : null;
  }

  /** Why the search must be cut short; null: it need not. */
  get cut(): 'memory' | 'time' | null {
    if (this.visited.isFull) return 'memory';
    return this.now() - this.began > this.bounds.time * 1000 ? 'time' : null;
  }

  /** The layer is done: the next one is of the states found meanwhile. */
  next(): void {
    const { standing, visited } = this;
    standing.depth++;
    standing.from = standing.to;
    standing.to = visited.count;
    this.frontier = visited.states - this.upTo;
    this.upTo = visited.states;
  }

  /** Notes paths to findings: of several that are as short, the first by the numbers of its actions. */
  note(hits: Iterable<Hit>): void {
    for (const hit of hits) {
      const known = this.hits.get(hit.finding);
      if (!known || isBefore(hit.path, known.path)) this.hits.set(hit.finding, hit);
    }
    this.standing.hits = [...this.hits.values()];
  }

  get progress(): Progress {
    const { hits, transitions, depth, seconds } = this.standing;
    return {
      hits,
      states: this.visited.states,
      transitions,
      depth,
      frontier: this.frontier,
      seconds: seconds + (this.now() - this.began) / 1000,
    };
  }
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return a.length < b.length;
  const at = a.findIndex((action, i) => action !== b[i]);
  return at >= 0 && a[at]! < b[at]!;
}
