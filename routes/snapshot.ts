import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { type Snapshot, SnapshotSchema } from '../schemas/snapshot.ts';
import { closedObject } from '../schemas/values.ts';
import { jsonPieces } from '../src/json/pieces.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import { asWritten } from './pieces.ts';
import { PROBLEM_RESPONSE, send } from './reply.ts';
import { rigOf, showing } from './rig-of.ts';
import { sendHeld, workFor } from './work.ts';

const Query = closedObject({ secrets: Type.Optional(Type.Literal('1', { description: '"1"' })) });

/**
 * The whole state of a rig's host as one document, and back. A webhook's secret is in it only with `secrets=1`;
 * a document with the secret blacked out is refused by PUT, because its webhook would sign with the wrong key.
 */
export function snapshotRoutes(app: FastifyInstance, service: Service): void {
  const tags = ['host'];
  const limit = service.config.replayBodyLimit;
  app.get<{ Querystring: Static<typeof Query> }>(
    '/v1/snapshot',
    {
      schema: {
        tags,
        operationId: 'get-snapshot',
        summary: 'the state of the rig as one document; secrets=1: with the secrets of webhooks',
        description:
          'Everything that matters for what the rig will answer; not its journal, trace and operations.',
        querystring: Query,
        response: { 200: SnapshotSchema, '4xx': PROBLEM_RESPONSE },
      },
    },
    (request, reply) => {
      const secrets = request.query.secrets === '1';
      if (secrets) service.refuseSecrets();
      return showing(service, request, ({ host }) =>
        sendHeld(service, reply, host, () => upTo(jsonPieces(host.snapshot(secrets, asWritten)), limit)),
      );
    },
  );

  app.put<{ Body: Snapshot }>(
    '/v1/snapshot',
    {
      bodyLimit: limit,
      schema: {
        tags,
        operationId: 'put-snapshot',
        summary: 'replaces the state of the rig; nothing changes where the document is refused',
        description: 'The rig becomes what the snapshot says, on the snapshot’s kernel.',
        body: SnapshotSchema,
        response: { 204: Type.Null(), '4xx': PROBLEM_RESPONSE },
      },
    },
    async (request, reply) => {
      const rig = rigOf(service, request);
      await workFor(service, reply, (work) => rig.restore(request.body, 'body', work));
      return send(request, reply, { status: 204, body: {} });
    },
  );
}

/** A snapshot's text in pieces, unless it is one that PUT would refuse for its size. */
function* upTo(pieces: Iterable<string>, limit: number): Generator<string, void> {
  let bytes = 0;
  for (const piece of pieces) {
    bytes += piece.length;
    if (bytes > limit) {
      throw Refused.tooLarge(`the snapshot would be larger than ${limit} bytes, the limit for it here`);
    }
    yield piece;
  }
}
