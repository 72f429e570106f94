import { Worker } from 'node:worker_threads';
import { CONTROL, type Share, type ThreadData } from './control.ts';
import type { Hit } from './expander.ts';
import { type Bounds, Layers, type Outcome, type Progress, type Standing } from './layers.ts';
import { Remembered } from './remembered.ts';
import type { ExploreRequest } from './request.ts';
import { sceneOfRequest } from './request.ts';
import { Visited } from './visited.ts';
import { Walker } from './walker.ts';

/**
 * The same search on several threads. They share the table of states; each goes on from those of a layer that it has
 * found itself, and then takes a few at a time of the others', neighbours, because the ways to those have most in common. Which of several paths that are as short is found may be
 * another one each time; how short they are is not.
 */
export class ParallelSearch {
  readonly layers: Layers;
  private readonly control = new Int32Array(new SharedArrayBuffer(4 * CONTROL.words));
  private readonly workers: Worker[];
  private readonly remembered: Remembered;
  private transitions = 0;
  private readonly before: number;

  constructor(
    private readonly request: ExploreRequest,
    threads: number,
    now: () => number,
    resumed?: { visited: Visited; standing: Standing },
  ) {
    const { bounds }: { bounds: Bounds } = request;
    const visited = resumed?.visited ?? new Visited(Visited.bufferFor(bounds.memory));
    this.layers = new Layers(visited, bounds, now, resumed?.standing);
    this.before = this.layers.standing.transitions;
    if (visited.count === 0) {
      const { low, high } = new Walker(sceneOfRequest(request)).fingerprint();
      visited.add(low, high, -1, 0);
    }
    const remembered = Remembered.bufferFor(visited.capacity);
    this.remembered = new Remembered(remembered);
    const { gen, ...rest } = request;
    const data: ThreadData = {
      request: { ...rest, kernel: gen.version },
      states: visited.buffer,
      remembered,
      control: this.control,
    };
    // Beside this file; of the program that is bundled into a few files, where the compiler put it.
    const isBundled = !import.meta.url.includes('/explore/');
    const file = new URL(isBundled ? './explore/worker.js' : './worker.js', import.meta.url);
    this.workers = Array.from({ length: threads }, () => new Worker(file, { workerData: data }));
  }

  get progress(): Progress {
    this.layers.standing.transitions = this.before + this.transitions + this.control[CONTROL.transitions]!;
    return this.layers.progress;
  }

  /** Searches to its end; `tick` is called now and then, and says whether to stop. */
  async run(tick: () => boolean): Promise<Outcome> {
    let stopped = false;
    const { layers, control } = this;
    const timer = setInterval(() => {
      stopped ||= tick();
      if (stopped || layers.cut) Atomics.store(control, CONTROL.stop, 1);
    }, 50);
    try {
      for (let ended = layers.end; ; ended = layers.end) {
        if (ended) return { ...this.progress, ended };
        const reached = await this.layer();
        if (reached) return { ...this.progress, ended: 'goal' };
        if (stopped) return { ...this.progress, ended: 'stopped' };
        const { cut } = layers;
        if (cut) return { ...this.progress, ended: cut };
        layers.next();
        this.remembered.makeRoom();
      }
    } finally {
      clearInterval(timer);
      await Promise.all(this.workers.map((worker) => worker.terminate()));
    }
  }

  /** Goes on from every state of a layer; whether the goal was reached. */
  private async layer(): Promise<boolean> {
    const { layers, control, workers } = this;
    const { from, to } = layers.standing;
    Atomics.store(control, CONTROL.next, from);
    Atomics.store(control, CONTROL.end, to);
    Atomics.store(control, CONTROL.isLast, layers.isLast ? 1 : 0);
    const shares = await Promise.all(workers.map(shareOf));
    this.transitions += Atomics.exchange(control, CONTROL.transitions, 0);
    const hits: Hit[] = shares.flatMap((share) => share.hits);
    layers.note(hits);
    return this.request.goal !== null && hits.length > 0;
  }
}

/** Has a thread do its share of a layer. */
function shareOf(worker: Worker): Promise<Share> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (share: Share) => {
      worker.off('error', reject);
      resolve(share);
    });
    worker.postMessage('layer');
  });
}
