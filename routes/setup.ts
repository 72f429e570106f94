import type { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { BatchCall } from '../schemas/batch.ts';
import { type RigSetup, SetupBody, SetupView } from '../schemas/setup.ts';
import { NDJSON_TYPE, ndjsonOf } from '../schemas/values.ts';
import { lineValue } from '../src/host/line-value.ts';
import type { Line } from '../src/host/lines.ts';
import type { Machine } from '../src/machine/machine.ts';
import { Refused } from '../src/machine/refused.ts';
import { longScenarioSteps, scenarioOf } from '../src/replay/check.ts';
import type { Step } from '../src/replay/scenario.ts';
import type { Service } from '../src/service.ts';
import { SetupRefused, setUp, setUpInTurns, setUpTrace, setupView } from '../src/setup/run.ts';
import { callsOf } from '../src/setup/steps.ts';
import type { Turns } from '../src/turns.ts';
import { NdjsonBody, readBody } from './body.ts';
import { setupReply } from './replies.ts';
import { PROBLEM_RESPONSE, send } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { workFor } from './work.ts';

/** Makes the calls of what was sent on a fresh machine; how many there were. */
type Fill = (machine: Machine, work: Turns, panicked: () => string | null, reqId: string) => Promise<number>;

/** `POST /v1/setup`: a rig as a whole, all or nothing. */
export function setupRoutes(app: FastifyInstance, service: Service): void {
  app.register(async (scope) => {
    scope.addContentTypeParser(NDJSON_TYPE, (request, payload, done) => {
      readBody(request, payload as Readable, service.bodies, (error, body = '') =>
        done(error, error ? undefined : new NdjsonBody(body)),
      );
    });
    scope.post<{ Body: SetupBody | NdjsonBody }>(
      '/v1/setup',
      {
        bodyLimit: service.config.replayBodyLimit,
        config: {
          takes: ['application/json', NDJSON_TYPE],
          describes: {
            body: {
              content: { 'application/json': { schema: SetupBody }, [NDJSON_TYPE]: ndjsonOf(BatchCall) },
            },
          },
        },
        schema: {
          tags: ['host'],
          operationId: 'setup',
          summary:
            'makes a rig anew, as after a reset, from a setup, a trace, or calls as NDJSON; nothing changes where that is refused',
          description:
            'Every field of a setup is an argument of the call that makes it. The calls are made on a fresh host of the setup’s kernel; where one is refused, the problem names the place in the document, and the rig is what it was.',
          body: {
            content: { 'application/json': { schema: SetupBody }, [NDJSON_TYPE]: { schema: Type.Any() } },
          },
          response: { 201: SetupView, '4xx': PROBLEM_RESPONSE },
        },
      },
      async (request, reply) => {
        const rig = rigOf(service, request);
        const { version } = rig.host.kernel.gen;
        const { kernel = version, fill } = planOf(request.body, version, service.config.replayBodyLimit);
        try {
          const gen = service.generation(kernel);
          const made = await workFor(service, reply, (work) =>
            rig.setUp(
              gen,
              async (machine, panicked) => {
                const calls = await fill(machine, work, panicked, request.id);
                return setupView(rig.name, machine, calls);
              },
              work,
            ),
          );
          return send(request, reply, { status: 201, body: { ...made } });
        } catch (error) {
          if (!(error instanceof SetupRefused)) throw error;
          return send(request, reply, setupReply(error));
        }
      },
    );
  });
}

function planOf(
  body: SetupBody | NdjsonBody,
  kernel: string,
  limit: number,
): { kernel?: string | undefined; fill: Fill } {
  if (body instanceof NdjsonBody) {
    return {
      fill: async (machine, work) => {
        const steps = await work.do(stepsIn(body.lines(limit)));
        return setUpInTurns(
          setUpTrace(machine, steps, (index) => `line ${index + 1}`),
          work,
        );
      },
    };
  }
  if ('steps' in body || 'scenario' in body) {
    const trace = scenarioOf(body, kernel);
    const fill: Fill = (machine, work) =>
      setUpInTurns(
        setUpTrace(machine, trace.steps, (index) => `steps/${index}`),
        work,
      );
    return { kernel: trace.kernel, fill };
  }
  const setup: RigSetup = body;
  return {
    kernel: setup.kernel,
    fill: (machine, work, panicked, reqId) =>
      setUpInTurns(setUp(machine, callsOf(setup), panicked, reqId), work),
  };
}

/** The calls of a body, one a line, as the steps of a trace. */
function* stepsIn(lines: Iterable<Line | Refused>): Generator<void, Step[]> {
  const values: unknown[] = [];
  for (const line of lines) {
    if (line instanceof Refused) throw line;
    values.push(yield* lineValue(line));
    yield;
  }
  return (yield* longScenarioSteps({ steps: values })).steps;
}
