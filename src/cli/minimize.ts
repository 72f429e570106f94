import { UsageError } from '../arguments.ts';
import { GOAL_HELP } from '../explore/goals.ts';
import { Minimizing } from '../explore/minimize.ts';
import { readTraces } from '../trace-files/traces.ts';
import { atOnce } from '../turns.ts';
import type { Command } from './command.ts';
import { EXIT_UNAVAILABLE } from './exit.ts';
import { countOf, goalOf, refusedAsUsage } from './explore-options.ts';
import { writeTraces } from './reports.ts';
import { refuseUnwritable } from './unwritable.ts';
import { counted, generationNamed, parseTraceCommand } from './usage.ts';

/** How long it may take unless somebody says otherwise, seconds. */
const SECONDS = 60;

const HELP = `usage: vfio-host minimize TRACE [--goal GOAL] [--kernel VERSION] [--time S] [--out FILE]

Shrinks a trace to a shortest one that still comes to the same splat, deadlock or advisory: steps are left out, sizes and
addresses made smaller, until nothing more can go. A TRACE is a file with one trace; it may be gzipped (.gz),
and - is stdin.

  --goal GOAL        ${GOAL_HELP} (default: the worst it comes to)
  --kernel VERSION   in place of the one the trace names
  --time S           seconds (default ${SECONDS})
  --out FILE         where the trace is written, in place of stdout

exit codes: 0 done, 3 cut short by the time: the trace is as short as it got, 64 bad usage, 69 FILE cannot be written
`;

const DONE = 0;
const CUT_SHORT = 3;

/** `vfio-host minimize …`: a trace shrunk to what matters. */
export const minimizeTrace: Command = {
  help: HELP,
  async run(args, output) {
    const { err } = output;
    const { values, positionals } = parseTraceCommand('minimize', args, {
      goal: { type: 'string' },
      kernel: { type: 'string' },
      time: { type: 'string' },
      out: { type: 'string' },
    });
    refuseUnwritable('--out', values.out);
    const traces = positionals.flatMap(readTraces);
    if (traces.length !== 1) throw new UsageError(`minimize takes one trace, not ${traces.length}`);
    const trace = { ...traces[0]!, kernel: values.kernel ?? traces[0]!.kernel };
    generationNamed(trace.kernel, 'kernel');
    const end = performance.now() + countOf(values, 'time', SECONDS, 1_000_000) * 1000;
    const goal = goalOf(values.goal);
    const minimizing = new Minimizing(trace, goal, () => performance.now() > end);
    refusedAsUsage(positionals[0]!, () => atOnce(minimizing.run()));
    const result = minimizing.result();
    const line = JSON.stringify(result.scenario);
    const written = writeTraces(values.out, [line], output);
    const { finding, before, after, tried, whole } = result;
    err(`${finding}: ${counted(before, 'step')} shrunk to ${after} (${counted(tried, 'trace')} tried)`);
    if (!whole) err('cut short: the time was up');
    if (!written) return EXIT_UNAVAILABLE;
    return whole ? DONE : CUT_SHORT;
  },
};
