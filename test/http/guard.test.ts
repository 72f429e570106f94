import type { InjectOptions } from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import type { Config } from '../../src/config.ts';
import { type HttpRig, startRig } from '../harness/http-rig.ts';

let running: HttpRig | null = null;
afterEach(async () => {
  await running?.app.close();
  running = null;
});

async function ask(config: Partial<Config>, options: InjectOptions) {
  running ??= await startRig({ ...config });
  const { statusCode, headers, body } = await running.app.inject(options);
  return { status: statusCode, headers, body: body === '' ? {} : JSON.parse(body) };
}

const TOKEN = 'a-token-of-some-length';
const reset = (headers: Record<string, string>): InjectOptions => ({
  method: 'POST',
  url: '/v1/reset',
  headers,
});
const look = (host: string): InjectOptions => ({ url: '/v1', headers: { host } });

describe('a request from a page of another site', () => {
  test.each([
    ['a cross-site fetch without a body', { 'sec-fetch-site': 'cross-site' }],
    ['a foreign origin', { origin: 'http://evil.example' }],
    ['an opaque origin', { origin: 'null' }],
    ['an origin of another port', { origin: 'http://localhost:9999' }],
  ])('that changes state is 403: %s', async (_what, headers) => {
    const { status, body } = await ask({}, reset(headers));
    expect([status, body.type]).toEqual([403, 'urn:vfio-host:problem:foreign-origin']);
  });

  test('leaves the rig as it was', async () => {
    await ask({}, { method: 'POST', url: '/v1/containers', payload: {} });
    await ask({}, reset({ 'sec-fetch-site': 'cross-site' }));
    expect((await ask({}, { url: '/v1' })).body.counts.containers).toBe(1);
  });

  test('of its own origin, or of no browser, goes through', async () => {
    expect((await ask({}, reset({ origin: 'http://localhost:80', host: 'localhost:80' }))).status).toBe(204);
    expect((await ask({}, reset({}))).status).toBe(204);
  });
});

describe('a host', () => {
  test.each(['localhost:8080', '127.0.0.1', '[::1]:8080', 'LOCALHOST'])('%s is known', async (host) => {
    expect((await ask({}, look(host))).status).toBe(200);
  });
  test.each(['evil.example', 'evil.example:8080', 'localhost.evil.example', '10.1.2.3', 'rig'])(
    '%s is 421 on a service that listens on loopback',
    async (host) => {
      const { status, body } = await ask({}, look(host));
      expect([status, body.type]).toEqual([421, 'urn:vfio-host:problem:unknown-host']);
      expect(body.detail).toContain(`host is "${host}"`);
    },
  );
  test('that is an address or has no dot is known where the service listens everywhere', async () => {
    const config = { host: '0.0.0.0' };
    expect((await ask(config, look('10.1.2.3:8080'))).status).toBe(200);
    expect((await ask(config, look('vfio-host:8080'))).status).toBe(200);
    expect((await ask(config, look('evil.example'))).status).toBe(421);
  });
  test('named in ALLOWED_HOSTS is known', async () => {
    const config = { allowedHosts: 'rig.example,other.example' };
    expect((await ask(config, look('Rig.example:1'))).status).toBe(200);
    expect((await ask(config, look('evil.example'))).status).toBe(421);
  });
  test('is not looked at with ALLOWED_HOSTS=any', async () => {
    expect((await ask({ allowedHosts: 'any' }, look('evil.example'))).status).toBe(200);
  });
});

describe('with an AUTH_TOKEN', () => {
  const config = { authToken: TOKEN };
  test.each(['/v1', '/metrics', '/', '/openapi.json', '/v1/snapshot'])(
    '%s without it is 401',
    async (url) => {
      const { status, headers } = await ask(config, { url });
      expect([status, headers['www-authenticate']]).toEqual([401, ['Basic realm="vfio-host"', 'Bearer']]);
    },
  );
  test('a wrong one is 401', async () => {
    expect((await ask(config, { url: '/v1', headers: { authorization: `Bearer ${TOKEN}x` } })).status).toBe(
      401,
    );
  });
  test('health is told to everybody', async () => {
    expect((await ask(config, { url: '/health' })).status).toBe(200);
  });
  test('it is taken as a bearer token, and as the password of a browser', async () => {
    const basic = Buffer.from(`:${TOKEN}`).toString('base64');
    expect((await ask(config, { url: '/v1', headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(
      200,
    );
    expect((await ask(config, { url: '/v1', headers: { authorization: `Basic ${basic}` } })).status).toBe(
      200,
    );
  });
  test('secrets=1 is answered; without one it is 403', async () => {
    const url = '/v1/snapshot?secrets=1';
    expect((await ask(config, { url, headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
    await running!.app.close();
    running = null;
    expect((await ask({}, { url })).status).toBe(403);
  });
});

describe('a panic that a client asked for', () => {
  const WARN: InjectOptions[] = [
    { method: 'POST', url: '/v1/set-parameters', payload: { panicOnWarn: true } },
    { method: 'POST', url: '/v1/devices', payload: { driver: { type: 'synthetic', onDmaUnmap: 'ignore' } } },
  ];
  const warn: InjectOptions = {
    method: 'POST',
    url: '/v1/devices/d0/unpin-pages',
    payload: { iova: 0, npage: 1 },
  };

  test('ends the rig, and nothing else', async () => {
    for (const options of WARN) await ask({}, options);
    const { status, body } = await ask({}, warn);
    expect([status, body.type]).toEqual([503, 'urn:vfio-host:problem:abandoned']);
    expect(body.detail).toContain('Kernel panic - not syncing: panic_on_warn set');
    expect((await ask({}, { method: 'POST', url: '/v1/containers', payload: {} })).status).toBe(503);
    expect((await ask({}, { url: '/v1' })).body.panic).toContain('panic_on_warn set');
    expect(running!.panics).toEqual([]);
    const other = {
      method: 'POST' as const,
      url: '/v1/containers',
      payload: {},
      headers: { 'x-rig': 'other' },
    };
    expect((await ask({}, other)).status).toBe(201);
    await ask({}, reset({}));
    expect((await ask({}, { method: 'POST', url: '/v1/containers', payload: {} })).status).toBe(201);
  });

  test('ends the process where the operator allowed it', async () => {
    for (const options of WARN) await ask({ allowPanic: true }, options);
    await ask({}, warn);
    expect(running!.panics[0]).toBe('panic_on_warn set');
  });
});

test('Last-Event-ID that is no seq is 400', async () => {
  const headers = { 'last-event-id': '0.5', accept: 'text/event-stream' };
  expect((await ask({}, { url: '/v1/events', headers })).status).toBe(400);
});

test('HEAD of the journal is 405, and leaves no listener', async () => {
  const headers = { accept: 'text/event-stream' };
  expect((await ask({}, { method: 'HEAD', url: '/v1/events', headers })).status).toBe(405);
  expect(running!.service.rigs.use('default').host.journal.readers).toBe(0);
});

test('a service full of rigs still has its default one', async () => {
  const make = (rig: string): InjectOptions => ({
    method: 'POST',
    url: '/v1/containers',
    payload: {},
    headers: { 'x-rig': rig },
  });
  const config = { maxRigs: 2 };
  expect([(await ask(config, make('a'))).status, (await ask(config, make('b'))).status]).toEqual([201, 201]);
  expect((await ask(config, make('c'))).status).toBe(429);
  expect((await ask(config, { method: 'POST', url: '/v1/containers', payload: {} })).status).toBe(201);
});
