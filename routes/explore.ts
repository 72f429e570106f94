import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ExploreBody, ExploreView, MinimizeBody, MinimizeView } from '../schemas/explore.ts';
import { ScenarioSchema } from '../schemas/scenario.ts';
import { Minimizing } from '../src/explore/minimize.ts';
import { Exploring } from '../src/explore/request.ts';
import { type LongWork, Work } from '../src/explore/work.ts';
import { Refused } from '../src/machine/refused.ts';
import { scenarioOf } from '../src/replay/check.ts';
import type { Service } from '../src/service.ts';
import { Turns } from '../src/turns.ts';
import { PROBLEM_RESPONSE, sendStarted } from './reply.ts';
import { rigOf } from './rig-of.ts';

/** Bounds of a search where the request says nothing. */
const DEPTH = 5;
const SECONDS = 10;

const Started = Type.Object({ operation: Type.String() }, { additionalProperties: true });
const TraceOrBody = Type.Union([MinimizeBody, ScenarioSchema], {
  description: 'a trace, or {"scenario": a trace, "goal"?, "seconds"?}',
});

/** Searches for what goes wrong, and traces shrunk to what matters. They take long: operations, which can be cancelled. */
export function exploreRoutes(app: FastifyInstance, service: Service): void {
  const tags = ['explore'];
  app.post<{ Body: ExploreBody }>(
    '/v1/explore',
    {
      schema: {
        tags,
        operationId: 'explore',
        summary: 'tries every sequence of calls on some drivers: the shortest traces to what goes wrong',
        description:
          'A search within bounds of depth, mappings, pages and time, on hosts of its own. It takes long: with Prefer: respond-async it is an operation, which can be cancelled.',
        body: ExploreBody,
        response: { 200: ExploreView, 202: Started, '4xx': PROBLEM_RESPONSE },
      },
    },
    async (request, reply) => {
      const { kernel, drivers, goal, depth, pages, mappings, also, seconds } = request.body;
      const outside = drivers.find(({ type }) => type === 'webhook');
      if (outside) {
        throw Refused.badRequest(
          'body/drivers has a webhook: a driver of your own is explored by vfio-host explore',
        );
      }
      const gen = service.generation(kernel ?? rigOf(service, request).host.kernel.gen.version);
      const asked = {
        gen,
        drivers,
        goal: goal ?? null,
        pages: pages ?? 2,
        mappings: mappings ?? 3,
        also: also ?? [],
        bounds: { depth: depth ?? DEPTH, time: seconds ?? SECONDS, memory: service.config.searchBytes },
      };
      const exploring = await new Turns().do(Exploring.of(asked));
      return begin(service, request, reply, 'explore', exploring);
    },
  );

  app.post<{ Body: Static<typeof TraceOrBody> }>(
    '/v1/minimize',
    {
      bodyLimit: service.config.replayBodyLimit,
      schema: {
        tags,
        operationId: 'minimize',
        summary: 'shrinks a trace to a shortest one that comes to the same splat, deadlock or advisory',
        description:
          'Steps are left out and made smaller as long as the trace still comes to it, on hosts of its own.',
        body: TraceOrBody,
        response: { 200: MinimizeView, 202: Started, '4xx': PROBLEM_RESPONSE },
      },
    },
    (request, reply) => {
      const { body } = request;
      const { goal, seconds } = ('scenario' in body ? body : {}) as Partial<MinimizeBody>;
      const scenario = scenarioOf(body as never, rigOf(service, request).host.kernel.gen.version);
      service.generation(scenario.kernel);
      const end = performance.now() + (seconds ?? SECONDS) * 1000;
      const minimizing = new Minimizing(scenario, goal ?? null, () => performance.now() > end);
      return begin(service, request, reply, 'minimize', minimizing);
    },
  );
}

/** Starts work; a client that waits for it and goes takes it with it. */
function begin(
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  work: LongWork,
): FastifyReply | Promise<FastifyReply> {
  const { operations } = rigOf(service, request);
  const started = new Work(name, work);
  service.begin(started);
  const sent = sendStarted(request, reply, operations, started);
  if (reply.statusCode === 202) return sent;
  // It may have left while its body was checked.
  if (reply.raw.closed) started.cancel();
  reply.raw.once('close', () => started.cancel());
  return sent;
}
