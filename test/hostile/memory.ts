import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * Whether the service stays below 256 MB, with the limits that the image sets in a container of that size, whatever is
 * asked of it: `npm run memory -- [PATTERN]`. Prints the peak of its resident set during each attack; ends with 1 where one
 * is above. `--cgroup DIR` puts it into a cgroup that is there, with a limit of its own: then it is to stay alive.
 */

const MIB = 2 ** 20;
const LIMIT_MIB = 256;
const NDJSON = 'application/x-ndjson';
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

const {
  values: { cgroup },
  positionals: [pattern = ''],
} = parseArgs({ options: { cgroup: { type: 'string' } }, allowPositionals: true });

/** What the image's entry point sets where memory is small. */
function smallContainer(): Record<string, string> {
  const script = readFileSync('docker/entrypoint.sh', 'utf8');
  return Object.fromEntries(
    [...script.matchAll(/([A-Z_]+)="\$\{\1:-([^}]*)\}"/g)].map(([, name, value]) => [name!, value!]),
  );
}

class Small {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(): Promise<Small> {
    const env = { ...process.env, ...smallContainer() };
    // It joins before it takes any memory.
    const join = cgroup === undefined ? '' : `echo $$ > '${cgroup}/cgroup.procs' && `;
    const child = spawn('sh', ['-c', `${join}exec "$0" "$@"`, process.execPath, MAIN, '--port', '0'], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const text of child.stdout!.setEncoding('utf8')) {
      const port = /"port":([1-9]\d*)/.exec(String(text))?.[1];
      if (port === undefined) continue;
      child.stdout!.resume();
      return new Small(child, Number(port));
    }
    throw new Error('the service does not listen');
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The peak of the resident set since it was asked before, MiB. */
  peak(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    writeFileSync(`/proc/${this.child.pid}/clear_refs`, '5');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024;
  }

  /** Makes a request; its status. The answer is read and thrown away. */
  async ask(method: string, path: string, body?: object | string, headers: object = {}): Promise<number> {
    const { status } = await this.read(method, path, body, headers);
    return status;
  }

  async read(method: string, path: string, body?: object | string, headers: object = {}) {
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
        method,
        headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        body: text ?? null,
      });
      return { status: response.status, text: await response.text() };
    } catch {
      // Refused while it was sent.
      return { status: 0, text: '' };
    }
  }

  batch(lines: readonly string[], rig = 'default') {
    return this.read('POST', '/v1/batch', `${lines.join('\n')}\n`, { 'content-type': NDJSON, 'x-rig': rig });
  }

  /** A connection on which a request is sent, so often, and nothing read. */
  async unread(text: string, times = 1): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.pause();
    socket.write(text.repeat(times));
    return socket;
  }

  async stop(): Promise<void> {
    if (!this.isAlive) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}

const hex = (value: number) => `0x${value.toString(16)}`;
const line = (call: string, more: object) => JSON.stringify({ call, ...more });
const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${more}\r\n`;
const DATA = 'A'.repeat(2_600_000 - (2_600_000 % 4));
const write = (rig: string) => (service: Small) =>
  service.ask('POST', '/v1/processes/p0/write-memory', { vaddr: '0x0', data: DATA }, { 'x-rig': rig });

/** Statuses and how often each came. */
async function counted(asked: Iterable<Promise<number>>): Promise<string> {
  const counts = new Map<number, number>();
  for (const status of await Promise.all(asked)) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} of ${status || 'no answer'}`).join(', ');
}

const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

const full = (mappings: number) => [
  line('open-container', { container: 'c0' }),
  line('create-device', { device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } }),
  line('attach', { container: 'c0', device: 'd0' }),
  ...times(mappings, (i) =>
    line('map-dma', { container: 'c0', iova: hex(i * 4096), vaddr: hex(i * 4096), size: '0x1000', flags: 3 }),
  ),
  ...times(mappings, (i) => line('pin-pages', { device: 'd0', iova: hex(i * 4096), npage: 1, prot: 3 })),
];

/** How many answers of a batch are ENOMEM. */
const withoutMemory = (text: string) => text.split('\n').filter((answer) => answer.includes('ENOMEM')).length;

const reset = (service: Small) => service.ask('POST', '/v1/reset', {});

type Attack = readonly [what: string, attack: (service: Small) => Promise<string>];

const ATTACKS: readonly Attack[] = [
  ['a service that nobody asks', async () => ''],
  [
    '400 calls that carry 2.6 MB each, in journal and trace',
    async (service) => {
      const statuses: Promise<number>[] = [];
      for (let i = 0; i < 400; i++) {
        const status = write('default')(service);
        statuses.push(status);
        await status;
      }
      return counted([
        ...statuses,
        service.ask('GET', '/v1/trace'),
        service.ask('GET', '/v1/events?limit=10000'),
      ]);
    },
  ],
  [
    'the same at once, in ten rigs',
    async (service) => counted(times(100, (i) => write(`rig${i % 10}`)(service))),
  ],
  [
    'pages of 256 processes',
    async (service) => {
      await reset(service);
      const lines = times(255, (i) => [
        line('create-process', { process: `p${i + 1}` }),
        ...times(18, (j) =>
          line('fill-memory', { process: `p${i + 1}`, vaddr: hex(j * 16 * MIB), length: 16 * MIB, byte: 7 }),
        ),
      ]).flat();
      const { text } = await service.batch(lines);
      return `${lines.length} calls, ${withoutMemory(text)} of them ENOMEM`;
    },
  ],
  [
    'dirty pages far from each other, in 32 rigs',
    async (service) => {
      const chunks = 4000;
      const lines = [
        ...full(0),
        line('map-dma', { container: 'c0', iova: 0, vaddr: 0, size: chunks * 128 * MIB, flags: 3 }),
        line('dirty-start', { container: 'c0' }),
        ...times(chunks, (i) =>
          line('pin-pages', { device: 'd0', iova: hex(i * 128 * MIB), npage: 1, prot: 3 }),
        ),
      ];
      let refused = 0;
      for (let i = 0; i < 32; i++) {
        const { text } = await service.batch(lines, `dirty${i}`);
        if (text.includes('dirty bitmaps take more')) refused++;
      }
      await Promise.all(times(32, (i) => service.ask('DELETE', `/v1/rigs/dirty${i}`)));
      return `${refused} rigs without`;
    },
  ],
  [
    '16,000 open files in 250 processes, in eight rigs, and four million pins',
    async (service) => {
      let refused = 0;
      const fill = async (rig: string, lines: string[]) => {
        const { text } = await service.batch(lines, rig);
        refused += withoutMemory(text);
      };
      for (let i = 0; i < 8; i++) {
        const opens = times(16_000, () => line('open-device', { device: 'd0' }));
        const forks = times(250, (j) => line('fork-process', { process: 'p0', child: `q${j}` }));
        await fill(`files${i}`, [...full(0), ...opens, ...forks]);
      }
      const mapped = line('map-dma', {
        container: 'c0',
        iova: 0,
        vaddr: 0,
        size: 8192 * 512 * 4096,
        flags: 3,
      });
      const pins = times(8192, (i) =>
        line('pin-pages', { device: 'd0', iova: hex(i * 512 * 4096), npage: 512, prot: 3 }),
      );
      await fill('files0', [line('exit-process', { process: 'q0' }), mapped, ...pins]);
      await Promise.all(times(8, (i) => service.ask('DELETE', `/v1/rigs/files${i}`)));
      return `${refused} calls ENOMEM`;
    },
  ],
  [
    'eight readers of events that do not read',
    async (service) => {
      await reset(service);
      const stream = get('/v1/events', 'accept: text/event-stream\r\n');
      const readers = await Promise.all(times(8, () => service.unread(stream)));
      const statuses = await counted(times(100, () => write('default')(service)));
      await service.batch(
        times(100_000, (i) => line('check-extension', { container: 'c9', extension: i % 9 })),
      );
      for (const reader of readers) reader.destroy();
      return statuses;
    },
  ],
  [
    '200 clients that ask for 16 MiB a hundred times and read nothing',
    async (service) => {
      const body = JSON.stringify({ vaddr: '0x0', length: 16 * MIB });
      const read = `POST /v1/processes/p0/read-memory HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      const sockets = await Promise.all([
        ...times(100, () => service.unread(read, 100)),
        ...times(100, () => service.unread(get('/v1/trace'), 100)),
      ]);
      await new Promise((resolve) => setTimeout(resolve, 5000));
      for (const socket of sockets) socket.destroy();
      return '';
    },
  ],
  [
    'twenty bodies of 30 MB, and twenty of 15 MB, at once',
    async (service) => {
      const body = (length: number) => JSON.stringify({ vaddr: '0x0', data: 'A'.repeat(length) });
      const send = (length: number) => () =>
        service.ask('POST', '/v1/processes/p0/write-memory', body(length));
      return counted([...times(20, send(30_000_000)), ...times(20, send(15_000_000))]);
    },
  ],
  [
    'bodies of many small values',
    async (service) =>
      counted([
        service.ask('POST', '/v1/containers', `[${'0,'.repeat(7 * MIB)}0]`),
        service.ask('POST', '/v1/replay', `{"steps":[${'{},'.repeat(4 * MIB)}{}]}`),
        service.ask('PUT', '/v1/snapshot', `{"state":{"warnedOnce":[${'"B1",'.repeat(2 * MIB)}"B1"]}}`),
        service.ask('POST', '/v1/containers', `{${times(MIB, (i) => `"f${i}":1`).join(',')}}`),
      ]),
  ],
  [
    '1,000 rigs with a container, a device and 50 mappings and pins each',
    async (service) => {
      const statuses: Promise<number>[] = [];
      for (let i = 0; i < 1000; i++) {
        const made = service.batch(full(50), `many${i}`).then(({ status }) => status);
        statuses.push(made);
        if (i % 2 === 1) await made;
      }
      const asked = await counted(statuses);
      await Promise.all(times(1000, (i) => service.ask('DELETE', `/v1/rigs/many${i}`)));
      return asked;
    },
  ],
  [
    'the largest snapshot, taken and restored four times at once',
    async (service) => {
      let taken = { status: 413, text: '' };
      for (let mappings = 65_535; taken.status === 413; mappings = Math.floor(mappings * 0.8)) {
        await reset(service);
        await service.batch(full(mappings));
        taken = await service.read('GET', '/v1/snapshot');
      }
      const again = times(4, () => service.ask('GET', '/v1/snapshot'));
      const put = times(4, () => service.ask('PUT', '/v1/snapshot', taken.text));
      return `${(taken.text.length / MIB).toFixed(1)} MiB: ${await counted([...again, ...put])}`;
    },
  ],
  [
    'an unmap of 65,535 pinned mappings, its events and its trace',
    async (service) => {
      await reset(service);
      await service.batch(full(65_535));
      const unmap = { iova: '0x0', size: '0x10000000' };
      return counted([
        service.ask('POST', '/v1/containers/c0/unmap-dma', unmap),
        service.ask('GET', '/v1/events?limit=10000'),
        service.ask('GET', '/v1/trace'),
        service.ask('GET', '/v1/trace?format=curl'),
      ]);
    },
  ],
  [
    'replays and comparisons of reads of 16 MiB',
    async (service) => {
      const steps = times(20, () => ({ call: 'read-memory', process: 'p0', vaddr: '0x0', length: 16 * MIB }));
      return counted([
        ...times(4, () => service.ask('POST', '/v1/replay', { steps })),
        service.ask('POST', '/v1/compare', { steps }),
      ]);
    },
  ],
  [
    'six searches at once',
    async (service) => {
      const drivers = [{ type: 'synthetic', onDmaUnmap: 'unpin-range' }];
      const search = { drivers, depth: 12, pages: 4, mappings: 8, seconds: 10 };
      return counted(times(6, () => service.ask('POST', '/v1/explore', search)));
    },
  ],
];

async function main(): Promise<void> {
  const wanted = new RegExp(pattern);
  const service = await Small.start();
  let worst = 0;
  for (const [what, attack] of ATTACKS.filter(([name]) => wanted.test(name))) {
    const told = await attack(service);
    if (!service.isAlive) {
      console.log(`dead after: ${what}`);
      process.exit(1);
    }
    const peak = service.peak();
    worst = Math.max(worst, peak);
    console.log(`${peak.toFixed(0).padStart(4)} MiB at most: ${what}${told === '' ? '' : ` (${told})`}`);
  }
  await service.stop();
  console.log(`${worst.toFixed(0)} MiB in all; ${LIMIT_MIB} are there`);
  process.exit(worst < LIMIT_MIB || cgroup !== undefined ? 0 : 1);
}

await main();
