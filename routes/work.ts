import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Host } from '../src/host/host.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import type { Turns } from '../src/turns.ts';
import { expectAnswer } from './bounds.ts';
import { collected, inTurns, joined } from './pieces.ts';

/**
 * Long work for a request, in turns. It ends when its client goes, when the service stops, and when it takes too long.
 *
 * @throws Refused where it is ended, or as many are under way as may be
 */
export async function workFor<T>(
  { works }: Service,
  reply: FastifyReply,
  action: (work: Turns) => Promise<T>,
): Promise<T> {
  const work = works.begin();
  const stop = () => work.stop(new Refused('abandoned', 'the client has gone'));
  // It may have left while its body was checked.
  if (reply.raw.closed) stop();
  reply.raw.once('close', stop);
  try {
    return await action(work);
  } finally {
    reply.raw.off('close', stop);
    works.end(work);
  }
}

/** The same, while nothing changes the host's machine: its calls wait. */
export function heldFor<T>(
  service: Service,
  reply: FastifyReply,
  host: Host,
  action: (work: Turns) => Promise<T>,
): Promise<T> {
  return workFor(service, reply, (work) => whileHeld(host, () => action(work)));
}

async function whileHeld<T>({ machine }: Host, action: () => Promise<T>): Promise<T> {
  const release = machine.turns.hold();
  try {
    return await action();
  } finally {
    release();
  }
}

/**
 * Answers with JSON that is written while nothing changes the host's machine, and goes out when all of it is there. It has a
 * turn of its own: what led to it may have been the first request there was, of which no code had run before.
 */
export function sendHeld(
  service: Service,
  reply: FastifyReply,
  host: Host,
  pieces: () => Iterable<string>,
): Promise<FastifyReply> {
  return workFor(service, reply, async (work) => {
    await work.next();
    const expect = (bytes: number) => expectAnswer(reply, service, bytes);
    const text = await whileHeld(host, () => work.do(collected(pieces(), expect)));
    const bytes = text.reduce((sum, { length }) => sum + length, 0);
    return reply.type('application/json; charset=utf-8').send(inTurns(text, bytes));
  });
}

/** Long work whose pieces go out as they are made. The work ends with the stream. */
export function streamFor(
  { works }: Pick<Service, 'works'>,
  pieces: (work: Turns) => AsyncGenerator<string>,
): Readable {
  const work = works.begin();
  const stream = Readable.from(pieces(work), { objectMode: false });
  stream.once('close', () => {
    work.stop(new Refused('abandoned', 'the client has gone'));
    works.end(work);
  });
  return stream;
}

/** Sends a long text in pieces, in turns: it ends its line. */
export function sendPieces(
  service: Service,
  reply: FastifyReply,
  type: string,
  pieces: Iterable<string>,
): FastifyReply {
  return reply.type(type).send(streamFor(service, (work) => joined(endedLine(pieces), work)));
}

function* endedLine(pieces: Iterable<string>): Generator<string, void> {
  let ends = false;
  for (const piece of pieces) {
    if (piece !== '') ends = piece.endsWith('\n');
    yield piece;
  }
  if (!ends) yield '\n';
}
