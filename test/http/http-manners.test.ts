import { expect, test } from 'vitest';
import { ASYNC, ok, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();

test.each([
  ['GET', '/health', 200],
  ['GET', '/v1', 200],
  ['GET', '/v1/containers', 200],
  ['GET', '/openapi.json', 200],
  ['POST', '/v1/containers', 201],
  ['GET', '/v1/containers/none', 404],
  ['GET', '/nothing', 404],
  ['GET', '/%zz', 400],
  ['PUT', '/health', 405],
] as const)('%s %s ends its line, and says how long it is', async (method, url, status) => {
  const { statusCode, body, headers } = await rig.app.inject({ method, url });
  expect(statusCode).toBe(status);
  expect(body.endsWith('}\n')).toBe(true);
  expect(Number(headers['content-length'])).toBe(Buffer.byteLength(body));
});

test('an answer without a body has no line to end', async () => {
  const { statusCode, body } = await rig.app.inject({ method: 'POST', url: '/v1/reset' });
  expect([statusCode, body]).toEqual([204, '']);
});

test.each([
  ['/v1/batch', 'application/json', 'must be application/x-ndjson'],
  ['/v1/replay', 'text/plain', 'must be application/json or application/x-ndjson'],
  ['/v1/containers', 'text/plain', 'must be application/json'],
])('POST %s as %s is told what it takes', async (url, type, rule) => {
  const answer = await rig.request('POST', url, '{}', { 'content-type': type });
  expectProblem(answer, { status: 415, detail: [`content-type is ${type}`, rule] });
});

test('waiting in vain says for how long, also where more was asked than there is', async () => {
  await ok(rig.post('reset'));
  const events = await ok(rig.get('events?wait=1&timeoutMs=20'));
  expect(events).toMatchObject({ events: [], timedOut: true, timeoutMs: 20 });
  await ok(rig.post('containers'));
  const some = await ok(rig.get('events?wait=1&timeoutMs=999999999'));
  expect(some.events.length).toBeGreaterThan(0);
  expect(some).not.toHaveProperty('timedOut');
  expect(await ok(rig.get('events?since=99'))).not.toHaveProperty('timedOut');
});

test('an operation that is not done in time says for how long it was waited for', async () => {
  await ok(rig.post('reset'));
  await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
  await rig.map('0x10000', '0x1000');
  await rig.pin('0x10000');
  const { operation } = await ok(rig.unmap('0x10000', '0x1000', ASYNC));
  const url = `operations/${operation}?wait=1&timeoutMs=20`;
  expect(await ok(rig.get(url))).toMatchObject({ operation, done: false, timedOut: true, timeoutMs: 20 });
  await ok(rig.post('devices/d0/resume-callbacks'));
  expect(await ok(rig.get(url))).toMatchObject({ done: true, answer: { status: 200 } });
});

test('the document says how long a request waits, and at most', async () => {
  const { paths } = await ok(rig.request('GET', '/openapi.json'));
  for (const path of ['/v1/events', '/v1/operations/{operation}']) {
    const found = paths[path].get.parameters.find(({ name }: { name: string }) => name === 'timeoutMs');
    expect(found.schema.description ?? found.description).toMatch(/10000 unless.*more than 60000 is 60000/);
  }
});

test.each(['replay', 'compare'])('%s takes a trace, and one inside an object', async (path) => {
  const scenario = { id: 't', steps: [{ call: 'open-container', container: 'c0', expect: { errno: null } }] };
  const bare = await ok(rig.post(path, scenario));
  expect(bare).toMatchObject({ id: 't' });
  expect(await ok(rig.post(path, { scenario }))).toEqual(bare);
});

test('a line of a replay may be either as well', async () => {
  const scenario = { id: 't', steps: [] };
  const lines = [scenario, { scenario }].map((one) => JSON.stringify(one)).join('\n');
  const { body } = await rig.app.inject({
    method: 'POST',
    url: '/v1/replay',
    headers: { 'content-type': 'application/x-ndjson' },
    payload: lines,
  });
  const answers = body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(answers).toHaveLength(2);
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]).toMatchObject({ id: 't', differences: [] });
});

test.each([
  ['replay', { steps: 5 }, ['body/steps is 5', 'an array']],
  ['replay', { scenario: { steps: 5 } }, ['body/scenario/steps is 5', 'an array']],
  ['replay', { scenario: { steps: [] }, x: 1 }, ['body/x is not a known field']],
  ['replay', {}, ['body/steps is missing']],
  ['compare', { steps: [{}] }, ['body/steps/0/call is missing']],
  ['compare', { scenario: { steps: [] }, kernels: ['6.1'] }, ['body/kernels', 'two or more kernel versions']],
  ['compare', [], ['body is []', 'a trace, or {"scenario": a trace, "kernels"?']],
])('%s of what is neither is told what is wrong: %j', async (path, body, detail) => {
  expectProblem(await rig.post(path, body), { status: 400, detail });
});
