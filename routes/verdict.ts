import { type Static, type TProperties, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { Problem } from '../schemas/answers.ts';
import { closedObject } from '../schemas/values.ts';
import { VerdictsView, VerdictView } from '../schemas/verdict.ts';
import type { Rig } from '../src/rig/rig.ts';
import type { Service } from '../src/service.ts';
import { EXPECT_RULE, Expected } from '../src/verdict/expectation.ts';
import { junitXml } from '../src/verdict/junit.ts';
import { suitesOf, summaryOf, textOf } from '../src/verdict/report.ts';
import { verdictSteps, verdictsOf } from '../src/verdict/verdict.ts';
import { preferred } from './accept.ts';
import { headerOf } from './headers.ts';
import { notAsExpected } from './replies.ts';
import { PROBLEM_RESPONSE, send } from './reply.ts';
import { rigOf } from './rig-of.ts';
import { heldFor } from './work.ts';

const Query = closedObject({
  expect: Type.Optional(
    Type.String({ maxLength: 2048, description: `what was meant to happen: ${EXPECT_RULE}` }),
  ),
  rigs: Type.Optional(Type.Literal('all', { description: '"all"' })),
});

/** What every problem says, and the verdict: `splats` is the verdict's, by kind. */
const { type, title, status, detail, instance } = Problem.properties;
const problemWith = <P extends TProperties>(properties: P, name: string) =>
  Type.Object(
    { type, title, status, detail, instance: Type.Optional(instance), ...properties },
    { title: name, additionalProperties: true },
  );
const VerdictProblem = problemWith(VerdictView.properties, 'VerdictProblem');
const VerdictsProblem = problemWith(VerdictsView.properties, 'VerdictsProblem');

const TYPES = ['application/json', 'text/plain', 'application/xml', 'text/xml'] as const;

/** `GET /v1/verdict`: what a rig has come to, as a step of CI asks it. */
export function verdictRoutes(app: FastifyInstance, service: Service): void {
  const text = { schema: Type.String() };
  app.get<{ Querystring: Static<typeof Query> }>(
    '/v1/verdict',
    {
      schema: {
        tags: ['host'],
        operationId: 'verdict',
        summary:
          'whether a rig, or each of them, is as it should be at the end of a test: 200 or 409; JSON, text or JUnit by Accept',
        description:
          'Splats by kind, leaked pins, what is still mapped and pinned, wedged containers, calls under way, webhooks that were not delivered, advisories. `ok` says whether all of it is as `expect` says; without `expect`, whether there is none of it.',
        querystring: Query,
        response: {
          200: {
            description: 'as expected',
            content: {
              'application/json': { schema: Type.Union([VerdictView, VerdictsView]) },
              'text/plain': text,
              'application/xml': text,
            },
          },
          409: {
            description: 'not as expected',
            content: {
              'application/problem+json': { schema: Type.Union([VerdictProblem, VerdictsProblem]) },
              'text/plain': text,
              'application/xml': text,
            },
          },
          '4xx': PROBLEM_RESPONSE,
        },
      },
    },
    async (request, reply) => {
      const expected = Expected.parse(request.query.expect ?? '', 'querystring/expect');
      const judge = (rig: Rig) =>
        heldFor(service, reply, rig.host, (work) => work.do(verdictSteps(rig, expected)));
      let verdict: VerdictView | VerdictsView;
      if (request.query.rigs === 'all') {
        const judged: VerdictView[] = [];
        for (const rig of service.rigs.list()) judged.push(await judge(rig));
        verdict = verdictsOf(judged, expected);
      } else verdict = await judge(rigOf(service, request));
      const rigs = 'rigs' in verdict ? verdict.rigs : [verdict];
      const type = preferred(headerOf(request, 'accept'), TYPES);
      reply.header('cache-control', 'no-store').header('vary', 'accept');
      if (type !== 'application/json') {
        const body = type === 'text/plain' ? textOf(rigs) : junitXml(suitesOf(rigs));
        // As it is: what a reply of this service is otherwise made with writes JSON.
        return reply
          .code(verdict.ok ? 200 : 409)
          .type(`${type}; charset=utf-8`)
          .serializer((data: string) => data)
          .send(body);
      }
      if (verdict.ok) return send(request, reply, { status: 200, body: { ...verdict } });
      const wrong = rigs.filter(({ ok }) => !ok).map(summaryOf);
      return send(request, reply, notAsExpected(wrong.join('. '), { ...verdict }));
    },
  );
}
