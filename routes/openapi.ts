import { RigName } from '../schemas/values.ts';
import { DEFAULT_RIG } from '../src/rig/rigs.ts';

/** A JSON object of an OpenAPI document. */
type Json = { [field: string]: unknown };

/** Titles of the schemas that are written once, as components. */
const SHARED = ['Advisory', 'Expectation', 'Invalidation', 'LogEntry', 'Scenario', 'Step'];

/** Paths below /v1 that are for no rig in particular. */
const FOR_NO_RIG = /^\/v1\/(rigs|compare|calls)(\/|$)/;

const RIG_PARAMETER = {
  name: 'X-Rig',
  in: 'header',
  description:
    'the rig the request is for; a POST or PUT makes it where there is none yet, a GET or DELETE is answered 404; without it the one named default',
  schema: { type: 'string', pattern: RigName.pattern, default: DEFAULT_RIG },
};

/**
 * The document as it is served, from the one made of the routes: paths in order, shared schemas as components,
 * the rig's header on every operation that has a rig, an operationId on every operation.
 */
export function finishOpenApi(document: Json): Json {
  const schemas: Json = {};
  const paths = document.paths as Json;
  const finished = Object.keys(paths)
    .sort()
    .map((path) => [path, finishPath(path, paths[path] as Json)]);
  const shared = withReferences(Object.fromEntries(finished), schemas);
  const components = { ...(document.components as Json), schemas: sorted(schemas) };
  return { ...document, components, paths: shared };
}

function finishPath(path: string, item: Json): Json {
  const rig = /^\/v1(\/|$)/.test(path) && !FOR_NO_RIG.test(path) ? [RIG_PARAMETER] : [];
  const operations = Object.entries(sorted(item)).map(([method, value]) => {
    const { operationId, parameters, ...operation } = value as Json;
    const all = [...((parameters ?? []) as Json[]), ...rig];
    const id = operationId ?? defaultId(method, path);
    return [method, { operationId: id, ...operation, ...(all.length > 0 ? { parameters: all } : {}) }];
  });
  return Object.fromEntries(operations) as Json;
}

/** `POST /v1/reset` is `reset`, `GET /v1/operations/{operation}` is `get-operations-operation`. */
function defaultId(method: string, path: string): string {
  const words = path.replace(/^\/v1(?=\/)/, '').match(/\w+/g) ?? [];
  return (method === 'post' ? words : [method, ...words]).join('-');
}

/** A value with references in place of shared schemas, which go to `schemas`. */
function withReferences(value: unknown, schemas: Json): unknown {
  if (Array.isArray(value)) return value.map((item) => withReferences(item, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([field, inner]) => [field, withReferences(inner, schemas)]);
  const { title } = value as Json;
  if (typeof title !== 'string' || !SHARED.includes(title)) return Object.fromEntries(entries);
  schemas[title] = Object.fromEntries(entries);
  return { $ref: `#/components/schemas/${title}` };
}

function sorted(object: Json): Json {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
