import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withCallsTable } from '../src/docs/calls-table.ts';
import { kernelsPage, TRACES } from '../src/docs/kernels-page.ts';
import { readTraces } from '../src/trace-files/traces.ts';

test('docs/kernels.md is what `npm run docs` writes', () => {
  const page = kernelsPage((id) => {
    const path = `${TRACES}/${id}.json`;
    return existsSync(path) ? readTraces(path)[0]! : null;
  });
  expect(readFileSync('docs/kernels.md', 'utf8')).toBe(page);
});

test('the table of the calls in README.md is what `npm run docs` writes', () => {
  const readme = readFileSync('README.md', 'utf8');
  expect(withCallsTable(readme)).toBe(readme);
});
