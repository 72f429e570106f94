import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../schemas/answers.ts';
import { isCallName, restOf } from '../schemas/calls.ts';
import type { Operations } from '../src/host/operations.ts';
import { Base64Bytes } from '../src/json/base64.ts';
import { type Answer, plainText } from '../src/machine/answer.ts';
import { answerTo, type StartedCall } from '../src/machine/call-task.ts';
import { ownTurn } from '../src/turns.ts';
import { headerOf } from './headers.ts';
import { inTurns, lineOf } from './pieces.ts';
import { type Reply, toReply } from './replies.ts';

/** The `4xx` response of a route's schema. */
export const PROBLEM_RESPONSE = {
  description: 'a problem (RFC 9457)',
  content: { 'application/problem+json': { schema: Problem } },
};

const JSON_TYPE = 'application/json; charset=utf-8';

/** Bytes of an item of a long list. */
const ITEM_BYTES = 200;

/** An answer as JSON: a long one goes out in pieces, in turns, and is never one text. */
export function jsonReply(data: unknown): string {
  const line = lineOf(data);
  // What is sent may be a stream as well; the types of Fastify do not say so of a serializer.
  return typeof line === 'string' ? line : (inTurns(line, bytesOf(data)) as never);
}

/** Bytes that a long answer holds, about: a list's items are small. */
function bytesOf(data: unknown): number {
  if (data instanceof Base64Bytes) return data.bytes.length;
  if (typeof data === 'string') return data.length;
  if (Array.isArray(data)) return data.length * ITEM_BYTES;
  if (typeof data !== 'object' || data === null) return 0;
  return Object.values(data).reduce((sum, value) => sum + bytesOf(value), 0);
}

/** Sends a reply; a problem with its media type and the request's id. */
export function send(request: FastifyRequest, reply: FastifyReply, { status, body }: Reply): FastifyReply {
  reply.code(status);
  if (status < 400) {
    return reply.send(status === 204 ? undefined : body);
  }
  return reply
    .type('application/problem+json; charset=utf-8')
    .serializer(jsonReply)
    .send({ ...body, instance: request.id });
}

/** Sends a call's answer; one that is no more than its fields as the text they are. */
function sendAnswer(request: FastifyRequest, reply: FastifyReply, answer: Answer): FastifyReply {
  const text = plainText(answer);
  if (text !== null && isCallName(answer.call) && restOf(answer.call).status === 200) {
    return reply.type(JSON_TYPE).send(`${text}\n`);
  }
  return send(request, reply, restReply(answer));
}

/** A call's answer as its route gives it: with the route's success status. */
export function restReply(answer: Answer): Reply {
  const reply = toReply(answer);
  if (reply.status !== 200 || !isCallName(answer.call)) return reply;
  const { status } = restOf(answer.call);
  // A deletion that made the kernel print something carries it.
  const carries = status === 204 && Object.keys(reply.body).length > 0;
  return { status: carries ? 200 : status, body: reply.body };
}

/** Whether the client asked not to wait (RFC 7240). */
export function prefersAsync(request: FastifyRequest): boolean {
  return /(^|[\s,])respond-async($|[\s,;])/i.test(headerOf(request, 'prefer') ?? '');
}

/** What has come of a call that is under way. */
export function soFar(started: StartedCall) {
  const log = started.lines();
  return { invalidations: started.delivered(), ...(log.length > 0 ? { log } : {}), ...started.effects };
}

/** Answers a call that was started: at once where it is done, 202 where asked for, and else when it is done. */
export function sendStarted(
  request: FastifyRequest,
  reply: FastifyReply,
  operations: Operations,
  started: StartedCall,
): FastifyReply | Promise<FastifyReply> {
  if (started.answer) return sendAnswer(request, reply, started.answer);
  if (prefersAsync(request)) {
    const operation = operations.add(started);
    return send(request, reply.header('preference-applied', 'respond-async'), {
      status: 202,
      body: { operation: operation.id, ...soFar(started) },
    });
  }
  return answerTo(started).then(async (answer) => {
    // Many may have been ended together.
    await ownTurn();
    return sendAnswer(request, reply, answer);
  });
}
