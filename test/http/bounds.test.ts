import { expect, onTestFinished, test } from 'vitest';
import { expectAnswer } from '../../routes/bounds.ts';
import { ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';

const MB = 1024 * 1024;
const DATA = Buffer.alloc(MB, 5).toString('base64');

const rig = useOneRig({ rigBytes: 6 * MB, totalBytes: 9 * MB, bodyBytes: 3 * MB, answerBytes: 3 * MB });

const write = (name: string) =>
  ok(rig.post('processes/p0/write-memory', { vaddr: '0x0', data: DATA }, { 'x-rig': name }));
const hostOf = (name: string) => rig.service.rigs.use(name).host;
const metric = async (name: string) => {
  const { body } = await rig.app.inject('/metrics');
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1]);
};

test('journal and trace of a rig take no more than their bytes: the oldest entries go, the trace ends, both say so', async () => {
  for (let i = 0; i < 8; i++) await write('one');
  const { journal } = hostOf('one');
  expect(journal.seq).toBe(16);
  expect(journal.oldest).toBeGreaterThan(1);
  const page = await rig.request('GET', '/v1/events', undefined, { 'x-rig': 'one' });
  expect(page.body.truncated).toBe(true);
  expect(page.body.events.at(-1).seq).toBe(16);
  const trace = await rig.request('GET', '/v1/trace', undefined, { 'x-rig': 'one' });
  expect(trace.headers['x-truncated']).toBe('true');
  expect(trace.body.steps.length).toBeLessThan(8);
  expect(await metric('vfio_host_log_bytes')).toBeLessThanOrEqual(6 * MB + 3 * DATA.length);
});

test('all rigs together take no more than theirs; a rig that goes gives back what it took', async () => {
  for (let i = 0; i < 8; i++) await write('two');
  expect(await metric('vfio_host_log_bytes')).toBeLessThanOrEqual(9 * MB + 3 * DATA.length);
  for (const name of ['one', 'two']) await ok(rig.del(`rigs/${name}`));
  expect(await metric('vfio_host_log_bytes')).toBe(0);
  await ok(rig.post('reset', {}));
  expect(await metric('vfio_host_log_bytes')).toBe(0);
});

test('bodies that would be too much together are refused before they are read, and counted down when answered', async () => {
  const one = () => rig.post('processes/p0/write-memory', { vaddr: '0x0', data: DATA });
  const answers = await Promise.all([one(), one(), one(), one()]);
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([200, 200, 429, 429]);
  expectProblem(answers.find(({ status }) => status === 429)!, { status: 429, detail: [String(3 * MB)] });
  expect((await one()).status).toBe(200);
  expect(rig.service.bodies.used).toBe(0);
});

test('answers that would be too much together are refused before they are made', async () => {
  const one = () => rig.post('processes/p0/read-memory', { vaddr: '0x0', length: MB });
  const answers = await Promise.all([one(), one(), one(), one()]);
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([200, 200, 200, 429]);
  expectProblem(answers.find(({ status }) => status === 429)!, {
    status: 429,
    detail: ['answers under way', String(3 * MB)],
  });
  expect((await one()).status).toBe(200);
  expect(rig.service.answers.used).toBe(0);
});

test('bodies that announce no length count as they come: small ones are all taken, large ones refused', async () => {
  const server = await startRig({ logLevel: 'silent', bodyBytes: 3 * MB, bodyLimit: 2 * MB });
  onTestFinished(() => server.close());
  await server.listen();
  const warnings: Error[] = [];
  const warn = (warning: Error) => warnings.push(warning);
  process.on('warning', warn);
  onTestFinished(() => void process.off('warning', warn));
  const post = async (body: string) => {
    const { status } = await fetch(`${server.url}/v1/processes/p0/write-memory`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([body]).stream(),
      duplex: 'half',
    } as RequestInit);
    return status;
  };
  const small = JSON.stringify({ vaddr: '0x0', data: 'AAAA' });
  expect(await Promise.all(Array.from({ length: 8 }, () => post(small)))).toEqual(Array(8).fill(200));
  const large = JSON.stringify({ vaddr: '0x0', data: DATA });
  const statuses = await Promise.all(Array.from({ length: 8 }, () => post(large)));
  expect(statuses).toContain(200);
  expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([]);
  expect(await post(large)).toBe(200);
  await expect.poll(() => server.service.bodies.used).toBe(0);
  // Of listeners that a body adds with each of its pieces the engine warns.
  expect(warnings).toEqual([]);
});

test('an answer to a client that has left already is not counted: nothing would count it down', () => {
  const { service } = rig;
  expectAnswer({ raw: { closed: true } } as never, service, MB);
  expect(service.answers.used).toBe(0);
});
