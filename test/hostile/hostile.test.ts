import { beforeAll, expect, test } from 'vitest';
import { useOneRig } from '../harness/http-rig.ts';
import { Fuzzer } from './fuzzer.ts';

/** Requests that every run of the tests makes; `npm run hostile` makes more, and holds memory and stalls too. */
const REQUESTS = 600;
const SEED = 1;

const service = useOneRig({ logLevel: 'error', webhookAllow: '127.0.0.1' });

beforeAll(() => service.listen());

test(`${REQUESTS} requests made from openapi.json and raw sockets (seed ${SEED}) find no answer that must not be`, async () => {
  const { port } = service;
  const fuzzer = new Fuzzer(port, SEED, REQUESTS, 'openapi.json');
  await fuzzer.run(4);
  const { requests, raw, unchanged, statuses } = fuzzer.report;
  // A fuzzer that is refused everything, or nothing, would show nothing.
  expect(requests).toBeGreaterThan(REQUESTS / 2);
  expect(raw).toBeGreaterThan(10);
  expect(unchanged).toBeGreaterThan(10);
  for (const status of [200, 400, 404, 405, 415, 422])
    expect(statuses[status], `${status}`).toBeGreaterThan(0);
  expect(service.lines.filter(({ err }) => err !== undefined)).toEqual([]);
});

test('JSON nested 5000 deep in the place of a body or a field is refused with 400', async () => {
  const [lists, objects] = [
    `${'['.repeat(5000)}${']'.repeat(5000)}`,
    `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
  ];
  for (const payload of [lists, objects, `{"extension":${lists}}`, `{"extension":${objects}}`]) {
    const headers = { 'content-type': 'application/json' };
    const url = '/v1/containers/c0/check-extension';
    const { statusCode, body } = await service.app.inject({ method: 'POST', url, headers, payload });
    expect(statusCode, body.slice(0, 300)).toBe(400);
    expect(body.length).toBeLessThan(500);
  }
});
