import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { ScenarioSchema } from '../schemas/scenario.ts';
import { closedObject } from '../schemas/values.ts';
import { ComparisonView, KernelView } from '../schemas/views.ts';
import { heldAgainst, newIn } from '../src/kernel/generations/differences.ts';
import { ALL_GENERATIONS, channelOf, GENERATIONS } from '../src/kernel/generations/index.ts';
import { Refused } from '../src/machine/refused.ts';
import { scenarioOf } from '../src/replay/check.ts';
import { comparisonSteps } from '../src/replay/compare-kernels.ts';
import type { Service } from '../src/service.ts';
import type { Turns } from '../src/turns.ts';
import { expectAnswer } from './bounds.ts';
import { PROBLEM_RESPONSE } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { workFor } from './work.ts';

const Comparison = closedObject({
  scenario: ScenarioSchema,
  kernels: Type.Optional(
    Type.Array(Type.String(), {
      minItems: 2,
      maxItems: 12,
      uniqueItems: true,
      description: 'two or more kernel versions, 12 at most, none of them twice',
    }),
  ),
});
const CompareBody = Type.Union([Comparison, ScenarioSchema], {
  description: 'a trace, or {"scenario": a trace, "kernels"?: two or more kernel versions}',
});

/** The kernel generations and what tells them apart. */
export function kernelRoutes(app: FastifyInstance, service: Service): void {
  const tags = ['kernels'];
  app.get(
    '/v1/kernels',
    {
      schema: {
        tags,
        summary: 'kernel generations',
        description: 'Each kernel that can be emulated, and what it has that the one before has not.',
        response: { 200: Type.Object({ kernels: Type.Array(KernelView) }) },
      },
    },
    (request) => ({
      kernels: ALL_GENERATIONS.map((gen) => ({
        version: gen.version,
        release: gen.release,
        recorded: gen.recorded,
        current: gen.version === rigOf(service, request).host.kernel.gen.version,
        channel: channelOf(gen),
        from: heldAgainst(gen)?.version ?? null,
        differs: newIn(gen).map(({ id, title, text }) => ({ id, title, text })),
      })),
    }),
  );

  app.post<{ Body: Static<typeof CompareBody> }>(
    '/v1/compare',
    {
      bodyLimit: service.config.replayBodyLimit,
      schema: {
        tags,
        summary: 'a trace on several kernels: the steps that differ, and why',
        description:
          'Runs the trace on a fresh host of each kernel and lists the steps that are not answered alike, with the reasons.',
        body: CompareBody,
        response: { 200: ComparisonView, '4xx': PROBLEM_RESPONSE },
      },
    },
    ({ body }, reply) => {
      const scenario = scenarioOf(body);
      if (scenario.steps.length > service.config.compareSteps) {
        throw Refused.tooLarge(
          `the scenario has ${scenario.steps.length} steps; a comparison takes at most ${service.config.compareSteps}`,
        );
      }
      const kernels = 'scenario' in body ? body.kernels : undefined;
      const generations = kernels?.map((version) => service.generation(version)) ?? GENERATIONS;
      const scratch = service.scratch();
      const compare = async (work: Turns) => ({
        id: scenario.id,
        kernels: generations.map(({ version }) => version),
        unrecorded: generations.flatMap(({ version, recorded }) => (recorded ? [] : [version])),
        steps: await work.do(
          comparisonSteps(scenario, generations, (gen) => scratch.machine(gen), keepsFor(service, reply)),
        ),
      });
      return workFor(service, reply, compare).finally(() => scratch.close());
    },
  );
}

/** Bytes of answers that are counted at a time. */
const COUNTED = 64 * 1024;

/** Counts what a comparison keeps until it is answered. */
function keepsFor(service: Service, reply: FastifyReply): (bytes: number) => void {
  const limit = service.config.replayBodyLimit;
  let all = 0;
  let due = 0;
  return (bytes) => {
    all += bytes;
    due += bytes;
    if (all > limit) {
      throw Refused.tooLarge(
        `the answers of the comparison would take more than ${limit} bytes, the limit here`,
      );
    }
    if (due < COUNTED) return;
    expectAnswer(reply, service, due);
    due = 0;
  };
}
