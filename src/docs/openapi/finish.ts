import { PROBLEM_RESPONSE } from '../../../routes/reply.ts';
import type { Json } from './json.ts';
import { sharedParameters } from './parameters.ts';
import { SharedSchemas } from './schemas.ts';
import { webhooks } from './webhooks.ts';

const DESCRIPTION_OF: Readonly<Record<string, string>> = {
  200: 'success',
  201: 'made',
  202: 'under way: it has to wait, and the request said that it will not',
  204: 'done; there is nothing to say',
};
const NO_DESCRIPTION = 'Default Response';

/**
 * The document as it is served, from the one made of the routes: paths in order, shared schemas, headers and the
 * problem as components, an operationId and a description on every operation.
 */
export function finishOpenApi(document: Json): Json {
  const schemas = new SharedSchemas();
  const paths = document.paths as Record<string, Json>;
  const finished = Object.keys(paths)
    .sort()
    .map((path) => [path, finishPath(path, paths[path]!, schemas)]);
  const called = webhooks(schemas);
  const { components, paths: _paths, ...frame } = document;
  return {
    ...frame,
    paths: Object.fromEntries(finished),
    webhooks: called,
    components: {
      ...(components as Json),
      schemas: sorted(Object.fromEntries(schemas.components)),
    },
  };
}

function finishPath(path: string, item: Json, schemas: SharedSchemas): Json {
  const operations = Object.entries(sorted(item)).map(([method, value]) => [
    method,
    finishOperation(method, path, value as Json, schemas),
  ]);
  return Object.fromEntries(operations);
}

function finishOperation(method: string, path: string, value: Json, schemas: SharedSchemas): Json {
  const { operationId, tags, summary, description, parameters = [], requestBody, responses } = value;
  const own = (parameters as Json[]).map((one) => ({ ...one, schema: schemas.write(one.schema as Json) }));
  const all = [...own, ...sharedParameters(path, value)];
  const body = requestBody as { content: Json } | undefined;
  return {
    operationId: operationId ?? defaultId(method, path),
    tags,
    summary,
    description,
    ...(all.length > 0 ? { parameters: all } : {}),
    ...(body ? { requestBody: { ...body, content: finishContent(body.content, schemas) } } : {}),
    responses: Object.fromEntries(
      Object.entries({ ...(responses as Record<string, Json>), ...PROBLEM }).map(([status, one]) => [
        status,
        finishResponse(status, one, schemas),
      ]),
    ),
  };
}

function finishResponse(status: string, response: Json, schemas: SharedSchemas): Json {
  const { description, content, ...rest } = response;
  const says = description === NO_DESCRIPTION ? DESCRIPTION_OF[status] : description;
  const headers = status === '202' ? { headers: { 'Preference-Applied': PREFERENCE_APPLIED } } : {};
  if (!content || status === '204') return { description: says, ...headers, ...rest };
  return { description: says, ...headers, ...rest, content: finishContent(content as Json, schemas) };
}

/** Any request may be refused: for its token, its host, its form. */
const PROBLEM = { '4XX': PROBLEM_RESPONSE as unknown as Json };
const PREFERENCE_APPLIED = { description: 'respond-async', schema: { type: 'string' } };

function finishContent(content: Json, schemas: SharedSchemas): Json {
  return Object.fromEntries(
    Object.entries(content as Record<string, Json>).map(([type, { schema, ...rest }]) => [
      type,
      { schema: schemas.write(schema as Json), ...rest },
    ]),
  );
}

/** `POST /v1/reset` is `reset`, `GET /v1/operations/{operation}` is `get-operations-operation`. */
function defaultId(method: string, path: string): string {
  const words = path.replace(/^\/v1(?=\/)/, '').match(/\w+/g) ?? [];
  return (method === 'post' ? words : [method, ...words]).join('-');
}

function sorted(object: Json): Json {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
