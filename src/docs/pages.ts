import { existsSync, readFileSync } from 'node:fs';
import { readTraces } from '../trace-files/traces.ts';
import { withCallsTable } from './calls-table.ts';
import { casesPage } from './cases-page.ts';
import { withKernelFunctions } from './kernel-functions.ts';
import { kernelsPage, TRACES } from './kernels-page.ts';
import { limitsPage } from './limits-page.ts';
import { referencePage } from './reference/page.ts';
import { splatsPage } from './splats-page.ts';

/** The pages that are generated, or have a generated part, by path; each is made in the repository's root. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/kernels.md': () =>
    kernelsPage((id) => {
      const path = `${TRACES}/${id}.json`;
      return existsSync(path) ? readTraces(path)[0]! : null;
    }),
  'docs/reference.md': referencePage,
  'docs/cases.md': () => casesPage((id) => readTraces(`${TRACES}/${id}.json`)[0]!),
  'docs/splats.md': splatsPage,
  'docs/limits.md': limitsPage,
  'docs/ARCHITECTURE.md': () => withKernelFunctions(readFileSync('docs/ARCHITECTURE.md', 'utf8')),
  'README.md': () => withCallsTable(readFileSync('README.md', 'utf8')),
};
