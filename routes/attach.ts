import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { Problem } from '../schemas/answers.ts';
import { Id } from '../schemas/values.ts';
import { attach, detach } from '../src/host/conveniences.ts';
import type { Service } from '../src/service.ts';
import { errorReply, sendWhenDone } from './reply.ts';

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
          response: { 200: Attached, '4xx': Problem },
        },
      },
      (request, reply) => {
        const { settled, invalidations } = run(
          service.host,
          request.params.container,
          request.body.device,
          request.id,
        );
        return sendWhenDone(request, reply, service.operations, {
          settled: settled.catch(errorReply),
          invalidations,
        });
      },
    );
  }
}
