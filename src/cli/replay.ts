import { request } from 'undici';
import type { DifferenceView } from '../../schemas/views.ts';
import { UsageError } from '../arguments.ts';
import { KERNEL_VERSIONS } from '../kernel/generations/index.ts';
import { Machine } from '../machine/machine.ts';
import { replay } from '../replay/replay.ts';
import type { Scenario } from '../replay/scenario.ts';
import { readTraces } from '../trace-files/traces.ts';
import type { Command } from './command.ts';
import { DIFFERENT, SAME, UnreachableError } from './exit.ts';
import { ProgressBar } from './progress.ts';
import { counted, generationNamed, parseTraceCommand } from './usage.ts';

/** How long a running service may take over one trace, milliseconds. */
const ANSWER_MS = 120_000;

/** Differences of one trace that are printed. */
const SHOWN = 10;

/** Replays one trace somewhere. */
type Replayer = (scenario: Scenario) => Promise<DifferenceView[]>;

const HELP = `usage: vfio-host replay TRACE… [--url URL] [--kernel VERSION]

Runs traces, each on a fresh host, and prints what differs from their expectations. A TRACE is a file with a trace
({"steps": […]}, or {"scenario": a trace}) or with one a line; it may be gzipped (.gz).

  --url URL          a running service to run them on, in place of this process
  --kernel VERSION   one of ${KERNEL_VERSIONS.join(', ')}, in place of the one a trace names

exit codes: 0 nothing differs, 1 something does, 2 the service does not answer, 64 bad usage
`;

/** `vfio-host replay …`: traces held against their expectations. */
export const replayTraces: Command = {
  help: HELP,
  run: (args, { out, terminal }) => replayCommand(args, out, terminal),
};

/**
 * `vfio-host replay FILE… [--url URL] [--kernel V]`: every trace on a fresh host, in this process or on a running
 * service, with each difference from its expectations.
 */
export async function replayCommand(
  args: readonly string[],
  out: (line: string) => void,
  terminal: NodeJS.WriteStream,
): Promise<number> {
  const { values, positionals: files } = parseTraceCommand('replay', args, {
    url: { type: 'string' },
    kernel: { type: 'string' },
  });
  const { kernel, url } = values;
  if (kernel !== undefined) generationNamed(kernel, '--kernel:');
  const run = url === undefined ? here : on(url);
  const traces = files.flatMap(readTraces);
  const progress = new ProgressBar(terminal, traces.length);
  let failed = 0;
  let steps = 0;
  for (const trace of traces) {
    const scenario = kernel === undefined ? trace : { ...trace, kernel };
    const differences = await run(scenario);
    steps += scenario.steps.length;
    progress.step();
    if (differences.length === 0) continue;
    failed++;
    progress.clear();
    print(scenario, differences, out);
  }
  progress.clear();
  const all = counted(traces.length, 'trace');
  out(`${traces.length - failed} of ${all} as expected (${counted(steps, 'step')})`);
  return failed > 0 ? DIFFERENT : SAME;
}

/** In this process. */
const here: Replayer = async (scenario) =>
  replay(new Machine(generationNamed(scenario.kernel, `${scenario.id}: kernel`)), scenario);

/** On a running service. */
function on(url: string): Replayer {
  if (!URL.canParse('/v1/replay', url)) throw new UsageError(`--url: "${url}" is not a URL`);
  return async (scenario) => {
    const { statusCode, body } = await request(new URL('/v1/replay', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(scenario),
      headersTimeout: ANSWER_MS,
      bodyTimeout: ANSWER_MS,
    }).catch((error: Error) => {
      throw new UnreachableError(`${url} does not answer: ${error.message}`);
    });
    const answer = (await body.json()) as { differences?: DifferenceView[]; detail?: string };
    if (statusCode !== 200 || !answer.differences) {
      throw new Error(`${url} answered ${statusCode}: ${answer.detail ?? ''}`);
    }
    return answer.differences;
  };
}

function print(
  scenario: Scenario,
  differences: readonly DifferenceView[],
  out: (line: string) => void,
): void {
  out(`${scenario.id} (${scenario.kernel}): ${counted(differences.length, 'difference')}`);
  for (const { step, call, field, expected, actual } of differences.slice(0, SHOWN)) {
    out(
      `  step ${step} ${call}: ${field} is ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`,
    );
  }
  if (differences.length > SHOWN) out(`  … and ${differences.length - SHOWN} more`);
}
