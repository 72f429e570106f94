import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { Id } from '../schemas/values.ts';
import type { Service } from '../src/service.ts';
import { PROBLEM_RESPONSE, sendStarted } from './reply.ts';
import { rigOf } from './rig-of.ts';

const Params = Type.Object({ container: Id });
const Body = Type.Object({ device: Id }, { additionalProperties: false });
const Attached = Type.Object({ container: Type.String(), device: Type.String(), group: Type.String() });

/** `attach` and `detach`: several calls as one request. */
export function attachRoutes(app: FastifyInstance, service: Service): void {
  for (const verb of ['attach', 'detach']) {
    app.post<{ Params: Static<typeof Params>; Body: Static<typeof Body> }>(
      `/v1/containers/:container/${verb}`,
      {
        schema: {
          operationId: verb,
          tags: ['container'],
          summary: verb,
          params: Params,
          body: Body,
          response: { 200: Attached, '4xx': PROBLEM_RESPONSE },
        },
      },
      (request, reply) => {
        const rig = rigOf(service, request);
        const { container } = request.params;
        const started = rig.host.start({ call: verb, container, ...request.body }, request.id);
        return sendStarted(request, reply, rig.operations, started);
      },
    );
  }
}
