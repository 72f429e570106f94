import type { FastifyInstance, InjectOptions } from 'fastify';
import { expect } from 'vitest';
import type { Config } from '../../src/config.ts';
import { startService, type TestService } from './service.ts';

/** An HTTP answer; `body` is empty where there was none. */
export interface Answer {
  status: number;
  type: string;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  body: Record<string, any>;
}

/** A service with requests as a client makes them; paths are below `/v1/`. */
export interface Rig extends TestService {
  request(method: string, url: string, payload?: unknown, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Answer>;
  del(path: string, headers?: Record<string, string>): Promise<Answer>;
}

export const ASYNC = { prefer: 'respond-async' };
export const PROBLEM = 'application/problem+json; charset=utf-8';

/** Builds a service; close its `app` when done. */
export async function startRig(config: Partial<Config> = {}): Promise<Rig> {
  const started = await startService(config);
  const { authToken } = started.service.config;
  return {
    ...started,
    ...requests(started.app, authToken === '' ? {} : { authorization: `Bearer ${authToken}` }),
  };
}

function requests(
  app: FastifyInstance,
  always: Record<string, string>,
): Pick<Rig, 'request' | 'post' | 'get' | 'del'> {
  const request: Rig['request'] = async (method, url, payload, headers = {}) => {
    const options: InjectOptions = { method: method as 'GET', url, headers: { ...always, ...headers } };
    if (payload !== undefined) options.payload = payload as object;
    const response = await app.inject(options);
    return {
      status: response.statusCode,
      type: String(response.headers['content-type'] ?? ''),
      headers: response.headers,
      body: response.body === '' ? {} : response.json(),
    };
  };
  return {
    request,
    post: (path, body = {}, headers = {}) => request('POST', `/v1/${path}`, body, headers),
    get: (path) => request('GET', `/v1/${path}`),
    del: (path, headers = {}) => request('DELETE', `/v1/${path}`, undefined, headers),
  };
}

/** Makes a request that must succeed, and returns its body. */
export async function ok(answer: Promise<Answer>): Promise<Answer['body']> {
  const { status, body } = await answer;
  expect(body, `status ${status}`).not.toHaveProperty('title');
  expect(status).toBeLessThan(300);
  return body;
}

/** A synthetic driver that answers callbacks so. */
export function synthetic(onDmaUnmap: string, more: object = {}): object {
  return { type: 'synthetic', onDmaUnmap, ...more };
}

/** An mdev with its group open, in a container; `type` sets the container's IOMMU. The device stays closed. */
export async function mdevIn(
  rig: Rig,
  container: string,
  device: string,
  driver: object,
  type?: string,
): Promise<void> {
  await ok(rig.post('devices', { device, driver }));
  await ok(rig.post(`devices/${device}/open-group`));
  await ok(rig.post(`devices/${device}/set-container`, { container }));
  if (type !== undefined) await ok(rig.post(`containers/${container}/set-iommu`, { type }));
}

/** Container c0 (type1v2) with the open mdev d0, driven as said. */
export async function containerWith(rig: Rig, driver: object, type = 'type1v2'): Promise<void> {
  await ok(rig.post('containers', { container: 'c0' }));
  await mdevIn(rig, 'c0', 'd0', driver, type);
  await ok(rig.post('devices/d0/open-device'));
}

/** Maps [iova, iova+size) read-write. */
export function map(rig: Rig, iova: string, size: string, container = 'c0'): Promise<Answer> {
  return rig.post(`containers/${container}/map-dma`, { iova, vaddr: iova, size, flags: ['read', 'write'] });
}

/** Pins one page for a device. */
export function pin(rig: Rig, iova: string, device = 'd0'): Promise<Answer> {
  return rig.post(`devices/${device}/pin-pages`, { iova, npage: 1, prot: ['read', 'write'] });
}

/** Unmaps [iova, iova+size). */
export function unmap(
  rig: Rig,
  iova: string,
  size: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return rig.post('containers/c0/unmap-dma', { iova, size }, headers);
}

/** Runs c0 into the BUG_ON: a mapping at 0x10000 with a pin that d0 never gives back. */
export async function hitBug(rig: Rig): Promise<Answer> {
  await ok(map(rig, '0x10000', '0x1000'));
  await ok(pin(rig, '0x10000'));
  return unmap(rig, '0x10000', '0x1000');
}

/** Everything the service shows of its resources, for comparison. */
export async function stateOf(rig: Rig): Promise<unknown> {
  const at = await rig.request('GET', '/v1');
  const { seq: _, ...host } = at.body;
  const containers = (await rig.get('containers?limit=1000')).body.containers as { container: string }[];
  const inside = [];
  for (const { container } of containers) {
    inside.push((await rig.get(`containers/${container}/mappings?limit=1000`)).body);
    inside.push((await rig.get(`containers/${container}/pins?limit=1000`)).body);
  }
  return {
    host,
    containers,
    inside,
    devices: (await rig.get('devices?limit=1000')).body,
    processes: (await rig.get('processes?limit=1000')).body,
  };
}

/** What a problem must be. */
export interface Expected {
  status: number;
  /** Absent: no errno may be there. */
  errno?: string;
  errnoNumber?: number;
  /** Ends `type`. */
  slug?: string;
  /** What `detail` must name: the value and the rule. */
  detail?: readonly (string | RegExp)[];
}

/** Holds an answer against what the contract says of every problem. */
export function expectProblem(answer: Answer, expected: Expected): void {
  const { body } = answer;
  expect(answer.status, JSON.stringify(body)).toBe(expected.status);
  expect(answer.type).toBe(PROBLEM);
  expect(body.status).toBe(expected.status);
  expect(body.type).toMatch(/^urn:/);
  if (expected.slug !== undefined) expect(body.type).toMatch(new RegExp(`:${expected.slug}$`));
  expect(body.title).toMatch(/\S/);
  expect(body.detail).toMatch(/\S/);
  expect(body.instance).toMatch(/\S/);
  const answeredId = answer.headers['x-request-id'];
  if (answeredId !== undefined) expect(body.instance).toBe(answeredId);
  expect(body.errno).toBe(expected.errno);
  if (expected.errno === undefined) expect(body).not.toHaveProperty('errnoNumber');
  else expect(body.errnoNumber).toEqual(expected.errnoNumber ?? expect.any(Number));
  for (const part of expected.detail ?? []) {
    if (typeof part === 'string') expect(body.detail).toContain(part);
    else expect(body.detail).toMatch(part);
  }
}
