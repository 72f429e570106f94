import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import type { Turns } from '../src/turns.ts';

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
  reply.raw.once('close', stop);
  try {
    return await action(work);
  } finally {
    reply.raw.off('close', stop);
    works.end(work);
  }
}

/** The same, whose pieces go out as they are made. The work ends with the stream. */
export function streamFor({ works }: Service, pieces: (work: Turns) => AsyncGenerator<string>): Readable {
  const work = works.begin();
  const stream = Readable.from(pieces(work), { objectMode: false });
  stream.once('close', () => {
    work.stop(new Refused('abandoned', 'the client has gone'));
    works.end(work);
  });
  return stream;
}

/** Characters that go out at a time. */
const PIECE = 64 * 1024;

/** Sends a long answer in pieces, in turns: it is never one text, however long. */
export function sendPieces(
  service: Service,
  reply: FastifyReply,
  type: string,
  pieces: Iterable<string>,
): FastifyReply {
  const stream = streamFor(service, async function* (work) {
    let due = '';
    work.begin();
    for (const piece of pieces) {
      due += piece;
      if (due.length < PIECE && !work.isOver) continue;
      yield due;
      due = '';
      if (work.isOver) await work.next();
    }
    yield `${due}${due.endsWith('\n') ? '' : '\n'}`;
  });
  return reply.type(type).send(stream);
}
