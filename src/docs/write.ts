import { writeFileSync } from 'node:fs';
import { PAGES } from './pages.ts';

/** Writes the generated documentation into the current folder: `npm run docs`. */
for (const [path, page] of Object.entries(PAGES)) writeFileSync(path, page());
