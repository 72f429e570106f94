import { beforeEach, describe, expect, test } from 'vitest';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

const snapshot = (path = 'snapshot') => ok(rig.get(path));
const put = (document: unknown, headers = {}) => rig.request('PUT', '/v1/snapshot', document, headers);

describe('GET /v1/snapshot', () => {
  test('names format, version and kernel; the same state gives the same text', async () => {
    await rig.container(synthetic('unpin-range'));
    const first = await rig.app.inject('/v1/snapshot');
    expect(first.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(first.json()).toMatchObject({ format: 'vfio-host-snapshot', version: 1, kernel: '6.1' });
    // Slots of mappings and pins that are gone leave no trace, but in what tells of them.
    for (const at of ['0x1000', '0x2000', '0x3000']) await rig.map(at, '0x1000');
    await rig.pin('0x2000');
    await ok(rig.unmap('0x0', '0x8000'));
    const { state } = (await rig.app.inject('/v1/snapshot')).json();
    state.devices[0].driverState.callbacks = 0;
    expect(state.containers[0].history.removals).toHaveLength(3);
    delete state.containers[0].history;
    state.next.call = first.json().state.next.call;
    expect(state).toEqual(first.json().state);
    expect((await rig.app.inject('/v1/snapshot')).body).toBe((await rig.app.inject('/v1/snapshot')).body);
  });

  test('409 while calls are under way, which it names; not for a dead one', async () => {
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.map('0x1000', '0x1000');
    await rig.pin('0x1000');
    await ok(rig.unmap('0x1000', '0x1000', ASYNC));
    expectProblem(await rig.get('snapshot'), {
      status: 409,
      slug: 'calls-under-way',
      detail: ['unmap-dma', 'callback of d0'],
    });
    await ok(rig.post('devices/d0/resume-callbacks'));
    await ok(rig.get('snapshot'));
  });

  test('409 while a fault delays a call', async () => {
    await ok(rig.post('faults', { on: 'open-container', nth: 1, delayMs: 60_000 }));
    await ok(rig.post('containers', {}, ASYNC));
    expectProblem(await rig.get('snapshot'), { status: 409, detail: ['open-container', 'delayed'] });
  });

  test('413 where it would be larger than PUT takes', async () => {
    await rig.start({ replayBodyLimit: 1024 });
    await rig.container(synthetic('ignore'));
    expectProblem(await rig.get('snapshot'), { status: 413, slug: 'too-large', detail: ['1024'] });
  });
});

describe('PUT /v1/snapshot', () => {
  test('another rig goes on from there; journal, trace, dmesg and operations start anew', async () => {
    await rig.container(synthetic('ignore'));
    await rig.bug();
    const document = await snapshot();
    const other = { 'x-rig': 'other' };
    await ok(rig.request('POST', '/v1/containers', {}, { ...other, ...ASYNC }));
    expect((await put(document, other)).status).toBe(204);
    const of = (path: string) => rig.request('GET', path, undefined, other);
    const [copy, original] = [await rig.inRig('other').state(), await rig.state()] as { host: object }[];
    expect(copy).toEqual({ ...original, host: { ...original!.host, rig: 'other' } });
    expect((await of('/v1/containers/c0')).body.wedged).toMatchObject({ kind: 'BUG_ON' });
    const again = await rig.request('POST', '/v1/containers/c0/unmap-dma', { iova: 0, size: 4096 }, other);
    expect(again.status).toBe(423);
    expect((await of('/v1/operations/op0')).status).toBe(404);
    const trace = await of('/v1/trace');
    expect(trace.headers['x-truncated']).toBe('true');
    expect(trace.body.steps).toHaveLength(1);
  });

  test('brings its kernel along', async () => {
    await ok(rig.post('reset', { kernel: '5.10' }));
    const document = await snapshot();
    await ok(rig.post('reset', { kernel: '7.2' }));
    expect((await put(document)).status).toBe(204);
    expect((await ok(rig.request('GET', '/v1'))).kernel).toBe('5.10');
    expect(await snapshot()).toEqual(document);
  });

  test('calls under way are answered 503; a refused document leaves them', async () => {
    const document = await snapshot();
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.map('0x1000', '0x1000');
    await rig.pin('0x1000');
    const waiting = rig.unmap('0x1000', '0x1000');
    await ok(rig.get('containers/c0'));
    expectProblem(await put({ ...document, version: 7 }), {
      status: 400,
      slug: 'invalid-request',
      detail: ['body/version is 7, but must be 1'],
    });
    expect((await ok(rig.request('GET', '/v1'))).counts.pendingCalls).toBe(1);
    expect((await put(document)).status).toBe(204);
    expectProblem(await waiting, { status: 503, slug: 'abandoned', detail: ['restored from a snapshot'] });
    expect(await snapshot()).toEqual(document);
  });

  test('400 without a body; 413 beyond the limit; 429 beyond the host', async () => {
    expectProblem(await put(undefined), { status: 400 });
    for (const id of ['a', 'b', 'c']) await ok(rig.post('containers', { container: id }));
    const document = await snapshot();
    await rig.start({ maxContainers: 2 });
    expectProblem(await put(document), { status: 429, slug: 'too-many', detail: ['containers', '3', '2'] });
    await rig.start({ replayBodyLimit: 1024 });
    expectProblem(await put({ ...document, more: 'x'.repeat(2000) }), { status: 413, slug: 'too-large' });
  });
});

describe("a webhook's secret", () => {
  const TOKEN = 'a-token-of-some-length';
  beforeEach(async () => {
    await rig.start({ authToken: TOKEN });
  });
  const driver = { type: 'webhook', url: 'http://127.0.0.1:9/hook', secret: 'quiet' };

  test('is in a snapshot only with secrets=1, and only that one can be put', async () => {
    await ok(rig.post('devices', { device: 'd0', driver }));
    const shown = await snapshot();
    expect(JSON.stringify(shown)).not.toContain('quiet');
    expectProblem(await put(shown), { status: 400, detail: ['devices/0/driver/secret', 'secrets=1'] });
    const told = await snapshot('snapshot?secrets=1');
    await ok(rig.post('reset'));
    expect((await put(told)).status).toBe(204);
    expect(await snapshot('snapshot?secrets=1')).toEqual(told);
    expect(told.state.devices[0].driver.secret).toBe('quiet');
    expectProblem(await rig.get('snapshot?secrets=yes'), { status: 400, detail: ['secrets'] });
  });

  test('and a URL where webhooks may not go is refused', async () => {
    await ok(rig.post('devices', { device: 'd0', driver: { ...driver, url: 'http://127.0.0.1:9/' } }));
    const told = await snapshot('snapshot?secrets=1');
    told.state.devices[0].driver.url = 'http://198.51.100.1/';
    expectProblem(await put(told), { status: 400, detail: ['198.51.100.1'] });
  });
});
