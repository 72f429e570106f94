import { UsageError } from '../arguments.ts';
import { RECORDED_VERSIONS, VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import { TRACE_LIMITS } from '../machine/limits.ts';
import { Machine } from '../machine/machine.ts';
import { compareKernels, type StepComparison } from '../replay/compare-kernels.ts';
import type { Expectation, Scenario } from '../replay/scenario.ts';
import { readTraces } from '../trace-files/traces.ts';
import type { JUnitCase } from '../verdict/junit.ts';
import type { Command } from './command.ts';
import { DIFFERENT, SAME } from './exit.ts';
import { REPORT_OPTIONS, writeJUnit } from './reports.ts';
import { counted, generationNamed, parseTraceCommand } from './usage.ts';

const HELP = `usage: vfio-host compare TRACE… [--kernels VERSION,…] [--json] [--junit FILE]

Runs traces on several kernels and prints the steps that differ, each with the reason. A TRACE is a file with a trace
({"steps": […]}, or {"scenario": a trace}) or with one a line; it may be gzipped (.gz), and - is stdin.

  --kernels VERSION,…   some of ${VERSIONS_IN_WORDS}
                        (default: those that were recorded)
  --json                a JSON object a line for each trace, in place of text
  --junit FILE          the results as a JUnit report too: a trace that differs has failed

exit codes: 0 no step differs, 1 some do, 64 bad usage
`;

/** `vfio-host compare …`: traces on several kernels. */
export const compareTraces: Command = {
  help: HELP,
  run: async (args, { out }) => compareCommand(args, out),
};

/**
 * `vfio-host compare TRACE… [--kernels 5.10,6.1,…] [--json] [--junit FILE]`: the same traces on each kernel, the steps that
 * differ side by side, each with the reason.
 */
export function compareCommand(args: readonly string[], out: (line: string) => void): number {
  const { values, positionals: files } = parseTraceCommand('compare', args, {
    kernels: { type: 'string' },
    ...REPORT_OPTIONS,
  });
  const versions = (values.kernels ?? RECORDED_VERSIONS.join(',')).split(',');
  const twice = versions.find((version, i) => versions.indexOf(version) < i);
  if (twice !== undefined) throw new UsageError(`--kernels: "${twice}" is there twice`);
  const generations = versions.map((version) => generationNamed(version, '--kernels:'));
  const unrecorded = generations.flatMap(({ version, recorded }) => (recorded ? [] : [version]));
  let differing = 0;
  const cases: JUnitCase[] = [];
  for (const scenario of files.flatMap(readTraces)) {
    const steps = compareKernels(scenario, generations, (gen) => new Machine(gen, TRACE_LIMITS));
    if (steps.length > 0) differing++;
    const lines: string[] = [];
    printComparison(scenario, steps, versions, (line) => lines.push(line));
    if (unrecorded.length > 0) lines.push(`not recorded, made from their sources: ${unrecorded.join(', ')}`);
    const failure = { message: lines[0]!, text: lines.join('\n') };
    cases.push({ name: scenario.id, ...(steps.length > 0 ? { failure } : {}) });
    if (values.json) out(JSON.stringify({ id: scenario.id, kernels: versions, unrecorded, steps }));
    else for (const line of lines) out(line);
  }
  writeJUnit(values.junit, () => [{ name: 'compare', cases }]);
  return differing > 0 ? DIFFERENT : SAME;
}

function printComparison(
  scenario: Scenario,
  steps: readonly StepComparison[],
  versions: readonly string[],
  out: (line: string) => void,
): void {
  const differ = `${counted(steps.length, 'step')} ${steps.length === 1 ? 'differs' : 'differ'}`;
  const verdict = steps.length === 0 ? 'the same on every kernel' : differ;
  out(`${scenario.id}: ${verdict} (${counted(scenario.steps.length, 'step')})`);
  for (const { step, call, answers, reasons } of steps) {
    const { call: name, ...rest } = call;
    out(`  step ${step}: ${String(name)} ${JSON.stringify(rest)}`);
    for (const version of versions) {
      const answer = answers[version];
      out(`    ${version.padEnd(5)} ${answer ? show(answer) : '(the scenario had ended)'}`);
    }
    for (const { from, to, id, text } of reasons) out(`    ${from} → ${to}  ${id}: ${text}`);
  }
}

/** Callbacks and log lines shown of one answer. */
const SHOWN = 3;

/** An answer on one line. */
function show(answer: Expectation): string {
  const { errno, killed, hangs, pending, invalidations = [], log = [], ...rest } = answer;
  const outcome = killed ? 'killed' : hangs ? 'hangs' : pending ? 'pending' : (errno ?? 'ok');
  const callbacks = invalidations.map(({ device, iova, length }) => `${device}:${iova}+${length}`);
  const lines = log.map((entry) =>
    String(entry.text ?? `${entry.kind} ${entry.function}: ${entry.condition}`),
  );
  return [
    outcome,
    ...Object.entries(rest).map(([field, value]) => `${field}=${JSON.stringify(value)}`),
    ...(callbacks.length > 0 ? [`callbacks=[${few(callbacks)}]`] : []),
    ...(lines.length > 0 ? [`log=[${few(lines)}]`] : []),
  ].join(' ');
}

function few(items: readonly string[]): string {
  const more = items.length > SHOWN ? ` … ${items.length} in all` : '';
  return items.slice(0, SHOWN).join(' ') + more;
}
