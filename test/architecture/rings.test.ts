import { expect, test } from 'vitest';
import { type Source, sources } from './sources.ts';

/**
 * The rooms of the house from the inside out. A file imports from its own room, or from a room further in.
 * docs/ARCHITECTURE.md draws them.
 */
const RINGS: readonly (readonly string[])[] = [
  [
    'src/arguments.ts',
    'src/budget.ts',
    'src/chunks.ts',
    'src/deadline.ts',
    'src/json',
    'src/pause.ts',
    'src/turns.ts',
    'src/version.ts',
    'src/whole-file.ts',
  ],
  ['schemas'],
  ['src/kernel'],
  ['src/drivers'],
  ['src/views'],
  ['src/machine'],
  ['src/snapshot', 'src/webhook', 'src/replay', 'src/memory'],
  ['src/setup'],
  ['src/host'],
  ['src/explore'],
  ['src/rig'],
  ['src/metrics', 'src/page', 'src/verdict', 'src/book'],
  ['src/settings.ts'],
  ['src/trace-files', 'src/config.ts'],
  ['src/service.ts'],
  ['routes'],
  ['src/app.ts'],
  ['src/run'],
  ['src/record'],
  ['src/docs', 'src/cli'],
  ['src/main.ts'],
];

const ALL = sources('src', 'routes', 'schemas');

/** The room a file lies in: a folder of `src/`, a file directly in it, `routes` or `schemas`. */
function roomOf(path: string): string {
  const [first, second] = path.split('/');
  return first === 'src' ? `${first}/${second}` : first!;
}

function ringOf(room: string): number {
  return RINGS.findIndex((ring) => ring.includes(room));
}

function outward({ path, imports }: Source): string[] {
  const room = roomOf(path);
  return imports
    .map(({ from }) => roomOf(from))
    .filter((to) => ringOf(to) >= 0 && to !== room && ringOf(to) >= ringOf(room))
    .map((to) => `${room} -> ${to}`);
}

test('every file of src, routes and schemas lies in a known room', () => {
  const homeless = ALL.map(({ path }) => path).filter((path) => {
    const room = roomOf(path);
    return room !== 'src/client' && ringOf(room) < 0;
  });
  expect(homeless).toEqual([]);
});

test('no import goes outwards or sideways between rooms', () => {
  const found = ALL.filter(({ path }) => roomOf(path) !== 'src/client').flatMap(outward);
  expect([...new Set(found)].sort()).toEqual([]);
});

/** Files, and what they import, and so on. */
function withImports(files: readonly Source[]): Source[] {
  const found = new Set(files);
  for (const { imports } of found) {
    for (const { from } of imports) {
      const imported = ALL.find(({ path }) => path === from);
      if (imported) found.add(imported);
    }
  }
  return [...found];
}

test('the kernel, the drivers and what they import know no I/O, clock or randomness', () => {
  const core = ALL.filter(({ path }) => /^(src\/(kernel|drivers)|schemas)\//.test(path));
  const impure = withImports(core).flatMap(({ path, code, imports }) => [
    ...imports.filter(({ from }) => from.startsWith('node:')).map(({ from }) => `${path} imports ${from}`),
    ...[
      ...code.matchAll(
        /\b(Date\b(?!:)|Math\.random|performance\.|setTimeout|setInterval|setImmediate|queueMicrotask|process\.(?:env|hrtime|nextTick|stdout)|console\.(?:log|info|warn|error))/g,
      ),
    ].map(([word]) => `${path} uses ${word}`),
  ]);
  expect(impure).toEqual([]);
});

/** The REST form of a call is part of its entry; a webhook is called over HTTP. */
const SPEAKS_HTTP = /^(schemas|src\/webhook)\//;

test('fastify and HTTP statuses are known to the fronts alone', () => {
  const inner = ALL.filter(({ path }) => {
    const ring = ringOf(roomOf(path));
    return ring > 0 && ring < ringOf('src/service.ts') && !SPEAKS_HTTP.test(path);
  });
  const found = inner.flatMap(({ path, code, imports }) => [
    ...imports.filter(({ from }) => /^@?fastify/.test(from)).map(({ from }) => `${path} imports ${from}`),
    ...[...code.matchAll(/\bstatus(?:Code)?\b[^\n]{0,12}\b[1-5]\d\d\b/g)].map(([text]) => `${path}: ${text}`),
  ]);
  expect(found).toEqual([]);
});

test('headers of requests are read in one place, which has a rule for each', () => {
  const fronts = ALL.filter(({ path }) => /^(routes\/|src\/(app|service)\.ts$)/.test(path));
  const found = fronts
    .filter(({ path }) => path !== 'routes/headers.ts')
    .flatMap(({ path, code }) =>
      [
        ...code.matchAll(
          /\.(?:headers|rawHeaders)\b|\{[^{}\n]*\bheaders\b[^{}\n]*\}(?:: FastifyRequest| = request)/g,
        ),
      ].map(([text]) => `${path}: ${text}`),
    );
  expect(found).toEqual([]);
});
