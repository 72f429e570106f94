import { writeFileSync } from 'node:fs';
import { parseArguments } from '../arguments.ts';
import { DEFAULTS, type ExploreRequest, sceneOfRequest } from '../explore/request.ts';
import type { Scene } from '../explore/scene.ts';
import { type Outcome, type Progress, Search } from '../explore/search.ts';
import { traceOf } from '../explore/trace.ts';
import { Turns } from '../turns.ts';
import type { Command, Output } from './command.ts';
import { EXPLORE_OPTIONS, refusedAsUsage, requestOf, SCENE_HELP } from './explore-options.ts';
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
  --out FILE         where the traces are written, one a line, for replay and compare; without it, to stdout

exit codes: 0 something was found, 1 none within these bounds, 3 none so far, and it was cut short, 64 bad usage
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
  const { values } = parseArguments(args, EXPLORE_OPTIONS, false);
  const request = requestOf('explore', values);
  const scene = refusedAsUsage('--driver', () => sceneOfRequest(request));
  const search = new Search(scene, request.bounds, request.goal, () => performance.now());
  const outcome = await run(search, request, output);
  const traces = outcome.hits.map(({ finding, path }) =>
    traceOf(`${finding} ${scene.gen.version}`, scene, path),
  );
  const lines = traces.map((trace) => JSON.stringify(trace));
  if (values.out !== undefined) writeFileSync(values.out, lines.map((line) => `${line}\n`).join(''));
  else for (const line of lines) output.out(line);
  report(request, scene, outcome, output);
  if (outcome.hits.length > 0) return FOUND;
  return outcome.ended === 'depth' || outcome.ended === 'exhausted' ? NONE : CUT_SHORT;
}

/** How often progress is shown, milliseconds. */
const SHOWN_MS = 200;

/** Searches until it ends, or until Ctrl-C, which leaves what has been found so far. */
async function run(search: Search, { bounds }: ExploreRequest, { terminal }: Output): Promise<Outcome> {
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  process.once('SIGINT', stop);
  const turns = new Turns();
  const work = search.run();
  let shown = 0;
  try {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      if (stopped) return { ...search.progress, ended: 'stopped' };
      if (!turns.isOver) continue;
      await turns.next();
      if (!terminal.isTTY || performance.now() - shown < SHOWN_MS) continue;
      shown = performance.now();
      terminal.write(`\r\x1b[K${progressLine(search.progress, bounds.depth)}`);
    }
  } finally {
    process.removeListener('SIGINT', stop);
    if (terminal.isTTY) terminal.write('\r\x1b[K');
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
