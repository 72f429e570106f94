import { CHECKS, type FindingView, type VerdictView } from '../../schemas/verdict.ts';
import type { JUnitSuite } from './junit.ts';

type Check = FindingView['check'];

/** What is held of a rig where a check finds nothing. */
const PASSED: Readonly<Record<Check, string>> = {
  panic: 'no panic',
  splats: 'no splats',
  advisories: 'no advisories',
  'leaked-pins': 'no leaked pins',
  pins: 'no pins left',
  mappings: 'no mappings left',
  wedged: 'no container wedged',
  calls: 'no calls under way',
  webhooks: 'every webhook delivered',
  missing: 'everything expected came',
};

/** A verdict in one sentence: what was not expected. */
export function summaryOf({ rig, findings }: VerdictView): string {
  const unexpected = findings.filter(({ expected }) => !expected);
  if (unexpected.length === 0) return `rig ${rig}: as expected`;
  return `rig ${rig}: ${unexpected.map(({ text, kind, check }) => (check === kind ? text : `${kind} ${text}`)).join('; ')}`;
}

/** A verdict in lines to read. */
function linesOf({ ok, rig, kernel, findings }: VerdictView): string[] {
  const lines = CHECKS.flatMap((check) => {
    const found = findings.filter((finding) => finding.check === check);
    if (found.length === 0) return [`  ok    ${PASSED[check]}`];
    return found.map(
      ({ expected, kind, count, text }) =>
        `  ${expected ? 'ok   ' : 'FAIL '} ${check === kind ? '' : `${kind} `}${count > 1 ? `(${count}) ` : ''}${text}${expected ? ' [expected]' : ''}`,
    );
  });
  return [`rig ${rig} (Linux ${kernel}): ${ok ? 'ok' : 'not ok'}`, ...lines];
}

/** Verdicts as text to read. */
export function textOf(verdicts: readonly VerdictView[]): string {
  return verdicts
    .flatMap(linesOf)
    .map((line) => `${line}\n`)
    .join('');
}

/** Verdicts as a report: a suite a rig, a test a check. */
export function suitesOf(verdicts: readonly VerdictView[]): JUnitSuite[] {
  return verdicts.map(({ rig, findings }) => ({
    name: `rig ${rig}`,
    cases: CHECKS.map((check) => {
      const wrong = findings.filter((finding) => finding.check === check && !finding.expected);
      if (wrong.length === 0) return { name: PASSED[check] };
      const text = wrong.map(({ kind, count, text: words }) => `${kind} (${count}): ${words}`).join('\n');
      return { name: PASSED[check], failure: { message: wrong[0]!.text, text } };
    }),
  }));
}
