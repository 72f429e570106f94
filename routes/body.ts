import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { Budget } from '../src/budget.ts';
import { Chunks } from '../src/chunks.ts';
import { type Line, Lines } from '../src/host/lines.ts';
import { Refused } from '../src/machine/refused.ts';
import { Turns } from '../src/turns.ts';
import { countBody } from './bounds.ts';
import { headerOf } from './headers.ts';
import { notUtf8, Utf8 } from './utf8.ts';

/** A body that is longer than its route takes. */
class BodyTooLong extends Error {
  readonly statusCode = 413;
}

/** A body of which nothing more comes. */
export class BodyTooLate extends Error {}

/** Bytes from which on a body is read in turns. */
const LONG = 256 * 1024;

/** Pieces from which on it is: each takes its time, however small it is. */
const MANY = 64;

/** A long body as it came: its text is made when it is gone through, once, and what has been gone through is let go. */
export class LongBody {
  private chunks: Buffer[];

  constructor(chunks: Buffer[]) {
    this.chunks = chunks;
  }

  /** @throws Refused where it is not UTF-8 */
  *texts(): Generator<string, void> {
    const { chunks } = this;
    this.chunks = [];
    const utf8 = new Utf8();
    for (let i = 0; i < chunks.length; i++) {
      yield utf8.write(chunks[i]!);
      chunks[i] = EMPTY;
    }
    utf8.end();
  }
}

const EMPTY = Buffer.alloc(0);

/** A body of NDJSON. */
export class NdjsonBody {
  constructor(private readonly body: string | LongBody) {}

  *lines(limit: number): Generator<Line | Refused> {
    const lines = new Lines(limit);
    try {
      for (const text of typeof this.body === 'string' ? [this.body] : this.body.texts())
        yield* lines.take(text);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      yield error;
      return;
    }
    yield* lines.end();
  }
}

/**
 * Reads a body: a short one as its text. It is listened to, because going through it as an iterator takes longer than all
 * that is done with a short one.
 *
 * @param bodies the bytes of all bodies under way
 * @param done is told a BodyTooLong where it is longer than its route takes
 */
export function readBody(
  request: FastifyRequest,
  body: Readable,
  bodies: Budget,
  done: (error: Error | null, body?: string | LongBody) => void,
): void {
  const limit = request.routeOptions.bodyLimit ?? 0;
  if (Number(headerOf(request, 'content-length') ?? 0) > limit) {
    done(new BodyTooLong());
    return;
  }
  const reader = new BodyReader(body, limit, done);
  body.on('data', (chunk: Buffer) =>
    reader.add(chunk, (all) => countBody(request, bodies, chunk.length, all)),
  );
  body.on('end', () => reader.end());
  body.on('error', (error) => reader.fail(error));
}

/** A body as it comes. */
class BodyReader {
  private readonly chunks = new Chunks();
  private pieces = 0;
  private hasEnded = false;
  private turns: Turns | null = null;

  constructor(
    private readonly body: Readable,
    private readonly limit: number,
    private readonly done: (error: Error | null, body?: string | LongBody) => void,
  ) {}

  /** @param refused why there is no room for what has come so far, if there is none */
  add(chunk: Buffer, refused: (bytes: number) => Error | null): void {
    if (this.hasEnded) return;
    const bytes = this.chunks.length + chunk.length;
    const error = bytes > this.limit ? new BodyTooLong() : refused(bytes);
    if (error) {
      this.fail(error);
      return;
    }
    this.chunks.add(chunk);
    this.pieces++;
    if (bytes > LONG || this.pieces > MANY) this.giveWay();
  }

  /** Whoever sends much is read no faster than others have their turn. */
  private giveWay(): void {
    this.turns ??= new Turns();
    if (!this.turns.isOver) return;
    this.body.pause();
    this.turns.next().then(
      () => this.body.resume(),
      (error) => this.fail(error),
    );
  }

  end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    const { chunks } = this;
    if (chunks.length > LONG) this.done(null, new LongBody(chunks.take()));
    else {
      const bytes = chunks.takeWhole();
      if (isUtf8(bytes)) this.done(null, bytes.toString('utf8'));
      else this.done(notUtf8());
    }
  }

  /** Nothing more of it is taken. */
  fail(error: Error): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.body.pause();
    this.done(error);
  }
}

/**
 * A body that is answered while it comes. Whoever stops reading it still has its connection to answer on.
 *
 * @param seconds how long each chunk of it may take to come
 * @throws BodyTooLate where one takes longer, Refused where they are not UTF-8
 */
export async function* bodyInTime(body: Readable, seconds: number): AsyncGenerator<string> {
  const chunks = body.iterator({ destroyOnReturn: false });
  const utf8 = new Utf8();
  let late: ((why: BodyTooLate) => void) | null = null;
  const timer = setTimeout(() => {
    late?.(new BodyTooLate(`nothing more of the body has come for ${seconds} s, the limit here`));
  }, seconds * 1000);
  try {
    for (;;) {
      timer.refresh();
      // All of what came at once is taken at once, in however many pieces, and others have their turn before.
      await new Promise(setImmediate);
      const { done, value } = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
        late = reject;
        chunks.next().then(resolve, reject);
      });
      // While it is answered nothing is waited for.
      late = null;
      if (done) {
        utf8.end();
        return;
      }
      yield utf8.write(value as Buffer);
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
