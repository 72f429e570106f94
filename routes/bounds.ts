import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Budget } from '../src/budget.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import { headerOf } from './headers.ts';
import { bytesOfAnswer } from './pieces.ts';

/** Bytes of a body from which on it counts: smaller ones come and go within a turn. */
const COUNTED_BODY = 64 * 1024;

/** What is kept of a body that is never there as a whole. */
export class Kept {
  private counted = 0;

  constructor(private readonly bodies: Budget) {}

  /**
   * So many bytes are kept from now on.
   *
   * @returns a Refused where there is no room for them: then none is
   */
  keep(bytes: number): Refused | null {
    const counts = bytes < COUNTED_BODY ? 0 : bytes;
    const fits = counts <= this.counted || this.bodies.has(counts - this.counted);
    this.count(fits ? counts : 0);
    return fits ? null : noRoom(this.bodies);
  }

  private count(bytes: number): void {
    this.bodies.take(bytes - this.counted);
    this.counted = bytes;
  }
}

/** Bytes of an answer from which on it counts. */
const COUNTED_ANSWER = 16 * 1024;

/** Bodies are counted before they are read, or as they come; answers as long as their clients have not taken them. */
export function boundBytes(app: FastifyInstance, service: Service): void {
  const { answers } = service;
  app.addHook('onRequest', (request, reply, done) => {
    done(refuseAnswers(request, service) ?? refuseBody(request, reply, service) ?? undefined);
  });
  app.addHook('onSend', (_request, reply, payload, done) => {
    const all = bytesOfAnswer(payload);
    const bytes = all - (counted.get(reply.raw) ?? 0);
    if (all >= COUNTED_ANSWER && bytes > 0) hold(reply.raw, answers, bytes);
    done();
  });
}

/** What each budget gets back when an answer has gone out. */
const held = new WeakMap<FastifyReply['raw'], Map<Budget, number>>();

/** Takes bytes until an answer has gone out. Where its client has left nobody takes it, and nothing is to be waited for. */
function hold(raw: FastifyReply['raw'], budget: Budget, bytes: number): void {
  if (raw.closed) return;
  budget.take(bytes);
  const shares = held.get(raw) ?? giveBackAfter(raw);
  shares.set(budget, (shares.get(budget) ?? 0) + bytes);
}

/** One listener for whatever a request takes: a body may come in thousands of pieces. */
function giveBackAfter(raw: FastifyReply['raw']): Map<Budget, number> {
  const shares = new Map<Budget, number>();
  held.set(raw, shares);
  raw.once('close', () => {
    for (const [budget, bytes] of shares) budget.give(bytes);
  });
  return shares;
}

/** Bytes of answers that count before they are made. */
const counted = new WeakMap<FastifyReply['raw'], number>();

/**
 * An answer of so many bytes will be made, or of so many more: they count from now on. Many that are asked for at once are
 * refused before they take what there is no room for.
 *
 * @throws Refused where they would be more than there may be
 */
export function expectAnswer({ raw }: FastifyReply, { answers }: Service, bytes: number): void {
  if (bytes < COUNTED_ANSWER || raw.closed) return;
  const before = counted.get(raw);
  // One that is alone may be larger than all of them may be together: the next one waits for it.
  if (answers.used > (before ?? 0) && !answers.has(bytes)) {
    throw new Refused('too-many', `the answers under way would be more than ${answers.most} bytes`);
  }
  hold(raw, answers, bytes);
  counted.set(raw, (before ?? 0) + bytes);
}

function refuseAnswers({ url }: FastifyRequest, { answers }: Service): Refused | null {
  if (!answers.isOver || !url.startsWith('/v1')) return null;
  return new Refused(
    'too-many',
    `answers of more than ${answers.most} bytes are under way, which nobody reads`,
  );
}

/** Answers to requests whose bodies announce no length. */
const unannounced = new WeakMap<FastifyRequest['raw'], FastifyReply['raw']>();

/** A body counts by the length it announces. */
function refuseBody(request: FastifyRequest, { raw }: FastifyReply, { bodies }: Service): Refused | null {
  const announced = headerOf(request, 'content-length');
  if (announced === undefined) {
    if (headerOf(request, 'transfer-encoding')) unannounced.set(request.raw, raw);
    return null;
  }
  const { bodyLimit = 0 } = request.routeOptions;
  const bytes = Math.min(Number(announced), bodyLimit);
  // A batch is read line by line: what has come of a line counts.
  if (bytes < COUNTED_BODY || bodyLimit === Number.MAX_SAFE_INTEGER) return null;
  return holdBody(raw, bodies, bytes);
}

/**
 * A body that announces no length counts as it comes.
 *
 * @param bytes that have come with its last piece, of `all` so far
 * @returns a Refused where there is no room for them
 */
export function countBody(
  request: FastifyRequest,
  bodies: Budget,
  bytes: number,
  all: number,
): Refused | null {
  const raw = unannounced.get(request.raw);
  return raw && all >= COUNTED_BODY ? holdBody(raw, bodies, all - bytes < COUNTED_BODY ? all : bytes) : null;
}

function holdBody(raw: FastifyReply['raw'], bodies: Budget, bytes: number): Refused | null {
  if (!bodies.has(bytes)) return noRoom(bodies);
  hold(raw, bodies, bytes);
  return null;
}

function noRoom({ most }: Budget): Refused {
  return new Refused('too-many', `the request bodies under way would be more than ${most} bytes`);
}
