import { Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../schemas/answers.ts';
import type { StartedCall } from '../src/host/host.ts';
import type { Operations } from '../src/host/operations.ts';
import type { InvalidationEntry } from '../src/machine/answer.ts';
import { type Answer, PROBLEM_TYPE, problem, type Reply } from '../src/machine/answer.ts';
import { Refused } from '../src/machine/refused.ts';

/** Something under way that will have a reply. */
export interface Underway {
  readonly settled: Promise<Reply>;
  invalidations(): InvalidationEntry[];
}

/** A response whose fields the API contract gives, not the route's schema. */
export const LOOSE = Type.Object({}, { additionalProperties: true });

/** The `4xx` response of a route's schema. */
export const PROBLEM_RESPONSE = {
  description: 'a problem (RFC 9457)',
  content: { 'application/problem+json': { schema: Problem } },
};

/** Sends a reply; a problem with its media type and the request's id. */
export function send(request: FastifyRequest, reply: FastifyReply, { status, body }: Reply): FastifyReply {
  reply.code(status);
  if (status < 400) return reply.send(status === 204 ? undefined : body);
  return reply.type('application/problem+json; charset=utf-8').send({ ...body, instance: request.id });
}

/** The reply to a Refused, or to whatever else went wrong: then the emulator itself is. */
export function errorReply(error: unknown): Reply {
  if (error instanceof Refused) {
    return problem(error.status, error.slug, error.title, error.message);
  }
  return problem(500, 'internal', 'Internal error', 'the emulator itself is wrong; its log has the details');
}

/** Whether the client asked not to wait (RFC 7240). */
function prefersAsync(request: FastifyRequest): boolean {
  const { prefer } = request.headers;
  return prefer !== undefined && /(^|[\s,])respond-async($|[\s,;])/i.test(String(prefer));
}

/** Answers what may have to wait: at once where it is done, 202 where asked for, and else when it is done. */
export async function sendWhenDone(
  request: FastifyRequest,
  reply: FastifyReply,
  operations: Operations,
  underway: Underway,
): Promise<FastifyReply> {
  if (prefersAsync(request)) {
    const operation = operations.add(underway.settled);
    return send(request, reply.header('preference-applied', 'respond-async'), {
      status: 202,
      body: { operation: operation.id, invalidations: underway.invalidations() },
    });
  }
  return send(request, reply, await underway.settled);
}

/** A call as something under way; what goes wrong on the way becomes its reply. */
export function underway(started: StartedCall, toReply: (answer: Answer) => Reply): Underway {
  return {
    settled: started.settled.then(toReply).catch(errorReply),
    invalidations: () => started.invalidations(),
  };
}

/** `type` of the problem for a request no route serves. */
export const NO_ROUTE = `${PROBLEM_TYPE}no-such-route`;
