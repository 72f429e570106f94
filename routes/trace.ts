import type { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { ScenarioSchema, TraceSchema } from '../schemas/scenario.ts';
import { closedObject, NDJSON_TYPE, ndjsonOf, oneOf } from '../schemas/values.ts';
import { ReplayView } from '../schemas/views.ts';
import { lineValue } from '../src/host/line-value.ts';
import type { Line } from '../src/host/lines.ts';
import { jsonPieces } from '../src/json/pieces.ts';
import { Refused } from '../src/machine/refused.ts';
import { checkSteps } from '../src/machine/validate.ts';
import { scenarioOf } from '../src/replay/check.ts';
import { curlPieces } from '../src/replay/curl-script.ts';
import { replaySteps } from '../src/replay/replay.ts';
import type { Scenario } from '../src/replay/scenario.ts';
import type { Service } from '../src/service.ts';
import type { Turns } from '../src/turns.ts';
import { NdjsonBody, readBody } from './body.ts';
import { joined, lineOf } from './pieces.ts';
import { errorReply } from './replies.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { sendPieces, streamFor, workFor } from './work.ts';

const CURL_TYPE = 'text/x-shellscript';

const TraceQuery = closedObject({
  format: Type.Optional(oneOf('json', 'curl')),
});

/** The calls so far as a trace, and traces replayed. */
export function traceRoutes(app: FastifyInstance, service: Service): void {
  app.register(async (scope) => {
    scope.addContentTypeParser(NDJSON_TYPE, (request, payload, done) => {
      readBody(request, payload as Readable, service.bodies, (error, body = '') =>
        done(error, error ? undefined : new NdjsonBody(body)),
      );
    });
    routes(scope, service);
  });
}

function routes(app: FastifyInstance, service: Service): void {
  const tags = ['trace'];
  app.get<{ Querystring: Static<typeof TraceQuery> }>(
    '/v1/trace',
    {
      schema: {
        tags,
        operationId: 'trace',
        summary: 'the calls so far, with expectations; format=curl: as a shell script',
        description:
          'What was called since the rig’s start or its last reset, each with what it was answered: a trace that POST /v1/replay runs anywhere.',
        querystring: TraceQuery,
        response: {
          200: {
            description: 'the trace; with x-truncated: true its beginning is gone',
            content: {
              'application/json': { schema: ScenarioSchema },
              [CURL_TYPE]: { schema: Type.String({ description: 'a shell script of curl commands' }) },
            },
          },
          '4xx': PROBLEM_RESPONSE,
        },
      },
    },
    (request, reply) => {
      const rig = rigOf(service, request);
      const { steps, truncated } = rig.host.traceInSteps();
      const scenario = { id: rig.name, kernel: rig.host.kernel.gen.version, steps };
      if (truncated) reply.header('x-truncated', 'true');
      if (request.query.format !== 'curl') {
        return sendPieces(service, reply, 'application/json; charset=utf-8', jsonPieces(scenario));
      }
      return sendPieces(service, reply, `${CURL_TYPE}; charset=utf-8`, curlPieces(scenario));
    },
  );

  app.get(
    '/v1/dmesg',
    {
      schema: {
        tags,
        operationId: 'dmesg',
        summary: 'the log as the console of this kernel would show it',
        description: 'What `dmesg` would print: splats with registers and stacks in the form of this kernel.',
        response: {
          200: { description: 'the console', content: { 'text/plain': { schema: Type.String() } } },
          '4xx': PROBLEM_RESPONSE,
        },
      },
    },
    (request, reply) => reply.type('text/plain; charset=utf-8').send(rigOf(service, request).host.dmesg()),
  );

  app.post<{ Body: Static<typeof TraceSchema> | NdjsonBody }>(
    '/v1/replay',
    {
      bodyLimit: service.config.replayBodyLimit,
      config: {
        takes: ['application/json', NDJSON_TYPE],
        describes: {
          body: {
            content: {
              'application/json': { schema: TraceSchema },
              [NDJSON_TYPE]: ndjsonOf(ScenarioSchema),
            },
          },
        },
      },
      schema: {
        tags,
        operationId: 'replay',
        summary: 'runs traces on fresh hosts and answers what differed: one as JSON, or many as NDJSON',
        description:
          'Every step is made on a fresh host, which is nobody’s rig, and held against its `expect`. `differences` is empty where all were as expected.',
        body: {
          content: { 'application/json': { schema: TraceSchema }, [NDJSON_TYPE]: { schema: Type.Any() } },
        },
        response: {
          200: {
            description: 'what differed; with NDJSON a line for each trace',
            content: { 'application/json': { schema: ReplayView }, [NDJSON_TYPE]: ndjsonOf(ReplayView) },
          },
          '4xx': PROBLEM_RESPONSE,
        },
      },
    },
    (request, reply) => {
      const { body } = request;
      const run = async (work: Turns, scenario: Scenario) => {
        const scratch = service.scratch();
        const { id, kernel, steps } = scenario;
        try {
          const machine = scratch.machine(service.generation(kernel));
          const differences = await work.do(replaySteps(machine, scenario));
          return { id, kernel, steps: steps.length, differences };
        } finally {
          scratch.close();
        }
      };
      if (!(body instanceof NdjsonBody)) {
        const scenario = scenarioOf(body, rigOf(service, request).host.kernel.gen.version);
        return workFor(service, reply, (work) => run(work, scenario));
      }
      const log = (err: unknown) => request.log.error({ err, reqId: request.id }, 'failed');
      const results = async function* (work: Turns) {
        for (const line of body.lines(service.config.replayBodyLimit)) {
          work.begin();
          const result = await replayLine(line, work, log, (scenario) => run(work, scenario));
          const text = lineOf(result);
          if (typeof text === 'string') yield text;
          else yield* joined(text, work);
          if (work.isOver) await work.next();
        }
      };
      return reply.type(NDJSON_TYPE).send(streamFor(service, results));
    },
  );
}

/** A line of NDJSON that is no trace is answered with a problem in its place. */
async function replayLine(
  line: Line | Refused,
  work: Turns,
  log: (error: unknown) => void,
  run: (scenario: Scenario) => Promise<object>,
): Promise<object> {
  try {
    if (line instanceof Refused) throw line;
    const value = await work.do(lineValue(line));
    const refused = await work.do(checkSteps(TraceSchema, value, 'scenario'));
    if (refused) throw refused;
    return await run(scenarioOf(value as Static<typeof TraceSchema>));
  } catch (error) {
    if (!(error instanceof Refused)) log(error);
    return { problem: errorReply(error).body };
  }
}
