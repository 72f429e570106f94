import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName, ExploreView } from '../../schemas/explore.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { checkCall } from '../machine/table.ts';
import { atOnce } from '../turns.ts';
import { sceneOf } from './alphabet.ts';
import type { Bounds, Outcome } from './layers.ts';
import type { Scene } from './scene.ts';
import { Search } from './search.ts';
import { traceOf } from './trace.ts';
import type { LongWork } from './work.ts';

/** What is asked of the explorer. */
export interface ExploreRequest {
  readonly gen: Generation;
  readonly drivers: readonly Driver[];
  /** Null: every finding there is. */
  readonly goal: string | null;
  readonly pages: number;
  readonly mappings: number;
  /** Kinds of calls that may be made besides those of the drivers. */
  readonly also: readonly AlsoName[];
  readonly bounds: Bounds;
}

/** What is searched unless somebody says otherwise. */
export const DEFAULTS = { depth: 6, pages: 2, mappings: 3, seconds: 60, megabytes: 512 } as const;

/**
 * The scene of a request.
 *
 * @throws Refused for a driver that create-device refuses, or whose device cannot be open when the search begins
 */
export function sceneOfRequest(request: ExploreRequest): Scene {
  return atOnce(sceneSteps(request));
}

/** The same, stopping now and then. */
function* sceneSteps({ gen, drivers, pages, mappings, also }: ExploreRequest): Generator<void, Scene> {
  for (const driver of drivers) checkCall({ call: 'create-device', driver });
  const scene = sceneOf(gen, { drivers, pages, mappings, also });
  // A driver of one's own is called while the scene is set.
  if (drivers.every(({ type }) => type !== 'webhook')) yield* refuseUnset(scene);
  return scene;
}

/** Sets a scene once, on a machine that is thrown away. */
function* refuseUnset({ gen, setup }: Scene): Generator<void, void> {
  const machine = new Machine(gen);
  for (const call of setup) {
    yield;
    const { answer } = machine.start(call);
    if (answer?.end.how === 'returned' && typeof answer.end.value !== 'string') continue;
    const what = `drivers cannot be searched on Linux ${gen.version}: every device is open at first, and ${call.call} of ${call.device}`;
    if (!answer) throw Refused.badRequest(`${what} waits for an answer from outside`);
    const { end, why } = answer;
    throw Refused.badRequest(
      `${what} ${end.how} with ${'value' in end ? end.value : 'a splat'}: ${why ?? ''}`,
    );
  }
}

/** A search that was asked for. */
export class Exploring implements LongWork {
  private search: Search | null = null;
  private outcome: Outcome | null = null;

  private constructor(
    private readonly request: ExploreRequest,
    private readonly scene: Scene,
  ) {}

  /**
   * What a request asks for, if it can be searched; stops now and then.
   *
   * @throws Refused as sceneOfRequest does
   */
  static *of(request: ExploreRequest): Generator<void, Exploring> {
    yield;
    return new Exploring(request, yield* sceneSteps(request));
  }

  *run(): Generator<void, void> {
    const { scene, request } = this;
    yield;
    this.search = new Search(scene, request.bounds, request.goal, () => performance.now());
    this.outcome = yield* this.search.run();
  }

  *resultSteps(): Generator<void, ExploreView> {
    const { scene, search } = this;
    if (!search) return NOTHING_DONE;
    const { hits, depth, states, transitions, seconds, ended } = this.outcome ?? {
      ...search.progress,
      ended: 'stopped',
    };
    const found: ExploreView['found'] = [];
    for (const { finding, path } of hits) {
      const scenario = traceOf(`${finding} ${scene.gen.version}`, scene, path);
      found.push({ finding, calls: path.length, scenario });
      yield;
    }
    return { ended, found, depth, states, transitions, seconds };
  }
}

/** What a search has come to that was stopped before it began. */
const NOTHING_DONE: ExploreView = {
  ended: 'stopped',
  found: [],
  depth: 0,
  states: 0,
  transitions: 0,
  seconds: 0,
};
