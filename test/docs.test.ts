import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withCallsTable } from '../src/docs/calls-table.ts';
import { PAGES } from '../src/docs/pages.ts';

test.each(Object.keys(PAGES))('%s is what `npm run docs` writes', (path) => {
  expect(readFileSync(path, 'utf8')).toBe(PAGES[path]!());
});

test('the table of the calls in README.md is what `npm run docs` writes', () => {
  const readme = readFileSync('README.md', 'utf8');
  expect(withCallsTable(readme)).toBe(readme);
});
