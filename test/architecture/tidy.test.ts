import { expect, test } from 'vitest';
import { sources, textOf, tracked } from './sources.ts';

const CODE = sources('src', 'routes', 'schemas', 'bench', 'ui', 'test');

/** Lines of the longest file. */
const LONGEST = 420;

test('every export is imported somewhere', () => {
  const taken = new Set<string>();
  const whole = new Set<string>();
  for (const { imports } of CODE) {
    for (const { from, names } of imports) {
      if (names.includes('*')) whole.add(from);
      for (const name of names) taken.add(`${from}#${name}`);
    }
  }
  const dead = CODE.filter(({ path }) => /^(src|routes|schemas)\//.test(path) && !whole.has(path)).flatMap(
    ({ path, code }) =>
      [...code.matchAll(/^export (?:async )?(?:const|let|function\*?|class|interface|type|enum)\s+(\w+)/gm)]
        .map(([, name]) => `${path}#${name}`)
        .filter((name) => !taken.has(name) && !PUBLIC.test(name)),
  );
  expect(dead).toEqual([]);
});

/** What the package offers to those who install it, and types that others name without an import of their own. */
const PUBLIC = /^src\/client\/|^schemas\/page\.ts#Holder$/;

test('a document that a comment points to is there', () => {
  const missing = CODE.filter(({ path }) => !path.startsWith('test/architecture/')).flatMap(
    ({ path, text }) => [
      ...[...text.matchAll(/\b(?:spec section|spec, section|API contract)\b/g)].map(
        ([words]) => `${path}: ${words}`,
      ),
      ...[...text.matchAll(/\b(?:docs|bench|examples|conformance)\/[\w./-]+\.md\b/g)]
        .filter(([name]) => tracked(name).length === 0)
        .map(([name]) => `${path}: ${name}`),
    ],
  );
  expect(missing).toEqual([]);
});

test('files are short', () => {
  const long = CODE.filter(({ path }) => /^(src|routes|schemas|ui)\//.test(path))
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LONGEST);
  expect(long).toEqual([]);
});

test('the lock file holds no download addresses', () => {
  expect(textOf('package-lock.json')).not.toMatch(
    /"resolved": "(?!test\/generated"|packages\/client")|https?:\/\/registry/,
  );
});
