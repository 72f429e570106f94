import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `usage: npm run soak -- [--minutes MINUTES] [--clients COUNT]

Calls at full rate with churn (rigs, containers, devices, pins, streams come and go) on a service that it starts itself, and
prints how its memory and its event loop did: after a fifth of the time they should stay as they are.
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '4' },
    help: { type: 'boolean' },
  },
});

/** Between two looks at memory, milliseconds. */
const LOOK_MS = 5000;
/** The part of the time that does not count. */
const WARM = 0.2;
/** Calls that one rig lives. */
const LIFE = 2000;
/** Calls of one batch. */
const BATCH = 20;
const MIB = 1024 * 1024;

interface Sample {
  rss: number;
  heapUsed: number;
  longestMs: number;
  p50Ms: number;
  p99Ms: number;
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** A client that churns through rigs. */
class Client {
  calls = 0;
  readonly statuses: Record<number, number> = {};
  private readonly agent = new Agent({ keepAlive: true });

  constructor(
    private readonly port: number,
    private readonly rig: string,
  ) {}

  async run(until: number): Promise<void> {
    while (Date.now() < until) await this.life(until);
    this.agent.destroy();
  }

  /** One rig from its first call to its end. */
  private async life(until: number): Promise<void> {
    await this.batch(setup());
    const stream = this.send('GET', '/v1/events', undefined, { accept: 'application/x-ndjson' });
    for (let at = 0; at < LIFE && Date.now() < until; at += BATCH + 4) {
      await this.batch(round(at));
      const iova = (at % 16) * 0x1000;
      await this.send('POST', '/v1/devices/d0/pin-pages', { iova, npage: 1, prot: 3 });
      await this.send('GET', '/v1/containers/c0/pins?limit=10');
      await this.send('POST', '/v1/devices/d0/unpin-pages', { iova, npage: 1 });
      await this.send('POST', '/v1/containers/c0/check-extension', { extension: 1 });
    }
    await this.send('GET', '/v1/snapshot');
    await this.send('DELETE', `/v1/rigs/${this.rig}`);
    await stream;
  }

  private async batch(calls: readonly object[]): Promise<void> {
    this.calls += calls.length - 1;
    const body = calls.map((call) => `${JSON.stringify(call)}\n`).join('');
    await this.send('POST', '/v1/batch', body, { 'content-type': 'application/x-ndjson' });
  }

  private send(
    method: string,
    path: string,
    body?: unknown,
    more: Record<string, string> = {},
  ): Promise<void> {
    this.calls++;
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const headers = {
      'x-rig': this.rig,
      ...(text === '' ? {} : { 'content-type': 'application/json' }),
      ...more,
    };
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port: this.port, method, path, headers, agent: this.agent },
        (response) => {
          const status = response.statusCode!;
          this.statuses[status] = (this.statuses[status] ?? 0) + 1;
          response.resume();
          response.on('close', resolve);
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  }
}

/** A container with two devices and sixteen mapped pages. */
function setup(): object[] {
  return [
    { call: 'open-container', container: 'c0' },
    ...['d0', 'd1'].flatMap((device) => [
      { call: 'create-device', device, driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
      { call: 'attach', container: 'c0', device },
    ]),
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x10000, flags: 3 },
  ];
}

/** Calls that leave everything as it was: a mapping, its pins, its unmap with callbacks, a device that comes and goes. */
function round(at: number): object[] {
  const iova = 0x100000 + (at % 64) * 0x10000;
  const range = { container: 'c0', iova, size: 0x10000 };
  const calls: object[] = [{ call: 'map-dma', ...range, vaddr: iova, flags: 3 }];
  for (let i = 0; i < BATCH - 8; i++) {
    calls.push({
      call: 'pin-pages',
      device: i % 2 === 0 ? 'd0' : 'd1',
      iova: iova + (i % 16) * 0x1000,
      npage: 1,
      prot: 3,
    });
  }
  calls.push({ call: 'unmap-dma', ...range });
  calls.push({ call: 'create-device', device: 'x', driver: { type: 'gvt-g' } });
  calls.push({ call: 'open-container', container: 'cx' });
  calls.push({ call: 'attach', container: 'cx', device: 'x' });
  calls.push({ call: 'detach', container: 'cx', device: 'x' });
  calls.push({ call: 'close-container', container: 'cx' });
  calls.push({ call: 'remove-device', device: 'x' });
  return calls;
}

/** Growth a second of what was looked at, by least squares. */
function slope(points: readonly (readonly [seconds: number, bytes: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([s]) => s), mean(([, b]) => b)];
  const above = points.reduce((sum, [s, b]) => sum + (s - x) * (b - y), 0);
  return above / points.reduce((sum, [s]) => sum + (s - x) ** 2, 0);
}

async function main(): Promise<void> {
  const args = ['--expose-gc', '--import', file('./sampler.js'), file('../../src/main.js'), '--port', '0'];
  const service = spawn(process.execPath, args, { env: {}, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const port = await new Promise<number>((resolve) => {
    createInterface({ input: service.stdout! }).on('line', (line) => {
      const said = JSON.parse(line) as { port?: number };
      if (said.port !== undefined) resolve(said.port);
    });
  });
  const began = Date.now();
  const ms = Number(values.minutes) * 60_000;
  const clients = Array.from({ length: Number(values.clients) }, (_, i) => new Client(port, `soak${i}`));
  const points: [number, number, number][] = [];
  let last: Sample | null = null;
  service.on('message', (message: Partial<Sample>) => {
    if (message.rss === undefined) return;
    last = message as Sample;
    points.push([(Date.now() - began) / 1000, last.rss, last.heapUsed]);
  });
  const looks = setInterval(() => service.send({ forget: false }), LOOK_MS);
  const forgets = setTimeout(() => service.send({ forget: true }), ms * WARM);
  try {
    const ended = once(service, 'exit').then(() => Promise.reject(new Error('the service ended')));
    ended.catch(() => {});
    await Promise.race([Promise.all(clients.map((client) => client.run(began + ms))), ended]);
  } finally {
    clearInterval(looks);
    clearTimeout(forgets);
    service.kill('SIGKILL');
  }
  report(points, last!, clients, (Date.now() - began) / 1000);
}

function report(
  points: readonly [number, number, number][],
  last: Sample,
  clients: readonly Client[],
  seconds: number,
): void {
  const late = points.filter(([at]) => at >= seconds * WARM);
  const calls = clients.reduce((sum, client) => sum + client.calls, 0);
  const statuses: Record<string, number> = {};
  for (const client of clients) {
    for (const [status, count] of Object.entries(client.statuses))
      statuses[status] = (statuses[status] ?? 0) + count;
  }
  const perHour = (column: 1 | 2) =>
    ((slope(late.map((point) => [point[0], point[column]])) * 3600) / MIB).toFixed(1);
  console.log(
    `${calls} calls in ${seconds.toFixed(0)} s (${(calls / seconds).toFixed(0)} a second), answers ${JSON.stringify(statuses)}`,
  );
  console.log(
    `RSS ${(last.rss / MIB).toFixed(0)} MiB, slope ${perHour(1)} MiB an hour; heap ${(last.heapUsed / MIB).toFixed(0)} MiB, slope ${perHour(2)} MiB an hour`,
  );
  console.log(
    `event loop: p50 ${last.p50Ms} ms, p99 ${last.p99Ms} ms late; longest turn ${last.longestMs} ms of work`,
  );
}

if (values.help) console.log(HELP);
else {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
