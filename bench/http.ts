import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { type TSchema, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { CALLS } from '../schemas/calls.ts';
import { Id } from '../schemas/values.ts';
import { buildApp } from '../src/app.ts';
import { DEFAULT_CONFIG } from '../src/config.ts';
import { Service } from '../src/service.ts';
import { median, number, printTable } from './support/figures.ts';

/**
 * Requests a second of map-dma + unmap-dma pairs, against a bare Fastify route with the same body validation and
 * the same answers. Each server is a process of its own; they take turns, so that both meet the same machine.
 */

/** Keep-alive connections, each with one request under way. */
const CONNECTIONS = 32;
const WARM_UP_MS = 2_000;
const ROUND_MS = 500;
const ROUNDS = 21;
/** The service's requests a second as a share of the bare route's. */
const GOAL = 0.9;
/** Below this share of its time a server was not what limited the figure. */
const BUSY = 0.9;

type ServerName = 'service' | 'bare';

const mapUrl = (container: string) => `/v1/containers/${container}/map-dma`;
const unmapUrl = (container: string) => `/v1/containers/${container}/unmap-dma`;
const PAGE = 4096;

// The servers.

/** The service with an attached device, as `npm start` configures it. */
async function serviceApp(): Promise<FastifyInstance> {
  const log = pino({ level: DEFAULT_CONFIG.logLevel });
  const app = await buildApp(new Service(DEFAULT_CONFIG, { log, panic: () => process.exit(70) }), log);
  const post = async (url: string, payload: object) => {
    const { statusCode, body } = await app.inject({ method: 'POST', url, payload });
    if (statusCode >= 300) throw new Error(`POST ${url}: ${statusCode} ${body}`);
  };
  await post('/v1/containers', { container: 'c0' });
  await post('/v1/devices', { device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } });
  await post('/v1/containers/c0/attach', { device: 'd0' });
  return app;
}

/** The same two routes, validated by the same schemas through the same compiler, that do nothing. */
async function bareApp(): Promise<FastifyInstance> {
  const app = Fastify();
  app.setValidatorCompiler<TSchema>(({ schema }) => {
    const compiled = TypeCompiler.Compile(schema);
    return (value: unknown) => (compiled.Check(value) ? { value } : { error: new Error('not valid') });
  });
  const params = Type.Object({ container: Id });
  app.post<{ Body: { iova: string; size: string } }>(
    mapUrl(':container'),
    { schema: { params, body: CALLS['map-dma'].args } },
    ({ body }, reply) => reply.send({ iova: body.iova, size: body.size }),
  );
  app.post<{ Body: { size: string } }>(
    unmapUrl(':container'),
    { schema: { params, body: CALLS['unmap-dma'].args } },
    ({ body }, reply) => reply.send({ size: body.size, invalidations: [] }),
  );
  await app.ready();
  return app;
}

/** Listens, says where, and tells its use of the processor whenever it is asked. */
async function serve(name: ServerName): Promise<void> {
  const app = await (name === 'service' ? serviceApp() : bareApp());
  await app.listen({ port: 0, host: '127.0.0.1' });
  let cpu = process.cpuUsage();
  let loop = performance.eventLoopUtilization();
  process.on('message', () => {
    const { user, system } = process.cpuUsage(cpu);
    const { utilization } = performance.eventLoopUtilization(loop);
    process.send!({ cpuUs: user + system, busy: utilization } satisfies Use);
    cpu = process.cpuUsage();
    loop = performance.eventLoopUtilization();
  });
  process.on('disconnect', () => process.exit(0));
  process.send!((app.server.address() as AddressInfo).port);
}

/** What a server used since it was asked before. */
interface Use {
  /** Microseconds of processor time. */
  cpuUs: number;
  /** Share of the time in which its event loop was busy. */
  busy: number;
}

// The client.

/** What one round measured. */
interface Round {
  requestsPerSecond: number;
  cpuUsPerRequest: number;
  busy: number;
}

/** Head of an HTTP answer up to its body: its status and the body's length. */
const HEAD = /^HTTP\/1\.1 (\d+) [\s\S]*?\r\ncontent-length: (\d+)\r\n[\s\S]*?\r\n\r\n/i;

/**
 * One keep-alive connection with one request under way. A client of its own, because it shares the processor
 * with the server that it measures: it does no more than to write bytes and to compare bytes.
 */
class Connection {
  private received = '';
  private expected = '';
  private done: () => void = () => {};
  private failed: (error: Error) => void = () => {};

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => this.onData(text));
    socket.on('error', (error) => this.failed(error));
    socket.on('close', () => this.failed(new Error('the server closed a connection')));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Connection(socket);
  }

  /** Makes a request; anything but a 200 with this body fails. */
  exchange(request: string, body: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.received = '';
      this.expected = body;
      this.done = resolve;
      this.failed = reject;
      this.socket.write(request, 'latin1');
    });
  }

  private onData(text: string): void {
    this.received += text;
    const head = HEAD.exec(this.received);
    if (!head) return;
    const [{ length }, status, bodyLength] = head;
    if (this.received.length < length + Number(bodyLength)) return;
    const body = this.received.slice(length);
    if (status === '200' && body === this.expected) this.done();
    else this.failed(new Error(`${status} ${body}, not ${this.expected}`));
  }

  close(): void {
    this.failed = () => {};
    this.socket.destroy();
  }
}

/** The bytes of a POST. */
function postOf(path: string, body: object): string {
  const text = JSON.stringify(body);
  return (
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
    `content-length: ${text.length}\r\n\r\n${text}`
  );
}

/** A server process and the connections to it. */
class Target {
  private constructor(
    private readonly child: ChildProcess,
    private readonly connections: readonly Connection[],
  ) {}

  static async start(name: ServerName): Promise<Target> {
    const child = fork(fileURLToPath(import.meta.url), [name], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [port] = (await once(child, 'message')) as [number];
    const opened = Array.from({ length: CONNECTIONS }, () => Connection.open(port));
    return new Target(child, await Promise.all(opened));
  }

  /** Pairs on every connection for so long. */
  async run(ms: number): Promise<Round> {
    await this.use();
    const start = performance.now();
    const end = start + ms;
    const pairs = await Promise.all(this.connections.map((connection, i) => mapAndUnmap(connection, i, end)));
    const seconds = (performance.now() - start) / 1000;
    const requests = 2 * pairs.reduce((sum, count) => sum + count, 0);
    const { cpuUs, busy } = await this.use();
    return { requestsPerSecond: requests / seconds, cpuUsPerRequest: cpuUs / requests, busy };
  }

  private async use(): Promise<Use> {
    const answer = once(this.child, 'message') as Promise<[Use]>;
    this.child.send('use');
    return (await answer)[0];
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.close();
    this.child.disconnect();
    await once(this.child, 'exit');
  }
}

/** Maps and unmaps a page of its own until it is time; how often. */
async function mapAndUnmap(connection: Connection, index: number, end: number): Promise<number> {
  const iova = `0x${(index * PAGE).toString(16)}`;
  const size = `0x${PAGE.toString(16)}`;
  const map = postOf(mapUrl('c0'), { iova, vaddr: iova, size, flags: ['read', 'write'] });
  const mapped = JSON.stringify({ iova, size });
  const unmap = postOf(unmapUrl('c0'), { iova, size });
  const unmapped = JSON.stringify({ size, invalidations: [] });
  let count = 0;
  for (; performance.now() < end; count++) {
    await connection.exchange(map, mapped);
    await connection.exchange(unmap, unmapped);
  }
  return count;
}

async function main(): Promise<void> {
  console.log(
    'map-dma + unmap-dma over HTTP, against a bare Fastify route with the same validation and answers',
  );
  console.log(`${CONNECTIONS} keep-alive connections on loopback, ${ROUNDS} rounds of ${ROUND_MS} ms each\n`);
  const targets = { service: await Target.start('service'), bare: await Target.start('bare') };
  const names: ServerName[] = ['service', 'bare'];
  for (const name of names) await targets[name].run(WARM_UP_MS);
  const rounds: Record<ServerName, Round[]> = { service: [], bare: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) rounds[name].push(await targets[name].run(ROUND_MS));
  }
  for (const name of names) await targets[name].stop();
  report(rounds);
}

function report(rounds: Record<ServerName, Round[]>): void {
  const middle = (name: ServerName, field: keyof Round) => median(rounds[name].map((round) => round[field]));
  const row = (name: ServerName) => [
    name,
    number(middle(name, 'requestsPerSecond')),
    number(middle(name, 'cpuUsPerRequest'), 1),
    `${number(100 * middle(name, 'busy'))} %`,
  ];
  printTable([['', 'requests/s', 'CPU us/request', 'busy'], row('bare'), row('service')]);
  const ratios = rounds.service.map(
    (round, i) => round.requestsPerSecond / rounds.bare[i]!.requestsPerSecond,
  );
  const ratio = median(ratios);
  const range = `${number(Math.min(...ratios), 2)} to ${number(Math.max(...ratios), 2)}`;
  const verdict = ratio >= GOAL ? 'met' : 'missed';
  console.log(`service/bare: ${number(ratio, 2)} (median; ${range}); goal ${GOAL}: ${verdict}`);
  if (middle('bare', 'busy') < BUSY) {
    console.log(
      'The bare server was not busy all the time: the client limits it, and the ratio is too good.',
    );
  }
}

const [role] = process.argv.slice(2);
if (role === 'service' || role === 'bare') await serve(role);
else await main();
