import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { RigName } from '../schemas/values.ts';
import { RigView } from '../schemas/views.ts';
import type { Service } from '../src/service.ts';
import { PROBLEM_RESPONSE, send } from './reply.ts';

/** The rigs: isolated hosts on one server. */
export function rigRoutes(app: FastifyInstance, service: Service): void {
  const tags = ['rigs'];
  app.get(
    '/v1/rigs',
    {
      schema: {
        tags,
        summary: 'rigs',
        description: 'The isolated hosts on this server, oldest first.',
        response: { 200: Type.Object({ rigs: Type.Array(RigView) }) },
      },
    },
    () => ({ rigs: service.rigs.describe() }),
  );
  app.delete<{ Params: { rig: string } }>(
    '/v1/rigs/:rig',
    {
      schema: {
        tags,
        summary: 'drops a rig',
        description: 'Ends a rig; calls under way in it are answered 503. Without one of that name: 404.',
        params: Type.Object({ rig: RigName }),
        response: { 204: Type.Null(), '4xx': PROBLEM_RESPONSE },
      },
    },
    (request, reply) => {
      service.rigs.drop(request.params.rig);
      return send(request, reply, { status: 204, body: {} });
    },
  );
}
