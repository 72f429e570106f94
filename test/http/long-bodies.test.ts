import { expect, test } from 'vitest';
import { ok, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();

const json = { 'content-type': 'application/json' };
const post = (path: string, text: string) => rig.request('POST', `/v1/${path}`, text, json);

test('base64 of 3.2 MiB is taken, and refused in words where one character is wrong', async () => {
  const data = Buffer.alloc(3_300_000, 7).toString('base64');
  const body = { vaddr: '0x1000', data };
  expect((await rig.post('processes/p0/write-memory', body)).status).toBe(200);
  expectProblem(await rig.post('processes/p0/write-memory', { ...body, data: `*${data.slice(1)}` }), {
    status: 400,
    detail: ['body/data', 'base64'],
  });
  for (const wrong of ['A', 'AA', 'AAA', 'A===', '====', 'AA=A', 'AAAA=']) {
    expect((await rig.post('processes/p0/write-memory', { ...body, data: wrong })).status, wrong).toBe(400);
  }
});

test.each([200, 5000, 200_000])('JSON %d deep is refused in words', async (depth) => {
  const text = `{"device":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  expectProblem(await post('devices', text), { status: 400, detail: ['deep'] });
  const batch = await rig.app.inject({
    method: 'POST',
    url: '/v1/batch',
    payload: `${text}\n`,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  expect(JSON.parse(batch.body)).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining('deep') },
  });
});

test('a long body that is no JSON, or has a field too many, is refused in words', async () => {
  const fields = Array.from({ length: 9000 }, (_, i) => `"f${i}":0${' '.repeat(40)}`).join(',');
  expectProblem(await post('devices', `{${fields}}`), { status: 400, detail: ['f0 is not a known field'] });
  const many = Array.from({ length: 40_000 }, (_, i) => `"f${i}":0`).join(',');
  expectProblem(await post('devices', `{${many}}`), { status: 400, detail: ['more than 10000 fields'] });
  expectProblem(await post('devices', `{${fields}`), { status: 400, detail: ['not JSON'] });
  expectProblem(await post('devices', `{"__proto__":{},${fields}}`), { status: 400, detail: ['__proto__'] });
});

test('a long snapshot is put in turns, others are answered meanwhile, and what is wrong far within it is named', async () => {
  await rig.container(synthetic('unpin-range'));
  for (let i = 0; i < 1000; i++) await rig.map(`0x${(i * 0x200000).toString(16)}`, '0x200000');
  for (let i = 0; i < 20; i++) {
    await ok(
      rig.post('devices/d0/pin-pages', { iova: `0x${(i * 0x200000).toString(16)}`, npage: 512, prot: 3 }),
    );
  }
  const got = await rig.request('GET', '/v1/snapshot');
  const text = JSON.stringify(got.body);
  expect(text.length).toBeGreaterThan(512 * 1024);
  const order: string[] = [];
  const note = (name: string) => (answer: { status: number }) => order.push(`${name} ${answer.status}`);
  await Promise.all([
    rig.request('PUT', '/v1/snapshot', text, json).then(note('snapshot')),
    rig.request('GET', '/health').then(note('health')),
  ]);
  expect(order).toEqual(['health 200', 'snapshot 204']);
  const again = await rig.request('GET', '/v1/snapshot');
  expect(again.body).toEqual(got.body);
  got.body.state.containers[0].iommu.mappings[19].pins[500].pfn = 'x';
  expectProblem(await rig.request('PUT', '/v1/snapshot', got.body), {
    status: 400,
    detail: ['body/state/containers/0/iommu/mappings/19/pins/500/pfn is "x"'],
  });
});

test('no message repeats much of what was sent', async () => {
  const long = 'x'.repeat(100_000);
  const answers = [
    await rig.post('devices', { device: long }),
    await rig.post('reset', { kernel: long }),
    await rig.request('GET', `/v1/${long.slice(0, 8000)}`),
    await rig.request('PATCH', `/v1/containers?${long.slice(0, 8000)}`),
  ];
  for (const { status, body } of answers) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body.detail.length).toBeLessThan(2100);
  }
});
