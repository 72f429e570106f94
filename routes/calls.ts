import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Accepted } from '../schemas/answers.ts';
import { CALL_NAMES, callEntry, restOf } from '../schemas/calls.ts';
import { Id } from '../schemas/values.ts';
import { validator } from '../src/machine/validate.ts';
import type { Service } from '../src/service.ts';
import { expectAnswer } from './bounds.ts';
import { PROBLEM_RESPONSE, prefersAsync, sendStarted } from './reply.ts';
import { rigOf } from './rig-of.ts';

/** What an object as the body of a request that has none is refused with names its first field. */
const refuseBody = (body: unknown) => checkNothing(body ?? {}, 'body');
const checkNothing = validator(Type.Object({}, { additionalProperties: false }));

/** One route a call: it makes the call object of path and body, and the call's answer its own. */
export function callRoutes(app: FastifyInstance, service: Service): void {
  for (const call of CALL_NAMES) {
    const { method, url, status } = restOf(call);
    const { about, on: target, args, answer, of } = callEntry(call);
    const takesBody = method === 'POST';
    const tellsData = Object.hasOwn(answer.properties, 'data');
    const callOf = ({ params }: FastifyRequest, args: unknown) =>
      target === 'host'
        ? { call, ...(args as object) }
        : { call, [target]: (params as Record<string, string>)[target], ...(args as object) };
    const handler = (request: FastifyRequest, reply: FastifyReply) => {
      // What came with a DELETE no schema of the route has checked: its arguments are in the query.
      if (!takesBody) refuseBody(request.body);
      if (tellsData) expectAnswer(reply, service, Number((request.body as { length?: number }).length ?? 0));
      const rig = rigOf(service, request);
      const started = rig.host.start(
        callOf(request, takesBody ? request.body : request.query),
        request.id,
        prefersAsync(request),
      );
      return sendStarted(request, reply, rig.operations, started);
    };
    app.route({
      method,
      url,
      schema: {
        operationId: call,
        tags: [target],
        summary: of ? `${call}: ${of.join(', ')}` : call,
        description: about,
        ...(target === 'host' ? {} : { params: Type.Object({ [target]: Id }) }),
        ...(takesBody ? { body: args } : { querystring: args }),
        response: {
          [status]: status === 204 ? Type.Null() : answer,
          202: Accepted,
          '4xx': PROBLEM_RESPONSE,
        },
      },
      handler,
    });
  }
}
