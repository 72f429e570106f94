import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import { sceneOf } from '../../src/explore/alphabet.ts';
import type { Outcome } from '../../src/explore/layers.ts';
import { Search } from '../../src/explore/search.ts';
import { traceOf } from '../../src/explore/trace.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import type { Scenario } from '../../src/replay/scenario.ts';
import { atOnce } from '../../src/turns.ts';

/** What is searched for, and how far. */
interface Asked {
  readonly kernel?: string;
  readonly drivers: readonly Driver[];
  readonly goal?: string;
  readonly pages?: number;
  readonly depth?: number;
  readonly memory?: number;
  readonly also?: readonly AlsoName[];
}

/** What a search comes to, and the traces of what it found. */
export function explore(asked: Asked): Outcome & { traces: Scenario[]; lengths: Record<string, number> } {
  const { kernel = '6.1', drivers, goal = null, pages = 2, depth = 5, memory = 2 ** 24, also = [] } = asked;
  const scene = sceneOf(generationOf(kernel)!, { drivers, pages, mappings: 3, also });
  const outcome = atOnce(
    new Search(scene, { depth, memory, time: 120 }, goal, () => performance.now()).run(),
  );
  return {
    ...outcome,
    traces: outcome.hits.map(({ finding, path }) => traceOf(finding, scene, path)),
    lengths: Object.fromEntries(outcome.hits.map(({ finding, path }) => [finding, path.length])),
  };
}

/** A synthetic driver. */
export function synthetic(onDmaUnmap: string, more: object = {}): Driver {
  return { type: 'synthetic', onDmaUnmap, ...more } as Driver;
}
