/** A test of a report; without `failure` it passed. */
export interface JUnitCase {
  readonly name: string;
  readonly failure?: { readonly message: string; readonly text: string };
}

/** Tests that belong together. */
export interface JUnitSuite {
  readonly name: string;
  readonly cases: readonly JUnitCase[];
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
};

/** A report as CI servers read it: JUnit's XML. The same results give the same text. */
export function junitXml(suites: readonly JUnitSuite[]): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>'];
  const all = suites.flatMap(({ cases }) => cases);
  lines.push(`<testsuites name="vfio-host" ${totals(all)}>`);
  for (const { name, cases } of suites) {
    lines.push(`  <testsuite name="${escaped(name)}" ${totals(cases)}>`);
    for (const one of cases) lines.push(...caseLines(name, one));
    lines.push('  </testsuite>');
  }
  lines.push('</testsuites>');
  return `${lines.join('\n')}\n`;
}

function caseLines(suite: string, { name, failure }: JUnitCase): string[] {
  const start = `    <testcase classname="${escaped(suite)}" name="${escaped(name)}" time="0"`;
  if (!failure) return [`${start}/>`];
  return [
    `${start}>`,
    `      <failure message="${escaped(failure.message)}">${escaped(failure.text)}</failure>`,
    '    </testcase>',
  ];
}

function totals(cases: readonly JUnitCase[]): string {
  const failures = cases.filter(({ failure }) => failure).length;
  return `tests="${cases.length}" failures="${failures}" errors="0" skipped="0" time="0"`;
}

/** Text for XML; what XML 1.0 has no place for becomes the replacement character. */
function escaped(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what XML has no place for
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udfff]/g, '\ufffd')
      .replace(/[&<>"\n\r\t]/g, (char) => ESCAPES[char]!)
  );
}
