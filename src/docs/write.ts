import { readFileSync, writeFileSync } from 'node:fs';
import { withCallsTable } from './calls-table.ts';
import { PAGES } from './pages.ts';

/** Writes the generated documentation into docs/ and README.md of the current folder: `npm run docs`. */
for (const [path, page] of Object.entries(PAGES)) writeFileSync(path, page());
writeFileSync('README.md', withCallsTable(readFileSync('README.md', 'utf8')));
