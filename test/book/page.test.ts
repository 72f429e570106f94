import { readdirSync, readFileSync } from 'node:fs';
import { Marked } from 'marked';
import { expect, test } from 'vitest';
import { sectionsOf } from '../../src/book/page.ts';

const DOCS = new URL('../../docs/', import.meta.url);

test('a chapter is cut before its headings, and not within code', () => {
  expect(sectionsOf('# A\n\ntext\n\n## B\n```sh\n# no heading\n```\n### C')).toEqual([
    '# A\n\ntext\n',
    '## B\n```sh\n# no heading\n```',
    '### C',
  ]);
});

test('every chapter in sections is the chapter as a whole', () => {
  const marked = new Marked();
  const html = (text: string) => String(marked.parse(text)).replace(/\s/g, '');
  for (const file of readdirSync(DOCS).filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(new URL(file, DOCS), 'utf8');
    expect(sectionsOf(text).map(html).join('') === html(text), file).toBe(true);
  }
});
