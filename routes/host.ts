import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { SLEEP_MAX_MS } from '../schemas/calls/host.ts';
import { closedObject } from '../schemas/values.ts';
import { FaultView, HostView, OperationLine, OperationView, pageOf } from '../schemas/views.ts';
import type { Host } from '../src/host/host.ts';
import type { StartedCall } from '../src/machine/call-task.ts';
import { redactCall } from '../src/machine/redact.ts';
import type { Service } from '../src/service.ts';
import { PagingById, pageById } from './query.ts';
import { PROBLEM_RESPONSE, restReply, send, soFar } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { WaitFields, waiting } from './wait.ts';

const Paging = closedObject(PagingById);
const Wait = closedObject(WaitFields);

/** The host as a whole: what it is, its journal, reset, replay, and the calls that were answered 202. */
export function hostRoutes(app: FastifyInstance, service: Service): void {
  const tags = ['host'];
  app.get(
    '/v1',
    {
      schema: {
        tags,
        summary: 'what this is',
        description:
          'The rig this request is for: its kernel, parameters, limits, taint and how much is in it.',
        response: { 200: HostView },
      },
    },
    (request) => service.describe(rigOf(service, request)),
  );

  app.post(
    '/v1/reset',
    {
      schema: {
        tags,
        summary: 'everything back to the start',
        description:
          'Containers, devices, processes, journal, trace, once-only warnings and ids: all as on a fresh host, optionally on another kernel. Calls under way are answered 503.',
        body: closedObject({ kernel: Type.Optional(Type.String()) }),
        response: { 204: Type.Null(), '4xx': PROBLEM_RESPONSE },
      },
    },
    (request, reply) => {
      service.reset(rigOf(service, request), (request.body as { kernel?: string }).kernel);
      return send(request, reply, { status: 204, body: {} });
    },
  );

  app.get(
    '/v1/faults',
    {
      schema: {
        tags,
        operationId: 'list-faults',
        summary: 'fault injection rules, counted',
        description: 'Every rule with how many calls it matched and how often it struck.',
        response: { 200: Type.Object({ faults: Type.Array(FaultView) }) },
      },
    },
    (request) => ({
      faults: rigOf(service, request)
        .host.machine.faults.list()
        .map(({ rule, seen, struck, paused }) => ({ ...rule, seen, struck, ...(paused ? { paused } : {}) })),
    }),
  );

  app.get<{ Params: { operation: string }; Querystring: Static<typeof Wait> }>(
    '/v1/operations/:operation',
    {
      schema: {
        tags,
        summary: 'a call that was answered 202',
        description:
          'Whether it is done, and what it would have been answered. With `wait=1` it answers when it is done, or with `timedOut` after `timeoutMs`.',
        params: Type.Object({ operation: Type.String() }),
        querystring: Wait,
        response: { 200: OperationView, '4xx': PROBLEM_RESPONSE },
      },
    },
    async (request, reply) => {
      const rig = rigOf(service, request);
      const { host, operations } = rig;
      const operation = operations.get(request.params.operation);
      operation.started.awaited();
      let late: { timedOut?: true; timeoutMs?: number } = {};
      if (request.query.wait === '1' && !operation.started.answer) {
        service.admitReader(rig);
        late = await waiting(reply, request.query.timeoutMs, (over) => operations.wait(operation, over));
      }
      // Who has waited in vain for so long has let the time pass in which a driver is asked again.
      if (late.timedOut) letTimePass(host, operation.started, late.timeoutMs);
      const { answer, object } = operation.started;
      const call = redactCall(object);
      if (!answer)
        return { operation: operation.id, call, done: false, ...soFar(operation.started), ...late };
      return { operation: operation.id, call, done: true, answer: restReply(answer) };
    },
  );

  app.get<{ Querystring: Static<typeof Paging> }>(
    '/v1/operations',
    {
      schema: {
        tags,
        operationId: 'list-operations',
        summary: 'the calls that were answered 202, oldest first; finished ones are forgotten in time',
        description:
          'The calls and searches of the rig that were answered 202, oldest first, finished ones included as long as they are kept.',
        querystring: Paging,
        response: { 200: pageOf('operations', OperationLine), '4xx': PROBLEM_RESPONSE },
      },
    },
    (request) => {
      const operations = rigOf(service, request).operations.list();
      const { page, ...rest } = pageById(
        operations.map((one) => [one.id, one] as const),
        request.query,
      );
      return {
        operations: page.map(({ id, started: { answer, object } }) => ({
          operation: id,
          call: redactCall(object),
          done: answer !== null,
          ...(answer ? { status: restReply(answer).status } : {}),
        })),
        ...rest,
      };
    },
  );

  app.delete<{ Params: { operation: string } }>(
    '/v1/operations/:operation',
    {
      schema: {
        tags,
        operationId: 'cancel-operation',
        summary: 'ends a search where it is: what it has come to so far is its answer',
        description: 'For searches alone: a call is ended by nobody but its driver or a reset.',
        params: Type.Object({ operation: Type.String() }),
        response: { 204: Type.Null(), '4xx': PROBLEM_RESPONSE },
      },
    },
    (request, reply) => {
      rigOf(service, request).operations.cancel(request.params.operation);
      return send(request, reply, { status: 204, body: {} });
    },
  );
}

/** The host's own time passes for a call that waits for something to happen. */
function letTimePass(host: Host, started: StartedCall, milliseconds = 0): void {
  if (started.answer || !started.waitsForEvent || milliseconds === 0) return;
  host.start({ call: 'sleep', milliseconds: Math.min(milliseconds, SLEEP_MAX_MS) });
}
