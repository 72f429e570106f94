import { parseArguments, UsageError } from '../arguments.ts';
import { Fuzzing } from '../explore/fuzzing.ts';
import { DEFAULTS, sceneOfRequest } from '../explore/request.ts';
import { Turns } from '../turns.ts';
import type { Command, Output } from './command.ts';
import { EXIT_UNAVAILABLE } from './exit.ts';
import { EXPLORE_OPTIONS, refusedAsUsage, requestOf, SCENE_HELP } from './explore-options.ts';
import { writeTraces } from './reports.ts';
import { refuseUnwritable } from './unwritable.ts';
import { counted } from './usage.ts';

const HELP = `usage: vfio-host fuzz --driver SPEC… [--kernel VERSION] [--goal GOAL] [--seed N] [options]

Calls at random where there is too much to try everything, and shrinks what it finds. The seed is printed: with it the
walk is the same.

${SCENE_HELP}: stops at the first; without it, it goes on until
                     the time is up
  --seed N           an integer from 0 to 2^32-1 (default: another one each time)
  --pages N          neighbouring pages that calls name (default 4)
  --mappings N       mappings there may be at once (default ${DEFAULTS.mappings})
  --time S           seconds (default ${DEFAULTS.seconds})
  --out FILE         where the traces are written, one a line; without it, to stdout

exit codes: 0 something was found, 1 nothing was, 64 bad usage, 69 FILE cannot be written
`;

const FOUND = 0;
const NONE = 1;
/** Pages unless somebody says otherwise: more than a search would take. */
const PAGES = '4';

/** `vfio-host fuzz …`: random walks. */
export const fuzz: Command = {
  help: HELP,
  run: (args, output) => fuzzCommand(args, output),
};

async function fuzzCommand(args: readonly string[], output: Output): Promise<number> {
  const { err } = output;
  const { depth: _depth, memory: _memory, ...options } = EXPLORE_OPTIONS;
  const { values } = parseArguments(args, { ...options, seed: { type: 'string' } }, false);
  const request = requestOf('fuzz', { pages: PAGES, ...values });
  const seed = seedOf(values.seed);
  refuseUnwritable('--out', values.out);
  const scene = refusedAsUsage('--driver', () => sceneOfRequest(request));
  err(`seed ${seed}`);
  const lines: string[] = [];
  let written = true;
  const fuzzing = new Fuzzing(scene, request.goal, seed, ({ finding, scenario, walked }) => {
    lines.push(JSON.stringify(scenario));
    if (!writeTraces(values.out, lines, output, lines.slice(-1))) written = false;
    const steps = counted(scenario.steps.length, 'step');
    err(`${finding}: after ${counted(walked, 'call')}, shrunk to ${steps}`);
  });
  const end = performance.now() + request.bounds.time * 1000;
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  process.once('SIGINT', stop);
  const turns = new Turns();
  for (const work = fuzzing.run(); !stopped && performance.now() < end; ) {
    if (work.next().done) break;
    if (turns.isOver) await turns.next();
  }
  process.removeListener('SIGINT', stop);
  err(
    `${counted(lines.length, 'finding')} in ${counted(fuzzing.calls, 'call')}, ${counted(fuzzing.walks, 'walk')}`,
  );
  if (!written) return EXIT_UNAVAILABLE;
  return lines.length > 0 ? FOUND : NONE;
}

function seedOf(text: string | undefined): number {
  if (text === undefined) return Math.floor(Math.random() * 2 ** 32);
  if (!/^[0-9]{1,10}$/.test(text) || Number(text) >= 2 ** 32) {
    throw new UsageError(`--seed: "${text}" is not an integer from 0 to 2^32-1`);
  }
  return Number(text);
}
