import type { VerdictsView, VerdictView } from '../../schemas/verdict.ts';
import { parseArguments, UsageError } from '../arguments.ts';
import { Findings } from '../host/findings.ts';
import { VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import { TRACE_LIMITS } from '../machine/limits.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { runScenario } from '../replay/run.ts';
import type { Scenario } from '../replay/scenario.ts';
import { readTraces } from '../trace-files/traces.ts';
import { atOnce } from '../turns.ts';
import { EXPECT_RULE, Expected } from '../verdict/expectation.ts';
import { suitesOf, textOf } from '../verdict/report.ts';
import { verdictSteps, verdictsOf } from '../verdict/verdict.ts';
import { RunningService, URL_RULE } from './ask.ts';
import type { Command, Output } from './command.ts';
import { DIFFERENT, SAME } from './exit.ts';
import { REPORT_HELP, REPORT_OPTIONS, writeJUnit } from './reports.ts';
import { generationNamed } from './usage.ts';

/** Where a service is that nobody names. */
const DEFAULT_URL = 'http://127.0.0.1:8080';

const OPTIONS = {
  url: { type: 'string' },
  rig: { type: 'string' },
  rigs: { type: 'string' },
  expect: { type: 'string' },
  kernel: { type: 'string' },
  ...REPORT_OPTIONS,
} as const;

const HELP = `usage: vfio-host verdict [--url URL] [--rig NAME | --rigs all] [--expect WORD,…] [--json] [--junit FILE]
       vfio-host verdict TRACE… [--kernel VERSION] [--expect WORD,…] [--json] [--junit FILE]

Says whether a rig of a running service is as it should be at the end of a test: splats, advisories, leaked pins, pins
and mappings still there, wedged containers, calls under way, webhooks that were not delivered. With TRACEs, what each
of them comes to on a fresh host of this process. A TRACE is a file as replay takes it, or - for stdin.

  --url URL          the service: ${URL_RULE} (default ${DEFAULT_URL}); AUTH_TOKEN is its token
  --rig NAME         one of its rigs (default: default)
  --rigs all         all of its rigs
  --expect WORD,…    what the test means to provoke, or to leave; a splat or an advisory must then come:
                     ${EXPECT_RULE.replace('words separated by commas, of ', '').replace(/, /g, ' ')}
  --kernel VERSION   of TRACEs: one of ${VERSIONS_IN_WORDS}, in place of the one each names
${REPORT_HELP}

exit codes: 0 as expected, 1 not, 2 the service does not answer, or answers something else, 64 bad usage
`;

/** `vfio-host verdict …`: what rigs, or traces, have come to. */
export const verdict: Command = {
  help: HELP,
  run: verdictCommand,
};

async function verdictCommand(args: readonly string[], { out }: Output): Promise<number> {
  const { values, positionals: files } = parseArguments(args, OPTIONS, true);
  const { url = DEFAULT_URL, rig, rigs, expect = '', kernel, json, junit } = values;
  if (rigs !== undefined && rigs !== 'all') throw new UsageError(`--rigs: "${rigs}" is not "all"`);
  if (rigs !== undefined && rig !== undefined) throw new UsageError('--rig and --rigs: one of them');
  if (files.length > 0 && (values.url ?? rig ?? rigs) !== undefined) {
    throw new UsageError('--url, --rig and --rigs are of a running service, and a TRACE is run here');
  }
  if (files.length === 0 && kernel !== undefined) throw new UsageError('--kernel is of TRACEs');
  const expected = expectedOf(expect);
  const answer: VerdictView | VerdictsView =
    files.length > 0
      ? verdictsOf(files.flatMap(readTraces).map(judgedBy(kernel, expected)), expected)
      : await ask(url, { rig, rigs, expect });
  const verdicts = 'rigs' in answer ? answer.rigs : [answer];
  writeJUnit(junit, () => suitesOf(verdicts));
  out(json ? JSON.stringify(answer) : textOf(verdicts).trimEnd());
  return answer.ok ? SAME : DIFFERENT;
}

function expectedOf(words: string): Expected {
  try {
    return Expected.parse(words, '--expect');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new UsageError(error.message);
  }
}

/** Runs a trace on a fresh machine, and judges what it comes to. */
function judgedBy(kernel: string | undefined, expected: Expected) {
  return (trace: Scenario): VerdictView => {
    const findings = new Findings();
    const gen = generationNamed(kernel ?? trace.kernel, kernel ? '--kernel:' : `${trace.id}: kernel`);
    const machine = new Machine(gen, TRACE_LIMITS, { listeners: [findings] });
    runScenario(machine, trace);
    const subject = { name: trace.id, host: { machine, findings, panicked: null } };
    return atOnce(verdictSteps(subject, expected));
  };
}

async function ask(
  url: string,
  { rig, rigs, expect }: { rig: string | undefined; rigs: string | undefined; expect: string },
): Promise<VerdictView | VerdictsView> {
  const query = new URLSearchParams({ ...(rigs ? { rigs } : {}), ...(expect ? { expect } : {}) });
  const service = new RunningService(url);
  const { status, text } = await service.ask({
    method: 'GET',
    path: `/v1/verdict?${query}`,
    headers: { accept: 'application/json', ...(rig === undefined ? {} : { 'x-rig': rig }) },
  });
  const answer = status === 200 || status === 409 ? parse(text) : null;
  if (answer) return answer;
  throw service.unexpected(status, text);
}

/** A verdict as the service writes it; null where the text is something else. */
function parse(text: string): VerdictView | VerdictsView | null {
  try {
    const value = JSON.parse(text) as VerdictView;
    return typeof value.ok === 'boolean' ? value : null;
  } catch {
    return null;
  }
}
