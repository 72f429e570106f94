import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CASES } from '../../src/docs/cases.ts';
import { GENERATIONS } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { runScenario } from '../../src/replay/run.ts';
import { readTraces } from '../../src/trace-files/traces.ts';

const PAGE = readFileSync('docs/cases.md', 'utf8');

test.for(CASES.map((one) => [one.id, one] as const))(
  '%s: its trace replays on every kernel, and the page says what is answered',
  ([id, { symptom }]) => {
    const path = `examples/traces/case-${id}.json`;
    expect(existsSync(path)).toBe(true);
    const [trace] = readTraces(path);
    for (const gen of GENERATIONS) expect(runScenario(new Machine(gen), trace!).length).toBeGreaterThan(0);
    const section = PAGE.slice(PAGE.indexOf(`<a id="${id}">`)).split('\n## ')[0]!;
    expect(section).toContain(symptom);
    const said = section.split('\n').filter((line) => line.startsWith('- '));
    const versions = said.flatMap((line) => line.slice(2).split(': ')[0]!.split(', '));
    expect(versions.sort()).toEqual(GENERATIONS.map(({ version }) => version).sort());
    // Whatever is answered, there is more to read than an errno: why, or what the kernel lets pass.
    expect(
      said.some((line) => /: (E[A-Z0-9]+: |.*; )/.test(line)),
      said.join('\n'),
    ).toBe(true);
  },
);

test('every trace of a case is on the page', () => {
  const traces = readdirSync('examples/traces').flatMap((name) => /^case-(.*)\.json$/.exec(name)?.[1] ?? []);
  expect(traces.sort()).toEqual(CASES.map(({ id }) => id).sort());
});
