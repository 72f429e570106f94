import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PAGES } from '../../src/docs/pages.ts';

test.each(Object.keys(PAGES))('%s is what `npm run docs` writes', (path) => {
  expect(readFileSync(path, 'utf8')).toBe(PAGES[path]!());
});
