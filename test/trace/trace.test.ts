import { spawn } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { replay } from '../../src/replay/replay.ts';
import { runScenario } from '../../src/replay/run.ts';
import type { Scenario, Step } from '../../src/replay/scenario.ts';
import { type DriverServer, driverServer } from '../harness/driver-server.ts';
import { newHost } from '../harness/host.ts';
import { useRig } from '../harness/http-rig.ts';
import { recordings } from '../harness/recordings.ts';

describe.each(RECORDED_VERSIONS)('Linux %s', (version) => {
  test.each(recordings(version))('the trace of every recording in $file replays with no difference', (of) => {
    for (const scenario of of.scenarios) {
      const host = newHost(version);
      runScenario(host.machine, scenario);
      const { scenario: trace, truncated } = host.trace(scenario.id);
      expect(truncated).toBe(false);
      expect(replay(newHost(version).machine, trace), scenario.id).toEqual([]);
    }
  });
});

const rig = useRig();
let driver: DriverServer;

afterEach(() => driver?.close());

/** A webhook driver that is wrong twice and then unpins, once by itself and once by its answer. */
async function webhookStory(): Promise<Scenario> {
  driver = await driverServer(async ({ body }, response) => {
    if (body.call !== 'dma-unmap') return void response.end();
    if (body.attempt === 1) return void response.writeHead(500).end();
    if (body.attempt === 2) return void response.end('<html>');
    await rig.http('POST', '/v1/devices/d0/unpin-pages', { iova: '0x15000', npage: 1 });
    response.end(JSON.stringify({ unpin: [{ iova: '0x18000', npage: 2 }] }));
  });
  const webhook = { type: 'webhook', url: driver.url, secret: 'hush', openDevice: true };
  await rig.http('POST', '/v1/containers', { container: 'c0' });
  await rig.http('POST', '/v1/devices', { device: 'd0', driver: webhook });
  await rig.http('POST', '/v1/containers/c0/attach', { device: 'd0' });
  const map = { iova: '0x10000', vaddr: '0x7f0000000000', size: '0x10000', flags: ['read', 'write'] };
  await rig.http('POST', '/v1/containers/c0/map-dma', map);
  await rig.http('POST', '/v1/containers/c0/map-dma', map);
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: '0x15000', npage: 1, prot: 3 });
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: '0x18000', npage: 2, prot: 3 });
  await rig.http('POST', '/v1/devices/d0/dma-rw', { iova: '0x15000', write: false, length: 8 });
  const { body } = await rig.http('POST', '/v1/containers/c0/unmap-dma', {
    iova: '0x10000',
    size: '0x10000',
  });
  expect(body.size).toBe('0x10000');
  return (await rig.http('GET', '/v1/trace')).body as unknown as Scenario;
}

test('a trace of the webhook story replays without the webhook, with no difference', async () => {
  const trace = await webhookStory();
  expect(JSON.stringify(trace)).not.toContain('hush');
  await driver.close();
  const { status, body } = await rig.http('POST', '/v1/replay', trace);
  expect([status, body.differences]).toEqual([200, []]);
  expect(trace.steps.map(({ call }) => call).slice(-8)).toEqual([
    'dma-rw',
    'unmap-dma',
    'complete-callback',
    'complete-callback',
    'unpin-pages',
    'unpin-pages',
    'complete-callback',
    'await',
  ]);
});

test('complete-callback on a device whose webhook answers is refused, and not in the trace', async () => {
  driver = await driverServer(async ({ body }, response) => {
    if (body.call === 'dma-unmap') {
      const early = await rig.http('POST', '/v1/devices/d0/complete-callback', {});
      expect([early.status, early.body.errno]).toEqual([409, 'EBUSY']);
    }
    response.end(JSON.stringify({ unpin: [{ iova: '0x10000', npage: 1 }] }));
  });
  await rig.http('POST', '/v1/containers', { container: 'c0' });
  await rig.http('POST', '/v1/devices', { device: 'd0', driver: { type: 'webhook', url: driver.url } });
  await rig.http('POST', '/v1/containers/c0/attach', { device: 'd0' });
  const range = { iova: '0x10000', size: '0x1000' };
  await rig.http('POST', '/v1/containers/c0/map-dma', { ...range, vaddr: '0x10000', flags: 3 });
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: '0x10000', npage: 1, prot: 3 });
  expect((await rig.http('POST', '/v1/containers/c0/unmap-dma', range)).body.size).toBe('0x1000');
  const trace = (await rig.http('GET', '/v1/trace')).body as unknown as Scenario;
  expect(replay(newHost('6.1').machine, trace)).toEqual([]);
});

test('a replay of a trace with a wrong expectation says which step and field', async () => {
  const trace = await webhookStory();
  const last = trace.steps.at(-1) as Step;
  last.expect = { ...last.expect, size: '0x1' };
  const { body } = await rig.http('POST', '/v1/replay', trace);
  expect(body.differences).toEqual([
    { step: trace.steps.length - 1, call: 'await', field: 'size', expected: '0x1', actual: '0x10000' },
  ]);
});

test('the curl form of the webhook story runs under sh and gives the same', async () => {
  const trace = await webhookStory();
  const script = (await rig.app.inject('/v1/trace?format=curl')).body;
  await rig.listen();
  const { port } = rig;
  const child = spawn('sh', ['-s', `http://127.0.0.1:${port}`], { env: { ...process.env, RIG: 'curled' } });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  child.stdout.resume();
  child.stdin.end(script);
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect([code, errors]).toEqual([0, '']);
  const again = await rig.http('GET', '/v1/trace', undefined, { 'x-rig': 'curled' });
  expect((again.body as unknown as Scenario).steps).toEqual(trace.steps);
});

test('replay of NDJSON answers a line for each trace, and a problem for a line that is none', async () => {
  const trace = await webhookStory();
  const payload = [JSON.stringify(trace), 'garbage', JSON.stringify({ ...trace, kernel: '7.2' }), ''].join(
    '\n',
  );
  const response = await rig.app.inject({
    method: 'POST',
    url: '/v1/replay',
    headers: { 'content-type': 'application/x-ndjson' },
    payload,
  });
  const lines = response.body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map(({ kernel }) => kernel)).toEqual(['6.1', undefined, '7.2']);
  expect(lines[1]?.problem).toMatchObject({ status: 400, detail: 'the line is not JSON' });
});

test('a trace beyond its limit is cut and says so', async () => {
  await rig.start({ maxTrace: 3 });
  for (let i = 0; i < 4; i++) await rig.http('POST', '/v1/containers', {});
  const response = await rig.app.inject('/v1/trace');
  expect(response.headers['x-truncated']).toBe('true');
  expect((response.json() as Scenario).steps.length).toBe(3);
});

describe('batch', () => {
  const batch = async (lines: readonly unknown[]) => {
    const response = await rig.app.inject({
      method: 'POST',
      url: '/v1/batch',
      headers: { 'content-type': 'application/x-ndjson' },
      payload: lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
    });
    return response.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { status: number; body: Record<string, unknown> });
  };

  test('answers a line for each call, in order, refusals and bad lines in their place', async () => {
    const answers = await batch([
      { call: 'open-container' },
      { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 },
      'garbage',
      { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3, x: 1 },
      { call: 'close-container', container: 'c9' },
      { call: 'close-container', container: 'c0' },
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 422, 400, 400, 404, 200]);
    expect(answers[1]?.body.errno).toBe('EINVAL');
    expect(answers[3]?.body.detail).toBe('map-dma/x is not a known field');
  });

  test('async and await work as in a trace', async () => {
    const answers = await batch([
      { call: 'open-container' },
      { call: 'create-device', driver: { type: 'manual' } },
      { call: 'open-group', device: 'd0' },
      { call: 'set-container', device: 'd0', container: 'c0' },
      { call: 'set-iommu', container: 'c0', type: 'type1v2' },
      { call: 'open-device', device: 'd0' },
      { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 },
      { call: 'pin-pages', device: 'd0', iova: 0, npage: 1, prot: 3 },
      { call: 'unmap-dma', container: 'c0', iova: 0, size: 4096, async: 'u' },
      { call: 'unpin-pages', device: 'd0', iova: 0, npage: 1 },
      { call: 'complete-callback', device: 'd0' },
      { call: 'await', of: 'u' },
      { call: 'await', of: 'u' },
    ]);
    expect(answers.map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200, 200, 200, 200, 202, 200, 200, 200, 400,
    ]);
    expect(answers[11]?.body).toMatchObject({ size: '0x1000' });
  });
});
