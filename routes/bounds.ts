import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import { headerOf } from './headers.ts';
import { bytesOfAnswer } from './pieces.ts';

/** Bytes of a body from which on it counts: smaller ones come and go within a turn. */
const COUNTED_BODY = 64 * 1024;

/** Bytes of an answer from which on it counts. */
const COUNTED_ANSWER = 16 * 1024;

/** Bodies are counted before they are read; answers as long as their clients have not taken them. */
export function boundBytes(app: FastifyInstance, service: Service): void {
  const { answers } = service;
  app.addHook('onRequest', (request, reply, done) => {
    done(refuseAnswers(request, service) ?? refuseBody(request, reply, service) ?? undefined);
  });
  app.addHook('onSend', (_request, reply, payload, done) => {
    const bytes = bytesOfAnswer(payload);
    if (bytes >= COUNTED_ANSWER) {
      answers.take(bytes);
      reply.raw.once('close', () => answers.give(bytes));
    }
    done();
  });
}

function refuseAnswers({ url }: FastifyRequest, { answers }: Service): Refused | null {
  if (!answers.isOver || !url.startsWith('/v1')) return null;
  return new Refused(
    'too-many',
    `answers of more than ${answers.most} bytes are under way, which nobody reads`,
  );
}

/** A body counts by the length it announces; one that announces none as the longest. */
function refuseBody(request: FastifyRequest, { raw }: FastifyReply, { bodies }: Service): Refused | null {
  const unknown = headerOf(request, 'transfer-encoding') ? Number.POSITIVE_INFINITY : 0;
  const announced = Number(headerOf(request, 'content-length') ?? unknown);
  if (announced < COUNTED_BODY) return null;
  const { bodyLimit = 0 } = request.routeOptions;
  const bytes = Math.min(announced, bodyLimit);
  // A batch is read line by line.
  if (bytes < COUNTED_BODY || bodyLimit === Number.MAX_SAFE_INTEGER) return null;
  if (!bodies.has(bytes)) {
    return new Refused('too-many', `the request bodies under way would be more than ${bodies.most} bytes`);
  }
  bodies.take(bytes);
  raw.once('close', () => bodies.give(bytes));
  return null;
}
