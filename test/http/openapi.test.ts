import { beforeAll, describe, expect, test } from 'vitest';
import { CALL_NAMES, callEntry, restOf } from '../../schemas/calls.ts';
import { type Answer, ok, useOneRig } from '../harness/http-rig.ts';

type Json = Answer['body'];

const rig = useOneRig();
let document: Json;
beforeAll(async () => {
  document = await ok(rig.request('GET', '/openapi.json'));
});

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
const CALLS = CALL_NAMES;

/** Every operation of the document. */
function operations(): { path: string; method: string; operation: Json }[] {
  return Object.entries(document.paths as Json).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, operation: item[method] })),
  );
}

/** The document's path for a route's url. */
const templated = (url: string) => url.replace(/:([a-z]+)/g, '{$1}');

/** Every object in a JSON value. */
function* objectsIn(value: unknown): Generator<Json> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Json;
  for (const inner of Object.values(value)) yield* objectsIn(inner);
}

describe('the document', () => {
  test('is OpenAPI 3.1 with a title, a version and paths', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({
      title: 'vfio-host',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    expect(Object.keys(document.paths).length).toBeGreaterThan(30);
    for (const path of Object.keys(document.paths)) expect(path).toMatch(/^\/[^:]*$/);
  });

  test('each operation has responses with descriptions under valid codes', () => {
    for (const { path, method, operation } of operations()) {
      const codes = Object.keys(operation.responses);
      expect(codes, `${method} ${path}`).not.toEqual([]);
      for (const code of codes) {
        expect(code).toMatch(/^([1-5]\d\d|[1-5]XX|default)$/);
        expect(operation.responses[code].description).toMatch(/\S/);
      }
    }
  });

  test('each operation has exactly the path parameters of its path, all required', () => {
    for (const { path, method, operation } of operations()) {
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name).sort();
      const parameters = ((operation.parameters ?? []) as Json[]).filter((p) => p.in === 'path');
      expect(parameters.map((p) => p.name).sort(), `${method} ${path}`).toEqual(inPath);
      for (const parameter of parameters) expect(parameter).toMatchObject({ required: true, schema: {} });
    }
  });

  test('each parameter has a name, a place and a schema, and no two are the same', () => {
    for (const { path, method, operation } of operations()) {
      const parameters = (operation.parameters ?? []) as Json[];
      for (const parameter of parameters) {
        expect(parameter.name).toMatch(/\S/);
        expect(['path', 'query', 'header', 'cookie']).toContain(parameter.in);
        expect(parameter.schema).toBeTypeOf('object');
      }
      const names = parameters.map((p) => `${p.in} ${p.name}`);
      expect(new Set(names).size, `${method} ${path}`).toBe(names.length);
    }
  });

  test('operation ids are unique', () => {
    const ids = operations().flatMap(({ operation }) => operation.operationId ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThanOrEqual(CALLS.length);
  });

  test('each reference leads somewhere', () => {
    const references = [...objectsIn(document)].flatMap(({ $ref }) =>
      typeof $ref === 'string' ? [$ref] : [],
    );
    for (const reference of references) {
      const parts = reference.replace(/^#\//, '').split('/');
      const found = parts.reduce<Json | undefined>((at, part) => at?.[part], document);
      expect(found, reference).toBeDefined();
    }
  });

  test('problems are documented as application/problem+json', () => {
    const problems = operations().flatMap(({ operation }) => operation.responses['4XX'] ?? []);
    expect(problems.length).toBeGreaterThanOrEqual(CALLS.length);
    for (const { content } of problems) {
      expect(Object.keys(content)).toEqual(['application/problem+json']);
      expect(content['application/problem+json'].schema).toEqual({ $ref: '#/components/schemas/Problem' });
    }
  });

  test('is served the same again', async () => {
    expect(await ok(rig.request('GET', '/openapi.json'))).toEqual(document);
  });
});

describe.each(CALLS)('%s', (call) => {
  const { method, url, status } = restOf(call);

  test('has a path of the contract’s form, without a colon', () => {
    const operation = document.paths[templated(url)]?.[String(method).toLowerCase()];
    expect(operation, `${method} ${url}`).toMatchObject({ operationId: call, tags: [callEntry(call).on] });
    expect(Object.keys(operation.responses)).toContain(String(status));
  });

  test('documents its arguments as they are checked', () => {
    if (method !== 'POST') {
      const { parameters = [] } = document.paths[templated(url)][method.toLowerCase()];
      const query = parameters.filter((one: { in: string }) => one.in === 'query');
      const named = query.map(({ name }: { name: string }) => name);
      return expect(named).toEqual(expect.arrayContaining(Object.keys(callEntry(call).args.properties)));
    }
    const { requestBody } = document.paths[templated(url)].post;
    const schema = requestBody.content['application/json'].schema;
    expect(Object.keys(schema.properties ?? {})).toEqual(Object.keys(callEntry(call).args.properties));
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).toEqual(callEntry(call).args.required);
  });
});

describe('pages for people', () => {
  test('/docs answers with HTML', async () => {
    const response = await rig.app.inject('/docs');
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toMatch(/^text\/html/);
  });

  test('every link of every page leads to what is served, under a policy that lets nothing in from elsewhere', async () => {
    const found = new Set(['/docs', '/docs/', '/docs/api']);
    for (const path of found) {
      const answer = await rig.app.inject(path);
      expect(answer.statusCode, path).toBe(200);
      if (!answer.headers['content-type']?.toString().startsWith('text/html')) continue;
      expect(answer.headers['content-security-policy'], path).toMatch(/^default-src 'none'/);
      for (const [, link] of answer.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
        const { pathname, hash, host } = new URL(link!, `http://here${path}`);
        expect(host, `${path}: ${link}`).toBe('here');
        found.add(pathname);
        if (hash === '') continue;
        const there = pathname === path ? answer : await rig.app.inject(pathname);
        expect(there.body, `${path}: ${link}`).toContain(`id="${hash.slice(1)}"`);
      }
    }
    expect(found.size).toBeGreaterThan(30);
  });

  test('/docs/api shows this very document, and has our name', async () => {
    const page = await rig.app.inject('/docs/api');
    expect(page.body).toContain('vfio-host</title>');
    expect(page.body.match(/swagger/gi)!.length).toBe(page.body.match(/\/docs\/api\/swagger/g)!.length);
    expect((await rig.app.inject('/ui/api.js')).body).toContain("url: '/openapi.json'");
  });

  test('a chapter, a picture and a file of the viewer that there are not are 404', async () => {
    for (const url of ['/docs/nothing', '/docs/images/nothing.svg', '/docs/api/nothing.js']) {
      expect((await rig.app.inject(url)).statusCode, url).toBe(404);
    }
  });
});

describe('status', () => {
  test.each([
    ['/health', { status: 'ok' }],
    ['/ready', { ready: true }],
  ])('GET %s answers 200', async (url, body) => {
    expect(await rig.request('GET', url)).toMatchObject({ status: 200, body });
  });

  test('GET /version names program, version and kernel', async () => {
    const { body } = await rig.request('GET', '/version');
    expect(body).toMatchObject({ name: 'vfio-host', version: document.info.version, kernel: '6.1' });
  });

  test('GET /v1 says what this is: version, kernel, limits and taint', async () => {
    const { body } = await rig.request('GET', '/v1');
    expect(body).toMatchObject({
      version: document.info.version,
      kernel: '6.1',
      taint: [],
      limits: { containers: expect.any(Number), devices: expect.any(Number), bodyLimit: expect.any(Number) },
      parameters: { dmaEntryLimit: 65535, panicOnWarn: false, panicOnOops: false },
    });
  });
});
