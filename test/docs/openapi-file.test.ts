import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openApiFile } from '../../src/docs/openapi/file.ts';
import { useOneRig } from '../harness/http-rig.ts';

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters?: { name: string; in: string }[];
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

/** Routes for people and programs that need no description: the document itself, its pages, the page to look at. */
const UNDOCUMENTED = /^\/($|docs|ui|openapi\.json)/;

const rig = useOneRig();
let committed: string;
let document: Document;
beforeAll(async () => {
  committed = readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8');
  document = JSON.parse(committed) as Document;
});

/** `METHOD path` of every route of the app, but for the HEAD that comes with a GET. */
function routesOfApp(): string[] {
  const path: string[] = [];
  return rig.app
    .printRoutes({ commonPrefix: false })
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [, indent, part, methods = ''] = /^((?:[│ ] {3})*)[├└]── (\S+)(?: \((.+)\))?$/.exec(line) ?? [];
      if (indent === undefined) throw new Error(`not a line of a route tree: ${line}`);
      path.splice(indent.length / 4, Infinity, part!);
      const url = path.join('').replace(/:(\w+)/g, '{$1}');
      const served = methods.split(', ').filter((method) => method !== '' && method !== 'HEAD');
      return UNDOCUMENTED.test(url) ? [] : served.map((method) => `${method} ${url}`);
    })
    .sort();
}

function operations(): [string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

describe('openapi.json', () => {
  test('is what the service serves (if not: npm run openapi)', async () => {
    // Compared as a whole first: the difference of two such texts is no use to anybody.
    const fresh = await openApiFile();
    if (fresh !== committed) expect(JSON.parse(fresh)).toEqual(document);
    expect(fresh === committed).toBe(true);
  });

  test('has every route of the service, and no other', () => {
    const documented = operations().map(([route]) => route);
    expect(documented.sort()).toEqual(routesOfApp());
  });

  test('has an operationId of its own, a summary and a tag on every operation', () => {
    const ids = operations().map(([route, { operationId, summary, tags }]) => {
      expect([operationId, summary, tags?.[0]], route).toEqual(Array(3).fill(expect.stringMatching(/\S/)));
      return operationId;
    });
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('documents X-Rig where a request has a rig, and only there', () => {
    const withRig = operations().filter(([, { parameters = [] }]) =>
      parameters.some((parameter) => parameter.in === 'header' && parameter.name === 'X-Rig'),
    );
    const without = operations()
      .filter((operation) => !withRig.some(([route]) => route === operation[0]))
      .map(([route]) => route);
    expect(withRig.map(([route]) => route)).toContain('POST /v1/containers/{container}/map-dma');
    expect(without.sort()).toEqual([
      'DELETE /v1/rigs/{rig}',
      'GET /health',
      'GET /metrics',
      'GET /ready',
      'GET /v1/calls',
      'GET /v1/rigs',
      'GET /version',
      'POST /v1/compare',
    ]);
  });

  test('writes shared shapes once', () => {
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Advisory', 'Invalidation', 'LogEntry', 'Scenario']),
    );
    // What a LogEntry of a deadlock has, and no other.
    expect(JSON.stringify(document.paths)).not.toContain('waitsFor');
    expect(committed.length).toBeLessThan(1_000_000);
  });
});
