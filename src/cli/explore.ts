import { parseArguments, UsageError } from '../arguments.ts';
import { Checkpoint, CheckpointError } from '../explore/checkpoint.ts';
import type { Layers, Outcome, Progress } from '../explore/layers.ts';
import { OutsideSearch } from '../explore/outside.ts';
import { DEFAULTS, type ExploreRequest, sceneOfRequest } from '../explore/request.ts';
import type { Scene } from '../explore/scene.ts';
import { Search } from '../explore/search.ts';
import { ParallelSearch } from '../explore/threads.ts';
import { traceOf } from '../explore/trace.ts';
import { Visited } from '../explore/visited.ts';
import { Turns } from '../turns.ts';
import { FileError } from '../whole-file.ts';
import type { Command, Output } from './command.ts';
import { EXIT_UNAVAILABLE } from './exit.ts';
import { countOf, EXPLORE_OPTIONS, refusedAsUsage, requestOf, SCENE_HELP } from './explore-options.ts';
import { writeTraces } from './reports.ts';
import { refuseUnwritable } from './unwritable.ts';
import { counted } from './usage.ts';

const HELP = `usage: vfio-host explore --driver SPEC… [--kernel VERSION] [--goal GOAL] [options]

Tries every sequence of calls on a container with these drivers' devices, every order in which a second caller can run
during a callback included, and prints the shortest trace to what it finds, with what each step is answered.

${SCENE_HELP}: stops at the first; without
                     it the shortest trace to each finding is looked for
  --depth N          calls of the longest trace, those that set the scene not counted (default ${DEFAULTS.depth})
  --pages N          neighbouring pages that calls name (default ${DEFAULTS.pages})
  --mappings N       mappings there may be at once (default ${DEFAULTS.mappings})
  --time S           seconds (default ${DEFAULTS.seconds})
  --memory MB        for the states that have been found (default ${DEFAULTS.megabytes})
  --threads N        threads that search (default 1)
  --out FILE         where the traces are written, one a line, for replay and compare; without it, to stdout. A search
                     that was cut short leaves FILE.search: the same command goes on from there

exit codes: 0 something was found, 1 none within these bounds, 3 none so far, and it was cut short, 64 bad usage,
            69 FILE cannot be written
`;

/** Exit codes of a search. */
const FOUND = 0;
const NONE = 1;
const CUT_SHORT = 3;

/** `vfio-host explore …`: the shortest traces to what can go wrong. */
export const explore: Command = {
  help: HELP,
  run: (args, output) => exploreCommand(args, output),
};

async function exploreCommand(args: readonly string[], output: Output): Promise<number> {
  const { values } = parseArguments(args, { ...EXPLORE_OPTIONS, threads: { type: 'string' } }, false);
  const request = requestOf('explore', values);
  const threads = countOf(values, 'threads', 1, 64);
  const { out } = values;
  refuseUnwritable('--out', out);
  const scene = refusedAsUsage('--driver', () => sceneOfRequest(request));
  if (request.drivers.some(({ type }) => type === 'webhook')) return outside(request, scene, values, output);
  const checkpoint = out === undefined ? null : new Checkpoint(out, whatIsSearched(request));
  const resumed = checkpoint?.exists ? resume(checkpoint, request, scene) : undefined;
  if (resumed)
    output.err(
      `going on from depth ${resumed.standing.depth + 1}, ${counted(resumed.visited.states, 'state')}`,
    );
  const { outcome, layers } = await search(request, scene, threads, resumed, output);
  const lines = outcome.hits.map(({ finding, path }) =>
    JSON.stringify(traceOf(`${finding} ${scene.gen.version}`, scene, path)),
  );
  let written = writeTraces(out, lines, output);
  const whole = !['time', 'memory', 'stopped'].includes(outcome.ended);
  if (checkpoint && !keep(checkpoint, whole ? null : layers, output)) written = false;
  report(request, scene, outcome, output);
  if (!written) return EXIT_UNAVAILABLE;
  if (!whole && out !== undefined) output.err(`the same command goes on from here`);
  if (outcome.hits.length > 0) return FOUND;
  return whole ? NONE : CUT_SHORT;
}

/** With a driver of one's own, which is called: one path after the other, and nothing to be resumed. */
async function outside(
  request: ExploreRequest,
  scene: Scene,
  { threads, out }: { threads?: string | undefined; out?: string | undefined },
  output: Output,
): Promise<number> {
  const waits = request.drivers.find((driver) => driver.type === 'manual' || 'holdCallbacks' in driver);
  if (waits)
    throw new UsageError(`--driver: ${waits.type} waits for others, and beside a webhook there are none`);
  if (threads !== undefined) throw new UsageError('--threads: a webhook is called by one alone');
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  process.once('SIGINT', stop);
  const searching = new OutsideSearch(scene, request.bounds, request.goal, () => performance.now());
  const outcome = await searching.run(() => stopped);
  process.removeListener('SIGINT', stop);
  const lines = outcome.hits.map(({ finding, path }) =>
    JSON.stringify({
      id: `${finding} ${scene.gen.version}`,
      kernel: scene.gen.version,
      steps: [...scene.setup, ...path.map((action) => scene.actions[action]!.call)],
    }),
  );
  const written = writeTraces(out, lines, output);
  report(request, scene, outcome, output);
  const [failed] = searching.failed;
  if (failed) output.err(`${counted(searching.failed.length, 'callback')} failed: ${failed}`);
  if (!written) return EXIT_UNAVAILABLE;
  if (outcome.hits.length > 0) return FOUND;
  return outcome.ended === 'depth' || outcome.ended === 'exhausted' ? NONE : CUT_SHORT;
}

/** Keeps a search that was cut short, and forgets one that was not (null); says where that fails. */
function keep(checkpoint: Checkpoint, layers: Layers | null, { err }: Output): boolean {
  try {
    if (layers) checkpoint.save(layers.visited, layers.standing);
    else checkpoint.remove();
    return true;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    err(`vfio-host: --out: ${error.message}; the same command does not go on from here`);
    return false;
  }
}

/** What makes two searches the same, however far each goes. */
function whatIsSearched({
  gen,
  drivers,
  goal,
  pages,
  mappings,
  also,
  bounds: { depth },
}: ExploreRequest): string {
  return JSON.stringify({ kernel: gen.version, drivers, goal, pages, mappings, also, depth });
}

function resume(checkpoint: Checkpoint, { bounds }: ExploreRequest, scene: Scene) {
  const visited = new Visited(Visited.bufferFor(bounds.memory));
  try {
    return { visited, standing: checkpoint.load(visited, scene) };
  } catch (error) {
    if (error instanceof CheckpointError) throw new UsageError(`--out: ${error.message}`);
    throw error;
  }
}

/** How often progress is shown, milliseconds. */
const SHOWN_MS = 200;

/** Searches until it ends, or until Ctrl-C, which leaves what has been found so far. */
async function search(
  request: ExploreRequest,
  scene: Scene,
  threads: number,
  resumed: ReturnType<typeof resume> | undefined,
  { terminal }: Output,
): Promise<{ outcome: Outcome; layers: Layers }> {
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  let shown = 0;
  const tick = (progress: () => Progress) => {
    if (terminal.isTTY && performance.now() - shown >= SHOWN_MS) {
      shown = performance.now();
      terminal.write(`\r\x1b[K${progressLine(progress(), request.bounds.depth)}`);
    }
    return stopped;
  };
  process.once('SIGINT', stop);
  const now = () => performance.now();
  try {
    if (threads > 1) {
      const searching = new ParallelSearch(request, threads, now, resumed);
      const outcome = await searching.run(() => tick(() => searching.progress));
      return { outcome, layers: searching.layers };
    }
    const searching = new Search(scene, request.bounds, request.goal, now, resumed);
    const outcome = await inTurnsUntil(searching, () => tick(() => searching.progress));
    return { outcome, layers: searching.layers };
  } finally {
    process.removeListener('SIGINT', stop);
    if (terminal.isTTY) terminal.write('\r\x1b[K');
  }
}

/** Searches on this thread, and looks up now and then, be it only to see Ctrl-C. */
async function inTurnsUntil(searching: Search, isOver: () => boolean): Promise<Outcome> {
  const turns = new Turns();
  const work = searching.run();
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (!turns.isOver) continue;
    await turns.next();
    if (isOver()) return { ...searching.progress, ended: 'stopped' };
  }
}

function progressLine({ depth, frontier, states, transitions, seconds, hits }: Progress, to: number): string {
  const rate = Math.round(transitions / Math.max(seconds, 0.001)).toLocaleString('en');
  return `depth ${depth + 1} of ${to}, ${counted(frontier, 'state')} to go on from, ${counted(states, 'state')}, ${rate} transitions a second, ${counted(hits.length, 'finding')}`;
}

const ENDS: Readonly<Record<Outcome['ended'], string>> = {
  goal: 'the goal was reached',
  depth: 'every trace of that length was tried',
  exhausted: 'nothing more can be reached, however long a trace is',
  time: 'cut short: the time was up',
  memory: 'cut short: the memory was full',
  stopped: 'cut short: it was stopped',
};

function report(
  { goal, pages, mappings, bounds }: ExploreRequest,
  { setup }: Scene,
  { hits, ended, depth, states, transitions, seconds }: Outcome,
  { err }: Output,
): void {
  for (const { finding, path } of hits) err(`${finding}: ${counted(path.length, 'call')}`);
  const reached = hits.length > 0 ? '' : `${goal ?? 'nothing'}: none within these bounds; `;
  const tried = ended === 'depth' || ended === 'exhausted' ? depth : `${depth} whole, part of ${depth + 1}`;
  err(
    `${reached}${ENDS[ended]}. depth ${tried} (after ${counted(setup.length, 'call')} that set the scene), ` +
      `${counted(pages, 'page')}, ${counted(mappings, 'mapping')}: ${counted(states, 'state')}, ` +
      `${counted(transitions, 'transition')} in ${seconds.toFixed(1)} s (at most ${bounds.time} s, ${bounds.memory / 2 ** 20} MB)`,
  );
}
