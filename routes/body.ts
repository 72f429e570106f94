import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { FastifyRequest } from 'fastify';
import { Turns } from '../src/turns.ts';
import { headerOf } from './headers.ts';

/** A body that is longer than its route takes. */
class BodyTooLong extends Error {
  readonly statusCode = 413;
}

/** A body of which nothing more comes. */
export class BodyTooLate extends Error {}

/** Bytes from which on a body is read in turns. */
const LONG = 256 * 1024;

/** A long body as it came: its text is made when it is gone through, once, and what has been gone through is let go. */
export class LongBody {
  private chunks: Buffer[];

  constructor(chunks: Buffer[]) {
    this.chunks = chunks;
  }

  *texts(): Generator<string, void> {
    const { chunks } = this;
    this.chunks = [];
    const decoder = new StringDecoder('utf8');
    for (let i = 0; i < chunks.length; i++) {
      yield decoder.write(chunks[i]!);
      chunks[i] = EMPTY;
    }
    yield decoder.end();
  }
}

const EMPTY = Buffer.alloc(0);

/**
 * Reads a body: a short one as its text.
 *
 * @throws BodyTooLong where it is longer than its route takes
 */
export async function bodyOf(
  request: FastifyRequest,
  body: AsyncIterable<Buffer>,
): Promise<string | LongBody> {
  const limit = request.routeOptions.bodyLimit ?? 0;
  if (Number(headerOf(request, 'content-length') ?? 0) > limit) throw new BodyTooLong();
  const turns = new Turns();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limit) throw new BodyTooLong();
    chunks.push(chunk);
    // Whoever sends much is read no faster than others have their turn.
    if (bytes > LONG && turns.isOver) await turns.next();
  }
  if (bytes > LONG) return new LongBody(chunks);
  return (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8');
}

/**
 * A body that is answered while it comes. Whoever stops reading it still has its connection to answer on.
 *
 * @param seconds how long each chunk of it may take to come
 * @throws BodyTooLate where one takes longer
 */
export async function* bodyInTime(body: Readable, seconds: number): AsyncGenerator<string> {
  const chunks = body.iterator({ destroyOnReturn: false });
  let late: ((why: BodyTooLate) => void) | null = null;
  const timer = setTimeout(() => {
    late?.(new BodyTooLate(`nothing more of the body has come for ${seconds} s, the limit here`));
  }, seconds * 1000);
  try {
    for (;;) {
      timer.refresh();
      const { done, value } = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
        late = reject;
        chunks.next().then(resolve, reject);
      });
      // While it is answered nothing is waited for.
      late = null;
      if (done) return;
      yield String(value);
    }
  } finally {
    clearTimeout(timer);
    void passOver(chunks);
  }
}

/** What nobody reads: an answer would be lost with a connection that is closed before it is read. */
async function passOver(chunks: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _ of chunks);
  } catch {
    // Its client has left.
  }
}
