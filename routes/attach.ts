import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { Id } from '../schemas/values.ts';
import { attach, detach } from '../src/host/attach.ts';
import type { Service } from '../src/service.ts';
import { errorReply, PROBLEM_RESPONSE, send, sendWhenDone } from './reply.ts';

const Params = Type.Object({ container: Id });
const Body = Type.Object({ device: Id }, { additionalProperties: false });
const Attached = Type.Object({ container: Type.String(), device: Type.String(), group: Type.String() });

/** `attach` and `detach`: several calls as one request. */
export function attachRoutes(app: FastifyInstance, service: Service): void {
  for (const [verb, run] of Object.entries({ attach, detach })) {
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
      async (request, reply) => {
        const rig = service.rigOf(request);
        const { settled, invalidations } = run(
          rig.host,
          request.params.container,
          request.body.device,
          request.id,
        );
        // A sequence that need not wait is settled already, and wins.
        const done = await Promise.race([settled, null]);
        if (done) return send(request, reply, done);
        return sendWhenDone(request, reply, rig.operations, {
          settled: settled.catch(errorReply),
          invalidations,
        });
      },
    );
  }
}
