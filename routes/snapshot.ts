import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { type Snapshot, SnapshotSchema } from '../schemas/snapshot.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import { PROBLEM_RESPONSE, send } from './reply.ts';
import { rigOf } from './rig-of.ts';

const Query = Type.Object(
  { secrets: Type.Optional(Type.Literal('1', { description: '"1"' })) },
  { additionalProperties: false },
);

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
      const text = textOf(rigOf(service, request).host.snapshot(secrets), limit);
      return reply.type('application/json; charset=utf-8').send(text);
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
    (request, reply) => {
      rigOf(service, request).restore(request.body, 'body');
      return send(request, reply, { status: 204, body: {} });
    },
  );
}

/** A snapshot as text, unless it is one that PUT would refuse for its size. */
function textOf(snapshot: Snapshot, limit: number): string {
  let text: string | null = null;
  try {
    text = JSON.stringify(snapshot);
  } catch (error) {
    // Longer than a string may be.
    if (!(error instanceof RangeError)) throw error;
  }
  if (text !== null && Buffer.byteLength(text) <= limit) return text;
  throw Refused.tooLarge(`the snapshot would be larger than ${limit} bytes, the limit for it here`);
}
