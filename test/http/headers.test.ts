import Fastify, { type RouteOptions } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HEADERS } from '../../schemas/headers.ts';
import { addRoutes } from '../../src/app.ts';
import { type HttpRig, startRig } from '../harness/http-rig.ts';

let rig: HttpRig;
beforeEach(async () => {
  rig = await startRig({ logLevel: 'silent' });
});
afterEach(() => rig.app.close());

/** A value that breaks the rule of each header, and where it is read. */
const WRONG: Readonly<Record<string, [value: string, method: string, url: string]>> = {
  'x-rig': ['a b', 'GET', '/v1'],
  'last-event-id': ['0.5', 'GET', '/v1/events'],
  host: ['a b', 'GET', '/health'],
  origin: [`http://${'x'.repeat(2048)}`, 'POST', '/v1/reset'],
  'sec-fetch-site': ['CROSS SITE', 'POST', '/v1/reset'],
  accept: ['x'.repeat(4097), 'GET', '/v1/events'],
  prefer: ['x'.repeat(4097), 'POST', '/v1/sleep'],
  'if-none-match': ['x'.repeat(4097), 'GET', '/'],
  'content-type': ['x'.repeat(257), 'POST', '/v1/containers'],
  'content-encoding': ['x'.repeat(257), 'POST', '/v1/containers'],
  expect: ['x'.repeat(257), 'GET', '/v1'],
  'content-length': ['1e3', 'GET', '/v1'],
  'transfer-encoding': ['x'.repeat(257), 'GET', '/v1'],
};

/** Headers that are passed over, or answered otherwise, where they break their rule. */
const PASSED_OVER = ['x-request-id', 'authorization'];

test('the tables have every header that is read', () => {
  expect([...Object.keys(WRONG), ...PASSED_OVER].sort()).toEqual(Object.keys(HEADERS).sort());
});

test.each(Object.entries(WRONG))(
  '%s that breaks its rule is 400 in words',
  async (name, [value, method, url]) => {
    const headers = { [name]: value };
    if (name === 'prefer') {
      // Only where a call waits.
      const setup = [
        { call: 'create-device', device: 'd0', driver: { type: 'manual', openDevice: true } },
        { call: 'open-container', container: 'c0' },
      ];
      for (const { call, ...body } of setup) {
        await rig.http('POST', call === 'create-device' ? '/v1/devices' : '/v1/containers', body);
      }
      url = '/v1/containers/c0/attach';
    }
    const payload = name === 'prefer' ? { device: 'd0' } : undefined;
    const answer = await rig.app.inject({
      method: method as 'GET',
      url,
      headers,
      ...(payload && { payload }),
    });
    expect([answer.statusCode, answer.json().type]).toEqual([400, 'urn:vfio-host:problem:invalid-request']);
    expect(answer.json().detail).toContain(`${name} is `);
    expect(answer.body.length).toBeLessThan(600);
  },
);

test.each(['', 'a b', 'x'.repeat(129), 'é'])('x-request-id %j is no id: the request gets one', async (id) => {
  const { headers } = await rig.app.inject({ url: '/v1', headers: { 'x-request-id': id } });
  expect(headers['x-request-id']).toMatch(/^req-\d+$/);
});

test('every route has a rule for each part of its path, and for its query', () => {
  const routes: RouteOptions[] = [];
  const app = Fastify();
  app.addHook('onRoute', (route) => void routes.push(route));
  addRoutes(app as never, rig.service);
  expect(routes.length).toBeGreaterThan(50);
  for (const { url, schema } of routes) {
    const named = [...url.matchAll(/:(\w+)/g)].map(([, name]) => name!);
    const { properties = {} } = (schema?.params ?? {}) as { properties?: object };
    expect(Object.keys(properties).sort(), url).toEqual(named.sort());
    const query = schema?.querystring as { additionalProperties?: boolean } | undefined;
    if (query) expect(query.additionalProperties, url).toBe(false);
  }
});
