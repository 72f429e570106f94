import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { EVENT_KINDS, EventPage, JournalEvent } from '../schemas/events.ts';
import { HEADERS } from '../schemas/headers.ts';
import { closedObject, ndjsonOf } from '../schemas/values.ts';
import {
  type EventFormat,
  EventStream,
  NDJSON,
  SSE,
  waitForEvents,
  waitUntil,
} from '../src/host/event-stream.ts';
import type { Host } from '../src/host/host.ts';
import { NO_ERRNO } from '../src/host/journal.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import { headerOf } from './headers.ts';
import { QueryCount, QueryLimit } from './query.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { WaitFields, waiting } from './wait.ts';

const EventQuery = closedObject({
  since: Type.Optional(QueryCount),
  kind: Type.Optional(
    Type.Union(
      EVENT_KINDS.map((kind) => Type.Literal(kind)),
      { description: `one of ${EVENT_KINDS.join(', ')}` },
    ),
  ),
  container: Type.Optional(Type.String({ maxLength: 63 })),
  device: Type.Optional(Type.String({ maxLength: 63 })),
  call: Type.Optional(Type.String({ maxLength: 64, description: 'the name of a call' })),
  errno: Type.Optional(
    Type.String({
      pattern: `^(E[A-Z0-9]{1,15}|${NO_ERRNO})$`,
      description: `the name of an errno, or "${NO_ERRNO}": answers without one`,
    }),
  ),
  splat: Type.Optional(
    Type.String({
      pattern: '^[A-Z_]{1,20}$',
      description: 'the kind of a splat, such as BUG_ON or WARN_ON_ONCE',
    }),
  ),
  limit: Type.Optional(QueryLimit),
  ...WaitFields,
  count: Type.Optional(
    Type.String({
      pattern: '^[1-9][0-9]{0,3}$',
      description: 'an integer from 1 to 9999: with wait=1, how many entries that match are waited for',
    }),
  ),
  until: Type.Optional(
    Type.Literal('no-pins', {
      description: '"no-pins": with wait=1, waits until the container that is named has no pins left',
    }),
  ),
});
/** What an event source sends when it connects again. */
const EventHeaders = Type.Object({
  'last-event-id': Type.Optional(HEADERS['last-event-id']),
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
        description:
          'Everything that happened in the rig, in the order of `seq`: calls, answers, invalidations, splats, advisories, deliveries to webhooks, faults.',
        querystring: EventQuery,
        headers: EventHeaders,
        response: {
          200: {
            description: 'a page, or the live stream of the media type that was asked for',
            content: {
              'application/json': { schema: EventPage },
              [NDJSON.type]: ndjsonOf(JournalEvent),
              [SSE.type]: {
                schema: Type.String({
                  description:
                    'server-sent events: `id` is the seq, `event` the kind, `data` the entry as JSON; `event: end` says why there will be no more',
                }),
              },
            },
          },
          '4xx': PROBLEM_RESPONSE,
        },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const rig = rigOf(service, request);
      const { host } = rig;
      const { journal } = host;
      const filter = {
        since: Number(query.since ?? headerOf(request, 'last-event-id') ?? 0),
        kind: query.kind,
        container: query.container,
        device: query.device,
        call: query.call,
        errno: query.errno,
        splat: query.splat,
        limit: Math.min(Number(query.limit ?? EVENTS_DEFAULT), EVENTS_MAX),
      };
      const format = streamFormat(request);
      const wait = waitOf(query, format !== null, host);
      if (format || wait) service.admitReader(rig);
      if (format) {
        reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type(format.type);
        return reply.send(new EventStream(journal, filter, format));
      }
      const late = wait
        ? await waiting(reply, query.timeoutMs, (over) =>
            wait.isOver
              ? waitUntil(journal, over, wait.isOver)
              : waitForEvents(journal, filter, wait.count, over),
          )
        : {};
      const page = journal.read(filter);
      const ended = journal.ended === null ? {} : { ended: journal.ended };
      const isThere = wait?.isOver?.() ?? page.events.length >= (wait?.count ?? 0);
      return { ...page, ...ended, ...(isThere ? {} : late) };
    },
  );
}

/** The stream a client asks for by Accept; null: a page. */
function streamFormat(request: FastifyRequest): EventFormat | null {
  const accept = headerOf(request, 'accept') ?? '';
  if (accept.includes(NDJSON.type)) return NDJSON;
  return accept.includes(SSE.type) ? SSE : null;
}

/** What a request waits for: so many entries, or that something holds. */
interface Wait {
  readonly count: number;
  readonly isOver: (() => boolean) | null;
}

/** What a request says that it waits for; null: for nothing. */
function waitOf(query: Static<typeof EventQuery>, streams: boolean, { machine, kernel }: Host): Wait | null {
  const { wait, count, until, container } = query;
  if (wait === undefined || streams) {
    for (const [name, value] of Object.entries({ count, until })) {
      if (value === undefined) continue;
      throw Refused.badRequest(
        `querystring/${name} is for a page that is waited for: with wait=1, and no stream`,
      );
    }
    return null;
  }
  if (until === undefined) return { count: Number(count ?? 1), isOver: null };
  if (count !== undefined) throw Refused.badRequest('querystring/count and querystring/until: one of them');
  if (container === undefined)
    throw Refused.badRequest('querystring/container is missing: until=no-pins is of one');
  machine.container(container);
  return { count: 0, isOver: () => (kernel.containers.get(container)?.view?.pinCount ?? 0) === 0 };
}
