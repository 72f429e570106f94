import { existsSync } from 'node:fs';
import { readTraces } from '../trace-files/traces.ts';
import { kernelsPage, TRACES } from './kernels-page.ts';
import { splatsPage } from './splats-page.ts';

/** The generated pages by path; each is made in the repository's root. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/kernels.md': () =>
    kernelsPage((id) => {
      const path = `${TRACES}/${id}.json`;
      return existsSync(path) ? readTraces(path)[0]! : null;
    }),
  'docs/splats.md': splatsPage,
};
