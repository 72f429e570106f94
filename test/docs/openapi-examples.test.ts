import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { CALL_NAMES } from '../../schemas/calls.ts';

interface Media {
  schema: { $ref?: string; contentSchema?: object };
  examples?: Record<string, { value: unknown }>;
}
interface Operation {
  operationId: string;
  description?: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}

const document = JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
};
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ method, path, operation })),
);
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, 'api');

/** Every schema of the document's operations with its examples, by JSON pointer. */
function* medias(): Generator<{ pointer: string; media: Media; ndjson: boolean }> {
  for (const { method, path, operation } of operations) {
    const at = `/paths/${path.replaceAll('~', '~0').replaceAll('/', '~1')}/${method}`;
    const contents = [
      [`${at}/requestBody`, operation.requestBody?.content] as const,
      ...Object.entries(operation.responses).map(
        ([status, { content }]) => [`${at}/responses/${status}`, content] as const,
      ),
    ];
    for (const [where, content = {}] of contents) {
      for (const [type, media] of Object.entries(content)) {
        const pointer = `${where}/content/${type.replaceAll('/', '~1')}/schema`;
        yield { pointer, media, ndjson: type.endsWith('ndjson') };
      }
    }
  }
}

/** Every schema in a JSON value that says nothing. */
function* emptySchemas(value: unknown, at: string): Generator<string> {
  if (typeof value !== 'object' || value === null || at.endsWith('/value')) return;
  for (const [key, inner] of Object.entries(value)) {
    const isSchema = ['schema', 'items', 'contentSchema'].includes(key) || at.endsWith('/properties');
    if (isSchema && Object.keys(inner as object).every((field) => field === 'description'))
      yield `${at}/${key}`;
    yield* emptySchemas(inner, `${at}/${key}`);
  }
}

describe('openapi.json', () => {
  test('every example is as its schema says', () => {
    let checked = 0;
    for (const { pointer, media, ndjson } of medias()) {
      if (!media.examples) continue;
      const validate = ajv.compile({ $ref: `api#${encodeURI(pointer)}` });
      for (const [name, { value }] of Object.entries(media.examples)) {
        expect(validate(value) ? null : ajv.errorsText(validate.errors), `${pointer} ${name}`).toBeNull();
        if (ndjson) {
          const line = ajv.compile({ $ref: `api#${encodeURI(pointer)}/contentSchema` });
          for (const text of String(value).trim().split('\n'))
            expect(line(JSON.parse(text)), text).toBe(true);
        }
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(150);
  });

  test('every operation has a description, and a request and an answer that were really made', () => {
    const without = operations.filter(({ operation: { description, requestBody, responses } }) => {
      const shown = (content: Record<string, Media> = {}) =>
        Object.values(content).some((one) => one.examples);
      const good = Object.entries(responses).filter(([status]) => /^2/.test(status));
      const answered = good.some(([status, { content }]) => status === '204' || shown(content));
      return !description || !answered || (requestBody && !shown(requestBody.content));
    });
    // A new one gets a line in src/docs/openapi/tour.ts.
    expect(without.map(({ operation }) => operation.operationId)).toEqual([]);
  });

  test('no schema is empty', () => {
    expect([...emptySchemas(document, '')]).toEqual([]);
  });

  test('no two different schemas have the same title', () => {
    const text = JSON.stringify(document.paths, (key, value) => (key === 'value' ? undefined : value));
    expect([...text.matchAll(/"title":"([^"]+)"/g)].map(([, title]) => title)).toEqual([]);
  });

  test('the calls are all there', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids).toEqual(expect.arrayContaining([...CALL_NAMES]));
  });
});
