import type { AddressInfo } from 'node:net';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { type DestinationStream, pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { buildApp } from '../../src/app.ts';
import { VfioHostClient } from '../../src/client/index.ts';
import type { ClientOptions } from '../../src/client/transport.ts';
import { type Config, DEFAULT_CONFIG } from '../../src/config.ts';
import { Service } from '../../src/service.ts';
import { type Exchange, requestOf } from './http-replay.ts';
import { TestRig } from './test-rig.ts';

/** A log line as written. */
export type LogLine = Record<string, unknown> & { level: number; msg: string };

/** An HTTP answer; `body` is empty where there was none. */
export interface Answer {
  status: number;
  type: string;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  body: Record<string, any>;
}

type Body = Answer['body'];
type Headers = Record<string, string>;

export const ASYNC = { prefer: 'respond-async' };

/** A service with requests as a client makes them: injected, or over a socket once it listens. */
export class HttpRig extends TestRig<Promise<Answer>, Promise<Body>> {
  app!: FastifyInstance;
  service!: Service;
  /** Everything it logged. */
  lines: LogLine[] = [];
  /** Why it would have ended itself. */
  panics: string[] = [];
  private always: Headers = {};
  private clients: VfioHostClient[] = [];

  /**
   * Builds the service, in place of one that was there; `config` overrides the defaults.
   * `onPanic` looks at it when it would end itself.
   */
  async start(config: Partial<Config> = {}, onPanic = () => {}): Promise<this> {
    await this.close();
    const full: Config = { ...DEFAULT_CONFIG, ...config };
    const lines: LogLine[] = [];
    const panics: string[] = [];
    const stream: DestinationStream = { write: (line) => void lines.push(JSON.parse(line) as LogLine) };
    const log = pino({ level: full.logLevel }, stream);
    const panic = (reason: string) => {
      panics.push(reason);
      onPanic();
    };
    Object.assign(this, { lines, panics });
    this.service = new Service(full, { log, panic });
    this.app = await buildApp(this.service, log);
    this.always = full.authToken === '' ? {} : { authorization: `Bearer ${full.authToken}` };
    return this;
  }

  /** Listens on a port of its own; a client of it. */
  async listen(): Promise<VfioHostClient> {
    await this.app.listen({ host: '127.0.0.1', port: 0 });
    return this.connect();
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** One more client of a service that listens; closed with it. */
  connect(options: Partial<ClientOptions> = {}): VfioHostClient {
    const client = new VfioHostClient({ url: this.url, ...options });
    this.clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.splice(0).map((client) => client.close()));
    await this.app?.close();
  }

  /** An injected request; with the service's token, if it wants one. */
  async request(method: string, url: string, payload?: unknown, headers: Headers = {}): Promise<Answer> {
    const options: InjectOptions = { method: method as 'GET', url, headers: { ...this.always, ...headers } };
    if (payload !== undefined) options.payload = payload as object;
    const response = await this.app.inject(options);
    return {
      status: response.statusCode,
      type: String(response.headers['content-type'] ?? ''),
      headers: response.headers,
      body: response.body === '' ? {} : response.json(),
    };
  }

  /** The same for whoever replays. */
  get http(): Exchange {
    return (...request) => this.request(...request);
  }

  /** The same service, in another of its rigs. */
  inRig(name: string): HttpRig {
    return Object.assign(Object.create(this), { always: { ...this.always, 'x-rig': name } });
  }

  post(path: string, body: unknown = {}, headers: Headers = {}): Promise<Answer> {
    return this.request('POST', `/v1/${path}`, body, headers);
  }

  get(path: string): Promise<Answer> {
    return this.request('GET', `/v1/${path}`);
  }

  del(path: string, headers: Headers = {}): Promise<Answer> {
    return this.request('DELETE', `/v1/${path}`, undefined, headers);
  }

  ask(call: CallObject): Promise<Answer> {
    const { method, url, body } = requestOf(call);
    return this.request(method, url, body);
  }

  async inTurn(calls: readonly CallObject[]): Promise<Body> {
    let last: Body = {};
    for (const call of calls) last = await ok(this.ask(call));
    return last;
  }

  override unmap(iova: number | string, size: number | string, headers: Headers = {}): Promise<Answer> {
    return this.post('containers/c0/unmap-dma', { iova, size }, headers);
  }

  /** Runs c0 into the BUG_ON: a mapping at 0x10000 with a pin that d0 never gives back. */
  async bug(): Promise<Answer> {
    await this.map('0x10000', '0x1000');
    await this.pin('0x10000');
    return this.unmap('0x10000', '0x1000');
  }

  /** Everything the service shows of its resources, for comparison. */
  async state(): Promise<unknown> {
    const at = await this.request('GET', '/v1');
    const { seq: _, ...host } = at.body;
    const containers = (await this.get('containers?limit=1000')).body.containers as { container: string }[];
    const inside = [];
    for (const { container } of containers) {
      inside.push((await this.get(`containers/${container}/mappings?limit=1000`)).body);
      inside.push((await this.get(`containers/${container}/pins?limit=1000`)).body);
    }
    return {
      host,
      containers,
      inside,
      devices: (await this.get('devices?limit=1000')).body,
      processes: (await this.get('processes?limit=1000')).body,
    };
  }
}

/** Builds a service beside the file's own; close it when done. */
export function startRig(config: Partial<Config> = {}): Promise<HttpRig> {
  return new HttpRig().start(config);
}

/** A service for the tests of a file (or of a `describe`): a new one for each test. */
export function useRig(config: Partial<Config> = {}): HttpRig {
  const rig = new HttpRig();
  beforeEach(() => rig.start(config).then(() => {}));
  afterEach(() => rig.close());
  return rig;
}

/** The same service for all of them. */
export function useOneRig(config: Partial<Config> = {}): HttpRig {
  const rig = new HttpRig();
  beforeAll(() => rig.start(config).then(() => {}));
  afterAll(() => rig.close());
  return rig;
}

/** Makes a request that must succeed, and returns its body. */
export async function ok(answer: Promise<Answer>): Promise<Body> {
  const { status, body } = await answer;
  expect(body, `status ${status}`).not.toHaveProperty('title');
  expect(status).toBeLessThan(300);
  return body;
}
