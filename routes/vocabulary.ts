import type { FastifyInstance } from 'fastify';
import { CALL_NAMES, type CallName, callEntry, restOf } from '../schemas/calls.ts';
import { CallList } from '../schemas/views.ts';

/** `GET /v1/calls`: the one vocabulary, for whoever is not compiled with it. */
export function vocabularyRoutes(app: FastifyInstance): void {
  const calls = CALL_NAMES.map(describe);
  app.get(
    '/v1/calls',
    {
      schema: {
        tags: ['host'],
        operationId: 'list-calls',
        summary: 'every call: what it is made on, its arguments, its REST form, its traits',
        description:
          'The one vocabulary of REST, batch, traces and journal, for whoever is not compiled with it.',
        response: { 200: CallList },
      },
    },
    () => ({ calls }),
  );
}

function describe(name: CallName) {
  const { about, on, by, reads, of, args } = callEntry(name);
  const { method, url, status } = restOf(name);
  return {
    call: name,
    about,
    on,
    by: by ?? 'client',
    reads: reads ?? false,
    ...(of ? { of: [...of] } : {}),
    method,
    path: url.replace(/:(\w+)/, '{$1}'),
    status,
    args: Object.entries(args.properties).map(([arg, { description }]) => ({
      name: arg,
      required: args.required?.includes(arg) ?? false,
      ...(description === undefined ? {} : { rule: description }),
    })),
  };
}
