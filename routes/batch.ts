import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { NDJSON_TYPE } from '../schemas/values.ts';
import { BatchRun } from '../src/host/batch.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Service } from '../src/service.ts';
import { errorReply, toReply } from './replies.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';

/** `POST /v1/batch`: calls in, one a line; answers out, one a line, in order, as they come. */
export function batchRoutes(app: FastifyInstance, service: Service): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(NDJSON_TYPE, (_request, payload, done) => done(null, payload));
    scope.post(
      '/v1/batch',
      {
        bodyLimit: Number.MAX_SAFE_INTEGER,
        config: { takes: [NDJSON_TYPE] },
        schema: {
          tags: ['trace'],
          operationId: 'batch',
          summary: 'calls as NDJSON, answered as NDJSON, streamed, in order',
          response: { 200: Type.Any(), '4xx': PROBLEM_RESPONSE },
        },
      },
      (request, reply) => {
        const { host } = rigOf(service, request);
        const input = request.body as Readable | undefined;
        if (!(input instanceof Readable)) {
          throw Refused.badRequest(`the body must be calls, one a line, as ${NDJSON_TYPE}`);
        }
        const answers = async function* () {
          const batch = new BatchRun(host, request.id);
          for await (const line of linesOf(input, service.config.bodyLimit)) {
            yield `${JSON.stringify(await answerLine(batch, line))}\n`;
          }
        };
        return reply.type(NDJSON_TYPE).send(Readable.from(answers()));
      },
    );
  });
}

async function answerLine(batch: BatchRun, line: string): Promise<object> {
  try {
    const answer = await batch.answer(line);
    return 'async' in answer ? { status: 202, body: answer } : toReply(answer);
  } catch (error) {
    return errorReply(error);
  }
}

/** The lines of a stream; one longer than `limit` bytes ends it with a 413. */
async function* linesOf(input: Readable, limit: number): AsyncGenerator<string> {
  let rest = '';
  input.setEncoding('utf8');
  for await (const chunk of input) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop()!;
    for (const line of parts) if (line.trim() !== '') yield line;
    if (rest.length > limit) throw Refused.tooLarge(`a line is longer than ${limit} bytes`);
  }
  if (rest.trim() !== '') yield rest;
}
