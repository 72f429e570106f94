import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { BatchAnswer, BatchCall } from '../schemas/batch.ts';
import { NDJSON_TYPE, ndjsonOf } from '../schemas/values.ts';
import { BatchRun, type NotAwaited } from '../src/host/batch.ts';
import { type Line as BatchLine, Lines } from '../src/host/lines.ts';
import type { Answer } from '../src/machine/answer.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import type { Turns } from '../src/turns.ts';
import { BodyTooLate, bodyInTime } from './body.ts';
import { Kept } from './bounds.ts';
import { answersMeanwhile } from './connections.ts';
import { lineOf, PIECE } from './pieces.ts';
import { badHttp, errorReply, type Reply, refusalReply, replyLine } from './replies.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { streamFor } from './work.ts';

/** `POST /v1/batch`: calls in, one a line; answers out, one a line, in order, as they come. */
export function batchRoutes(app: FastifyInstance, service: Service): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(NDJSON_TYPE, (_request, payload, done) => done(null, payload));
    scope.post(
      '/v1/batch',
      {
        bodyLimit: Number.MAX_SAFE_INTEGER,
        config: {
          takes: [NDJSON_TYPE],
          describes: { body: { content: { [NDJSON_TYPE]: ndjsonOf(BatchCall) } } },
        },
        schema: {
          tags: ['trace'],
          operationId: 'batch',
          summary: 'calls as NDJSON, answered as NDJSON, streamed, in order',
          description:
            'Each line is a call with its arguments and, where it is made on something, that thing’s id. The answers come in the order of the calls, one a line, while later calls are still being sent. A call with `async: NAME` is not waited for; `{"call": "await", "of": NAME}` is its answer; with `timeoutMs` it is 202 again where the call goes on when so many milliseconds of the host’s own time have passed. A batch that the service ends (nothing more came in time, it has too many lines, the service stops) says so in its last line, which has `ended: true`: every line before that has its answer, and no call of a line that has none was made.',
          response: {
            200: { description: 'the answers', content: { [NDJSON_TYPE]: ndjsonOf(BatchAnswer) } },
            '4xx': PROBLEM_RESPONSE,
          },
        },
      },
      (request, reply) => {
        const rig = rigOf(service, request);
        const input = request.body as Readable | undefined;
        if (!(input instanceof Readable)) {
          throw Refused.badRequest(`the body must be calls, one a line, as ${NDJSON_TYPE}`);
        }
        const log = (err: unknown) => request.log.error({ err, reqId: request.id }, 'failed');
        const { bodyLimit, maxBatchLines, requestSeconds } = service.config;
        const run = new BatchRun(rig.host, request.id, maxBatchLines);
        const chunks = bodyInTime(input, requestSeconds);
        const stream = streamFor({ works: service.batches }, (work) =>
          new Answering(run, bodyLimit, work, new Kept(service.bodies), log).answers(input, chunks, () =>
            service.rigs.used(rig),
          ),
        );
        answersMeanwhile(reply.raw);
        stream.once('end', () => {
          // The rest of a batch that has ended early is not made, and its connection carries no other request. What is
          // injected has none.
          if (!input.readableEnded) reply.raw.once('finish', () => request.raw.socket.destroySoon?.());
        });
        return reply.type(NDJSON_TYPE).send(stream);
      },
    );
  });
}

/** A line of the answer, or its pieces. */
type Line = string | Iterable<string>;

/** Answers a stream of calls, those to the lines of one chunk as one text. */
class Answering {
  private readonly lines: Lines;

  constructor(
    private readonly batch: BatchRun,
    limit: number,
    private readonly work: Turns,
    private readonly kept: Kept,
    private readonly log: (error: unknown) => void,
  ) {
    this.lines = new Lines(limit);
  }

  /** @param came is called whenever something of the batch has come */
  async *answers(input: Readable, chunks: AsyncIterable<string>, came: () => void): AsyncGenerator<string> {
    try {
      for await (const chunk of chunks) {
        came();
        this.work.begin();
        if (!this.over) yield* this.toLines(this.linesOf(chunk));
      }
      if (!this.over) yield* this.toLines(this.lines.end());
    } catch (error) {
      // Its client has left in the middle: nobody reads on, and nothing has failed here. (A stop ends the input too.)
      if (input.errored && !(error instanceof Refused)) return;
      // Stopped: the calls that were made are answered, the rest is not made.
      yield `${JSON.stringify({ ...this.failure(error), ended: true })}\n`;
    } finally {
      this.kept.keep(0);
    }
  }

  /** The lines that a chunk completes. What has come of the next one counts, and is passed over where there is no room. */
  private *linesOf(chunk: string): Generator<BatchLine | Refused> {
    const { lines, kept } = this;
    yield* lines.take(chunk);
    const refused = kept.keep(lines.bytes);
    if (!refused) return;
    lines.passOver();
    yield refused;
  }

  /** What is due goes out before a call is waited for. */
  private async *toLines(lines: Iterable<BatchLine | Refused>): AsyncGenerator<string> {
    const { work } = this;
    let due = '';
    for (const line of lines) {
      let reply = this.to(line);
      if (reply instanceof Promise) {
        if (due !== '') yield due;
        due = '';
        reply = await reply;
        work.begin();
      }
      for (const piece of typeof reply === 'string' ? [reply] : reply) {
        due += piece;
        if (due.length < PIECE && !work.isOver) continue;
        yield due;
        due = '';
        if (work.isOver) await work.next();
      }
      if (this.over) break;
    }
    if (due !== '') yield due;
  }

  /** The line that answers one; a promise where it has to be waited for. */
  private to(line: BatchLine | Refused): Line | Promise<Line> {
    try {
      if (line instanceof Refused) return lineOf(refusalReply(line));
      const answer = this.batch.take(line, this.work);
      return answer instanceof Promise ? this.later(answer) : this.reply(answer);
    } catch (error) {
      return this.failed(error);
    }
  }

  private async later(answer: Promise<Answer | NotAwaited>): Promise<Line> {
    try {
      return this.reply(await answer);
    } catch (error) {
      return this.failed(error);
    }
  }

  /** What comes after the last call a batch may have is not made. */
  private get over(): boolean {
    return this.batch.isOver;
  }

  private reply(answer: Answer | NotAwaited): Line {
    if ('async' in answer) return lineOf({ status: 202, body: { ...answer } });
    try {
      return replyLine(answer);
    } catch (error) {
      return this.failed(error);
    }
  }

  /** Where the batch is over, there is no room for the call. */
  private failed(error: unknown): Line {
    const reply = this.failure(error);
    return lineOf(this.over ? { ...reply, ended: true } : reply);
  }

  private failure(error: unknown): Reply {
    if (error instanceof BodyTooLate) return badHttp(408, error.message);
    if (!(error instanceof Refused)) this.log(error);
    return errorReply(error);
  }
}
