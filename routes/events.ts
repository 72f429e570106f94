import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { EVENT_KINDS, EventPage } from '../schemas/events.ts';
import { type EventFormat, EventStream, NDJSON, SSE, waitForEvent } from '../src/host/event-stream.ts';
import type { Service } from '../src/service.ts';
import { QueryCount, QueryLimit } from './query.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { WaitFields, waiting } from './wait.ts';

const EventQuery = Type.Object(
  {
    since: Type.Optional(QueryCount),
    kind: Type.Optional(
      Type.Union(
        EVENT_KINDS.map((kind) => Type.Literal(kind)),
        { description: `one of ${EVENT_KINDS.join(', ')}` },
      ),
    ),
    container: Type.Optional(Type.String({ maxLength: 63 })),
    device: Type.Optional(Type.String({ maxLength: 63 })),
    limit: Type.Optional(QueryLimit),
    ...WaitFields,
  },
  { additionalProperties: false },
);
/** What an event source sends when it connects again. */
const EventHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ pattern: '^[0-9]{1,15}$', description: 'the seq of an event: 1 to 15 digits' }),
  ),
});
const EVENTS_MAX = 10_000;
const EVENTS_DEFAULT = 1000;

/** The journal: listed, waited for, or streamed live. */
export function eventRoutes(app: FastifyInstance, service: Service): void {
  app.get<{ Querystring: Static<typeof EventQuery> }>(
    '/v1/events',
    {
      // A stream has nothing to say to HEAD, and would never end.
      exposeHeadRoute: false,
      schema: {
        tags: ['host'],
        operationId: 'events',
        summary: 'the journal: a page, with wait=1 as soon as something matches, or a live stream by Accept',
        querystring: EventQuery,
        headers: EventHeaders,
        response: { 200: EventPage, '4xx': PROBLEM_RESPONSE },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const { journal } = rigOf(service, request).host;
      const filter = {
        since: Number(query.since ?? request.headers['last-event-id'] ?? 0),
        kind: query.kind,
        container: query.container,
        device: query.device,
        limit: Math.min(Number(query.limit ?? EVENTS_DEFAULT), EVENTS_MAX),
      };
      const format = streamFormat(request);
      if (format) {
        service.admitStream(journal);
        reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type(format.type);
        return reply.send(new EventStream(journal, filter, format));
      }
      const late =
        query.wait === '1'
          ? await waiting(request, query.timeoutMs, (over) => waitForEvent(journal, filter, over))
          : {};
      const page = journal.read(filter);
      const ended = journal.ended === null ? {} : { ended: journal.ended };
      return { ...page, ...ended, ...(page.events.length === 0 ? late : {}) };
    },
  );
}

/** The stream a client asks for by Accept; null: a page. */
function streamFormat(request: FastifyRequest): EventFormat | null {
  const accept = String(request.headers.accept ?? '');
  if (accept.includes(NDJSON.type)) return NDJSON;
  return accept.includes(SSE.type) ? SSE : null;
}
