import type { DifferenceView } from '../../schemas/views.ts';
import { VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import { TRACE_LIMITS } from '../machine/limits.ts';
import { Machine } from '../machine/machine.ts';
import { replay } from '../replay/replay.ts';
import type { Scenario } from '../replay/scenario.ts';
import { readTraces } from '../trace-files/traces.ts';
import type { JUnitCase } from '../verdict/junit.ts';
import { RunningService, URL_RULE } from './ask.ts';
import type { Command } from './command.ts';
import { DIFFERENT, SAME } from './exit.ts';
import { ProgressBar } from './progress.ts';
import { REPORT_HELP, REPORT_OPTIONS, writeJUnit } from './reports.ts';
import { counted, generationNamed, parseTraceCommand } from './usage.ts';

/** Differences of one trace that are printed. */
const SHOWN = 10;

/** Replays one trace somewhere. */
type Replayer = (scenario: Scenario) => Promise<DifferenceView[]>;

const HELP = `usage: vfio-host replay TRACE… [--url URL] [--kernel VERSION] [--json] [--junit FILE]

Runs traces, each on a fresh host, and prints what differs from their expectations. A TRACE is a file with a trace
({"steps": […]}, or {"scenario": a trace}) or with one a line; it may be gzipped (.gz), and - is stdin.

  --url URL          a running service to run them on, in place of this process: ${URL_RULE};
                     AUTH_TOKEN is its token
  --kernel VERSION   one of ${VERSIONS_IN_WORDS}, in place of the one a trace names
${REPORT_HELP}

exit codes: 0 nothing differs, 1 something does, 2 the service does not answer, or something else, 64 bad usage
`;

/** `vfio-host replay …`: traces held against their expectations. */
export const replayTraces: Command = {
  help: HELP,
  run: (args, { out, terminal }) => replayCommand(args, out, terminal),
};

/**
 * `vfio-host replay TRACE… [--url URL] [--kernel V] [--json] [--junit FILE]`: every trace on a fresh host, in this process or on a running
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
    ...REPORT_OPTIONS,
  });
  const { kernel, url, json, junit } = values;
  if (kernel !== undefined) generationNamed(kernel, '--kernel:');
  const run = url === undefined ? here : on(url);
  const traces = files.flatMap(readTraces);
  const progress = new ProgressBar(terminal, traces.length);
  const cases: JUnitCase[] = [];
  let failed = 0;
  let steps = 0;
  for (const trace of traces) {
    const scenario = kernel === undefined ? trace : { ...trace, kernel };
    const differences = await run(scenario);
    steps += scenario.steps.length;
    progress.step();
    const lines = linesOf(scenario, differences);
    const failure = { message: lines[0]!, text: lines.join('\n') };
    cases.push({ name: scenario.id, ...(differences.length > 0 ? { failure } : {}) });
    if (differences.length > 0) failed++;
    if (!json && differences.length === 0) continue;
    progress.clear();
    if (!json) for (const line of lines) out(line);
    else {
      const { id, kernel: version } = scenario;
      out(JSON.stringify({ id, kernel: version, steps: scenario.steps.length, differences }));
    }
  }
  progress.clear();
  writeJUnit(junit, () => [{ name: 'replay', cases }]);
  const all = counted(traces.length, 'trace');
  if (!json) out(`${traces.length - failed} of ${all} as expected (${counted(steps, 'step')})`);
  return failed > 0 ? DIFFERENT : SAME;
}

/** In this process. */
const here: Replayer = async (scenario) =>
  replay(new Machine(generationNamed(scenario.kernel, `${scenario.id}: kernel`), TRACE_LIMITS), scenario);

/** On a running service. */
function on(url: string): Replayer {
  const service = new RunningService(url);
  return async (scenario) => {
    const { status, text } = await service.ask({
      method: 'POST',
      path: '/v1/replay',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(scenario),
    });
    if (status !== 200) throw service.unexpected(status, text);
    return (JSON.parse(text) as { differences: DifferenceView[] }).differences;
  };
}

/** What is said of a trace that differs. */
function linesOf({ id, kernel }: Scenario, differences: readonly DifferenceView[]): string[] {
  const shown = differences
    .slice(0, SHOWN)
    .map(
      ({ step, call, field, expected, actual }) =>
        `  step ${step} ${call}: ${field} is ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`,
    );
  const more = differences.length - SHOWN;
  return [
    `${id} (${kernel}): ${counted(differences.length, 'difference')}`,
    ...shown,
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ];
}
