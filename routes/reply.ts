import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../schemas/answers.ts';
import { isCallName, restOf } from '../schemas/calls.ts';
import type { Operations } from '../src/host/operations.ts';
import { type Answer, plainText } from '../src/machine/answer.ts';
import { answerTo, type StartedCall } from '../src/machine/call-task.ts';
import { headerOf } from './headers.ts';
import { type Reply, toReply } from './replies.ts';

/** The `4xx` response of a route's schema. */
export const PROBLEM_RESPONSE = {
  description: 'a problem (RFC 9457)',
  content: { 'application/problem+json': { schema: Problem } },
};

const JSON_TYPE = 'application/json; charset=utf-8';

/** JSON as answers have it: each ends its line, so that a terminal's prompt does not stand behind it. */
export const jsonLine = (data: unknown): string => `${JSON.stringify(data)}\n`;

/** Characters of an answer's data from which on it goes out in pieces. */
const MUCH = 256 * 1024;

/** Sends an answer whose data is much, piece by piece: as one text it would be gone through several times at once. */
function sendMuch(reply: FastifyReply, { data: _data, ...rest }: Reply['body'], data: string): FastifyReply {
  const pieces = function* () {
    yield '{"data":"';
    for (let at = 0; at < data.length; at += MUCH) yield data.slice(at, at + MUCH);
    yield `"${JSON.stringify(rest)
      .replace(/^{(?=.)/, ',')
      .replace(/^,}$/, '}')}\n`;
  };
  return reply.type('application/json; charset=utf-8').send(Readable.from(pieces(), { objectMode: false }));
}

/** Sends a reply; a problem with its media type and the request's id. */
export function send(request: FastifyRequest, reply: FastifyReply, { status, body }: Reply): FastifyReply {
  reply.code(status);
  if (status < 400) {
    if (typeof body.data === 'string' && body.data.length > MUCH) return sendMuch(reply, body, body.data);
    return reply.send(status === 204 ? undefined : body);
  }
  return reply
    .type('application/problem+json; charset=utf-8')
    .serializer(jsonLine)
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
  return answerTo(started).then((answer) => sendAnswer(request, reply, answer));
}
