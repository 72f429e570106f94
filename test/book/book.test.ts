import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { Book } from '../../src/book/book.ts';

test('a chapter that the build has rendered is read as it is; one that it has not is rendered', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'book-'));
  try {
    writeFileSync(join(folder, 'webhooks.html'), '<p>built</p>');
    const book = new Book([pathToFileURL(`${folder}/none/`), pathToFileURL(`${folder}/`)]);
    expect(await book.page('webhooks')).toBe('<p>built</p>');
    expect(await book.page('concepts')).toContain('<h1 id=');
    expect(await book.page('nothing')).toBeNull();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every chapter is among the entries, the front page first', () => {
  const names = new Book().entries().map(({ name }) => name);
  expect(names[0]).toBe('README');
  expect(names).toContain('reference');
});
