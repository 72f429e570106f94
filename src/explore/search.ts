import { Expander } from './expander.ts';
import { type Bounds, Layers, type Outcome, type Progress, type Standing } from './layers.ts';
import { Remembered } from './remembered.ts';
import type { Scene } from './scene.ts';
import { setScene } from './set-scene.ts';
import { Visited } from './visited.ts';
import { Walker } from './walker.ts';

/**
 * Breadth-first search over a scene on one thread: states by their canonical form, each gone on from once. A dead or
 * deadlocked task ends a path.
 */
export class Search {
  readonly layers: Layers;
  private expander: Expander | null = null;
  private readonly remembered: Remembered;
  private readonly before: number;

  /**
   * @param goal the search ends with the first finding that reaches it; null: it looks for every finding there is
   * @param now the time, milliseconds
   * @param resumed where an earlier run stood, with what it had found
   */
  constructor(
    private readonly scene: Scene,
    bounds: Bounds,
    private readonly goal: string | null,
    now: () => number,
    resumed?: { visited: Visited; standing: Standing },
  ) {
    const visited = resumed?.visited ?? new Visited(Visited.bufferFor(bounds.memory));
    this.layers = new Layers(visited, bounds, now, resumed?.standing);
    this.before = this.layers.standing.transitions;
    this.remembered = new Remembered(Remembered.bufferFor(visited.capacity));
  }

  get progress(): Progress {
    this.sum();
    return this.layers.progress;
  }

  /** Searches, stopping now and then; whoever runs it may stop it there. */
  *run(): Generator<void, Outcome> {
    const { layers, remembered } = this;
    const expander = yield* this.begin();
    for (let ended = layers.end; ; ended = layers.end) {
      if (ended) return { ...this.progress, ended };
      const { from, to } = layers.standing;
      for (let state = from; state < to; state++) {
        const reached = (yield* expander.expand(state, layers.isLast)) && this.goal !== null;
        const cut = reached ? 'goal' : layers.cut;
        if (cut) return { ...this.progress, ended: cut };
        yield;
      }
      layers.next();
      remembered.makeRoom();
    }
  }

  private *begin(): Generator<void, Expander> {
    const { scene, remembered, goal } = this;
    const { visited } = this.layers;
    const set = yield* setScene(scene, remembered.entries);
    const walker = new Walker(scene, set);
    this.expander = new Expander(walker, visited, remembered, goal);
    if (visited.count === 0) {
      const { low, high } = walker.fingerprint();
      visited.add(low, high, -1, 0);
    }
    yield;
    return this.expander;
  }

  private sum(): void {
    const { layers, expander } = this;
    if (!expander) return;
    layers.standing.transitions = this.before + expander.transitions;
    layers.note(expander.hits.values());
  }
}
