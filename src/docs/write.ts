import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readTraces } from '../trace-files/traces.ts';
import { withCallsTable } from './calls-table.ts';
import { kernelsPage, TRACES } from './kernels-page.ts';

/** Writes the generated documentation into docs/ and README.md of the current folder: `npm run docs`. */
mkdirSync('docs', { recursive: true });
writeFileSync(
  'docs/kernels.md',
  kernelsPage((id) => {
    const path = `${TRACES}/${id}.json`;
    return existsSync(path) ? readTraces(path)[0]! : null;
  }),
);
writeFileSync('README.md', withCallsTable(readFileSync('README.md', 'utf8')));
