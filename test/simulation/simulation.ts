import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { CallObject } from '../../schemas/calls.ts';
import type { Journal } from '../../src/host/journal.ts';
import { KERNEL_VERSIONS } from '../../src/kernel/generations/index.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { Machine } from '../../src/machine/machine.ts';
import { replay } from '../../src/replay/replay.ts';
import type { Rig } from '../../src/rig/rig.ts';
import { requestOf } from '../harness/http-replay.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { anyCall, anySetup } from '../model/random-calls.ts';
import { modelCall, modelSetup } from '../snapshot/model-devices.ts';
import { Invariants } from './invariants.ts';
import { type ModelRig, modelRig, sample } from './model-rig.ts';
import { Network } from './network.ts';
import { outsideCall, outsideSetup } from './outside.ts';
import { Random } from './random.ts';
import { type Asked, Clients, World } from './world.ts';

/** What may happen in a step, and how often. */
const ACTIONS = {
  call: 40,
  burst: 14,
  batch: 5,
  model: 24,
  modelAgain: 3,
  time: 14,
  look: 6,
  await: 5,
  stream: 3,
  wait: 3,
  leave: 3,
  copy: 3,
  replay: 3,
  verify: 5,
  reset: 1.5,
  drop: 1,
  stop: 0.4,
} as const;

type Action = keyof typeof ACTIONS;

/** Rigs on which anything may happen; the model has one of its own. */
const CHAOS = [undefined, 'a'] as const;
const MODEL = 'model';

/** Turns of the event loop without any news, after which there will be none. */
const QUIET_TURNS = 3;
const TURNS_MAX = 100_000;

/** How long after a rig has gone something of it may still be done, milliseconds of virtual time. */
const LAST_WORD_MS = 100;

/** Statuses of what is refused before a kernel sees it. */
const REFUSED = [400, 404, 413, 415, 429];

/** Every so-manieth seed ends with the service's stop. */
const STOP_EVERY = 10;

/** Longest any request waits that nobody ends, milliseconds of virtual time. */
const LONGEST_WAIT_MS = 61_000;

const anything = fc.oneof({ weight: 3, arbitrary: anyCall }, { weight: 2, arbitrary: modelCall });

/** What a simulation was like. */
export interface Report {
  readonly steps: number;
  readonly requests: number;
  readonly deliveries: number;
  readonly compared: number;
  readonly replayed: number;
  readonly checked: Invariants['checked'];
}

const turn = setImmediate;

/** One seed: clients, drivers, faults and the end of the service, in an order that the seed decides. */
export class Simulation {
  private readonly random: Random;
  private readonly network: Network;
  private readonly clients = new Clients();
  private readonly invariants = new Invariants();
  private readonly faults: string[] = [];
  private readonly journals = new Map<Journal, { seq: number; open: Map<number, string>; kernel: Kernel }>();
  private readonly calls: CallObject[];
  private model!: ModelRig;
  private compared = 0;
  private replayed = 0;
  private models = 0;
  private isStopping = false;
  /** What was done, for the report of a failure. */
  readonly done: string[] = [];

  constructor(
    readonly seed: number,
    private readonly steps: number,
    /** The service of the seed before, if any. */
    private readonly world: World,
  ) {
    this.random = new Random(seed);
    this.calls = sample(anything, seed, steps * 2);
    this.network = new Network(this.random, (callback) => this.calledBack(callback));
  }

  async run(): Promise<Report> {
    const rejected = (error: unknown) =>
      void this.faults.push(`unhandled: ${(error as Error).stack ?? error}`);
    process.on('unhandledRejection', rejected);
    this.world.surroundings = {
      dispatcher: this.network.dispatcher,
      fault: (line) => void this.faults.push(line),
    };
    this.world.time.install();
    this.world.time.rewind();
    try {
      await this.begin();
      for (let step = 0; step < this.steps; step++) {
        await this.act(this.random.weighted(ACTIONS));
        await this.settle();
        this.check();
      }
      await this.end();
    } finally {
      this.world.time.restore();
      process.off('unhandledRejection', rejected);
    }
    return {
      steps: this.steps,
      requests: this.clients.count,
      deliveries: this.network.count,
      compared: this.compared + this.model.compared,
      replayed: this.replayed,
      checked: this.invariants.checked,
    };
  }

  private demand(holds: boolean, why: () => string): void {
    if (!holds) throw new Error(why());
  }

  /** The end of a seed: every rig goes, now and then the service too. Nobody waits any more, and nothing runs. */
  private async end(): Promise<void> {
    if (this.seed % STOP_EVERY === 0) await this.stop();
    else {
      for (const { name } of this.world.service.rigs.list()) this.ask('DELETE', `/v1/rigs/${name}`);
      await this.drain();
    }
  }

  /** A service, and its rigs. */
  private async begin(): Promise<void> {
    await this.world.start();
    for (const rig of CHAOS) if (this.random.chance(0.7)) await this.prepare(rig);
    await this.prepareModel();
  }

  /** A rig on some kernel, with devices of every kind. */
  private async prepare(rig: string | undefined): Promise<void> {
    const seed = this.random.upTo(2 ** 30);
    this.ask('POST', '/v1/reset', { kernel: this.random.pick(KERNEL_VERSIONS) }, rig);
    const [calls] = sample(fc.tuple(anySetup, modelSetup), seed, 1);
    // Nobody waits for a driver that is called when its device is opened.
    const all = [...calls!.flat(), ...outsideSetup(this.random)].map((call, i) =>
      call.call === 'open-device' ? { ...call, async: `open${i}` } : call,
    );
    this.batch(rig, all);
    await this.settle();
  }

  private async prepareModel(): Promise<void> {
    if (this.model) this.compared += this.model.compared;
    this.model = modelRig(this.seed * 64 + this.models++ * 2 + (this.seed % 2), this.steps * 2);
    this.ask('POST', '/v1/reset', { kernel: this.model.kernel }, MODEL);
    await this.settle();
  }

  private note(what: string): void {
    this.done.push(what);
  }

  private ask(
    method: string,
    url: string,
    body?: unknown,
    rig?: string,
    headers: Record<string, string> = {},
  ): Asked {
    this.note(`${rig ?? 'default'}: ${method} ${url} ${body === undefined ? '' : JSON.stringify(body)}`);
    const all = rig === undefined ? headers : { ...headers, 'x-rig': rig };
    return this.clients.ask(this.world, method, url, body, all);
  }

  private call(rig: string | undefined, call: CallObject, headers: Record<string, string> = {}): Asked {
    const { method, url, body } = requestOf(call);
    return this.ask(method, url, body, rig, headers);
  }

  private batch(rig: string | undefined, calls: readonly object[]): Asked {
    const text = calls.map((call) => `${JSON.stringify(call)}\n`).join('');
    return this.ask('POST', '/v1/batch', text, rig, { 'content-type': 'application/x-ndjson' });
  }

  /** What a driver does while it is called: some call, or an end to everything. */
  private async calledBack({ device }: { device: string }): Promise<void> {
    const rig = this.random.pick(CHAOS);
    if (!this.world.running) return;
    if (this.random.chance(0.1)) this.ask('POST', '/v1/reset', {}, rig);
    else this.call(rig, outsideCall(this.random, device));
  }

  private nextCall(): CallObject {
    if (this.random.chance(0.6)) return outsideCall(this.random);
    return this.calls.pop() ?? outsideCall(this.random);
  }

  private async act(action: Action): Promise<void> {
    const { random } = this;
    const rig = random.pick(CHAOS);
    switch (action) {
      case 'call':
        return this.oneCall(rig);
      case 'burst':
        for (let i = random.upTo(4); i >= 0; i--) {
          this.call(rig, this.nextCall(), random.chance(0.3) ? { prefer: 'respond-async' } : {});
        }
        return;
      case 'batch': {
        const calls = Array.from({ length: 1 + random.upTo(5) }, (_, i) => {
          const call = this.nextCall();
          return random.chance(0.3) ? { ...call, async: `a${i}` } : call;
        });
        const waits = calls.flatMap((call) => ('async' in call ? [{ call: 'await', of: call.async }] : []));
        this.batch(rig, random.chance(0.5) ? calls : [...calls, ...waits]);
        return;
      }
      case 'model':
        for (let i = random.upTo(6); i >= 0; i--) await this.modelStep();
        return;
      case 'modelAgain':
        return this.modelAgain();
      case 'time':
        return this.world.time.advance(random.pick([1, 20, 200, 1000, 6000]), () => this.settle());
      case 'look':
        return this.look(rig);
      case 'await': {
        const query = random.chance(0.5) ? `?wait=1&timeoutMs=${random.upTo(3000)}` : '';
        this.ask('GET', `/v1/operations/op${random.upTo(8)}${query}`, undefined, rig);
        return;
      }
      case 'stream': {
        const accept = random.pick(['text/event-stream', 'application/x-ndjson']);
        this.ask(random.pick(['GET', 'GET', 'HEAD']), '/v1/events', undefined, rig, { accept });
        return;
      }
      case 'wait': {
        const kind = random.pick(['', '&kind=splat', '&device=d0']);
        const query = `?wait=1&timeoutMs=${random.upTo(9000)}&since=${random.upTo(400)}${kind}`;
        this.ask('GET', `/v1/events${query}`, undefined, rig);
        return;
      }
      case 'leave': {
        const open = [...this.clients.open];
        if (open.length === 0) return;
        const asked = random.pick(open);
        this.note(`leaves: ${asked.what}`);
        this.clients.leave(asked);
        return;
      }
      case 'copy':
        return this.copy(rig, random.pick(CHAOS));
      case 'replay':
        return this.replayOverHttp(rig);
      case 'verify':
        return this.verify(rig);
      case 'reset':
        if (random.chance(0.5)) this.ask('POST', '/v1/reset', {}, rig);
        return this.prepare(rig);
      case 'drop':
        this.ask('DELETE', `/v1/rigs/${rig ?? 'default'}`);
        return this.prepare(rig);
      case 'stop':
        await this.stop();
        return this.begin();
    }
  }

  /** One call; where it is refused before a kernel sees it, everything is as it was. */
  private async oneCall(rig: string | undefined): Promise<void> {
    const kernel = this.rigOf(rig)?.host.kernel;
    const isQuiet = this.network.underway.size === 0 && kernel;
    const before = isQuiet ? dumpKernel(kernel) : null;
    const async = this.random.chance(0.2) ? { prefer: 'respond-async' } : {};
    const asked = this.call(rig, this.nextCall(), async as Record<string, string>);
    await this.settle();
    const isRefused = REFUSED.includes(asked.status ?? 0) && !asked.text.includes('"errno"');
    if (before && isRefused) {
      const after = dumpKernel(kernel!);
      this.demand(isDeepStrictEqual(before, after), () => `${asked.status}, but the state has changed`);
    }
  }

  private async modelStep(): Promise<void> {
    const call = this.model.next();
    if (!call) return;
    const asked = this.call(MODEL, call);
    await this.settle();
    this.demand(asked.status !== null, () => `${JSON.stringify(call)} is not answered`);
    this.model.compare(call, asked.status!, asked.text === '' ? {} : JSON.parse(asked.text));
  }

  /** The model's rig becomes what its own snapshot says: nothing can be seen of that. */
  private async modelAgain(): Promise<void> {
    this.model.compareState(this.rigOf(MODEL)!.host.kernel);
    await this.copy(MODEL, MODEL);
    this.model.compareState(this.rigOf(MODEL)!.host.kernel);
  }

  /** One rig becomes what another one's snapshot says. */
  private async copy(from: string | undefined, to: string | undefined): Promise<void> {
    const taken = this.ask('GET', '/v1/snapshot', undefined, from);
    await this.settle();
    // A batch that waits in the other rig would go on in what that becomes.
    if (taken.status !== 200 || (this.rigOf(to)?.host.machine.underway().length ?? 0) > 0) return;
    const source = dumpKernel(this.rigOf(from)!.host.kernel);
    const put = this.ask('PUT', '/v1/snapshot', JSON.parse(taken.text), to);
    await this.settle();
    this.demand(put.status === 204, () => `a snapshot is refused: ${put.text}`);
    const kernel = this.rigOf(to)!.host.kernel;
    this.invariants.restored(kernel);
    const target = dumpKernel(kernel);
    this.demand(
      isDeepStrictEqual(source, target),
      () => `a restored rig is another one: ${difference(source, target)}`,
    );
  }

  private look(rig: string | undefined): void {
    const { random } = this;
    const path = random.pick([
      '',
      '/containers',
      '/devices',
      '/processes',
      '/containers/c0/mappings?limit=3',
      '/containers/c0/pins',
      '/devices/d0',
      '/trace',
      '/trace?format=curl',
      '/dmesg',
      '/faults',
      '/rigs',
      '/pending',
      '/events?limit=5',
    ]);
    this.ask('GET', `/v1${path}`, undefined, rig);
    if (random.chance(0.2)) this.ask('GET', '/metrics');
  }

  /** A trace of a rig at rest has no difference from itself. */
  private async replayOverHttp(rig: string | undefined): Promise<void> {
    if (!this.replays(rig)) return;
    const trace = this.ask('GET', '/v1/trace', undefined, rig);
    await this.settle();
    const replayed = this.ask('POST', '/v1/replay', JSON.parse(trace.text));
    await this.settle();
    const { differences } = JSON.parse(replayed.text) as { differences: unknown[] };
    this.demand(
      differences.length === 0,
      () => `a replay differs: ${JSON.stringify(differences.slice(0, 3))}`,
    );
  }

  /** Whether what a rig did so far can be done again elsewhere: it is at rest, and its trace whole. */
  private replays(name: string | undefined): Rig | null {
    const rig = this.rigOf(name);
    if (!rig || rig.host.panicked !== null || rig.host.machine.underway().length > 0) return null;
    // A trace cannot say that a call waited in the foreground while another one slept.
    if (rig.host.kernel.scheduler.now > 0) return null;
    return rig.host.trace('rig').truncated ? null : rig;
  }

  /** The calls of a rig, made once more, lead to the same state. */
  private verify(name: string | undefined): void {
    const rig = this.replays(name);
    if (!rig) return;
    this.note(`verify ${name ?? 'default'}`);
    const { kernel } = rig.host;
    const again = new Machine(kernel.gen, rig.host.machine.limits);
    const differences = replay(again, rig.host.trace('rig').scenario);
    this.demand(
      differences.length === 0,
      () => `a replay differs: ${JSON.stringify(differences.slice(0, 3))}`,
    );
    const [was, is] = [portable(dumpKernel(kernel)), portable(dumpKernel(again.kernel))];
    this.demand(isDeepStrictEqual(was, is), () => `a replay leads elsewhere: ${difference(was, is)}`);
    this.replayed++;
  }

  private rigOf(name: string | undefined): Rig | undefined {
    return this.world.service.rigs.list().find((rig) => rig.name === (name ?? 'default'));
  }

  /** Lets everything happen that follows from what has happened, without time passing. */
  private async settle(): Promise<void> {
    let quiet = 0;
    let last = '';
    for (let i = 0; quiet < QUIET_TURNS; i++) {
      await new Promise((resolve) => turn(resolve));
      const seqs = this.world.running?.service.rigs.list().map(({ host }) => host.journal.seq);
      const now = `${this.clients.open.size} ${this.clients.count} ${this.network.count} ${this.network.underway.size} ${seqs}`;
      quiet = now === last ? quiet + 1 : 0;
      last = now;
      if (i > TURNS_MAX) throw new Error('it never comes to rest');
    }
  }

  private check(): void {
    this.demand(this.faults.length === 0, () => this.faults.join('\n'));
    for (const { host } of this.world.running?.service.rigs.list() ?? []) {
      const { kernel, journal } = host;
      this.follow(journal, kernel);
      this.invariants.check(kernel);
    }
    for (const [journal, { open, kernel, ...at }] of this.journals) {
      this.follow(journal, kernel);
      const underway = journal.ended === null ? kernel.scheduler.pending.filter(({ end }) => !end).length : 0;
      const which = () =>
        `calls ${[...open].join(' ')} of ${underway} under way have no answer (${journal.ended ?? at.seq})`;
      this.demand(open.size === underway, which);
      if (journal.ended !== null) this.journals.delete(journal);
    }
    for (const asked of this.clients.takeAnswered()) this.checkAnswer(asked);
  }

  /** Each call in the journal is answered once. */
  private follow(journal: Journal, kernel: Kernel): void {
    const seen = this.journals.get(journal) ?? { seq: 0, open: new Map<number, string>(), kernel };
    this.journals.set(journal, seen);
    const { events } = journal.read({ since: seen.seq, limit: Number.POSITIVE_INFINITY });
    for (const event of events) {
      seen.seq = event.seq;
      if (event.kind === 'call') seen.open.set(event.seq, JSON.stringify(event.call));
      if (event.kind === 'answer') {
        this.demand(seen.open.delete(event.cause), () => `call ${event.cause} is answered twice`);
      }
      if (event.kind === 'splat') this.invariants.splat(kernel, event.splat);
    }
  }

  private checkAnswer({ what, status, text, answers }: Asked): void {
    this.demand(answers <= 1, () => `${what} is answered ${answers} times`);
    if (status === null || status < 500) return;
    const isMeant = status === 503 && /:abandoned"|FST_ERR_REOPENED|Service Unavailable/.test(text);
    this.demand(isMeant, () => `${what} is answered ${status}: ${text.slice(0, 500)}`);
  }

  /** Stops the service, with whatever is under way. */
  private async stop(): Promise<void> {
    this.note('stop');
    const { app } = this.world.running!;
    this.isStopping = true;
    const closed = app.close();
    await this.drain();
    await closed;
    this.isStopping = false;
    this.world.running = null;
  }

  /** Every rig has gone, or is going: everybody is answered. */
  private async drain(): Promise<void> {
    await this.settle();
    const { underway } = this.network;
    this.demand(underway.size === 0, () => `${underway.size} deliveries go on after every rig has gone`);
    // The last word to the readers of a journal may take so long.
    await this.world.time.advance(LAST_WORD_MS, () => this.settle());
    const { timers } = this.network;
    // The one that looks for idle rigs goes with the service.
    const left = this.world.time.running - timers - (this.isStopping ? 0 : 1);
    this.demand(left === 0, () => `${left} timers run after every rig has gone`);
    await this.world.time.advance(LONGEST_WAIT_MS, () => this.settle());
    this.check();
    const open = [...this.clients.open];
    this.demand(open.length === 0, () => `never answered: ${open.map(({ what }) => what).join('; ')}`);
  }
}

type Dump = ReturnType<typeof dumpKernel>;

/** A dump in which a driver outside is one, however it is called. */
function portable(dump: Dump): unknown {
  return {
    ...dump,
    devices: dump.devices.map((device) => {
      const { type, openDevice, closeDevice } = (device.driver.config ?? {}) as Record<string, unknown>;
      if (type !== 'webhook' && type !== 'manual') return device;
      const config = JSON.parse(JSON.stringify({ openDevice, closeDevice })) as object;
      return { ...device, driver: { ...device.driver, config } };
    }),
  };
}

/** The first place where two values differ, and both there. */
function difference(a: unknown, b: unknown, path = ''): string {
  if (isDeepStrictEqual(a, b)) return '';
  const isTree = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null;
  if (isTree(a) && isTree(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const found = difference(a[key], b[key], `${path}/${key}`);
      if (found) return found;
    }
  }
  return `${path}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`;
}

/** Steps of one seed. */
export const STEPS = 32;

/** Runs seeds one after the other, on one service as long as it is not stopped. */
export class Simulator {
  private world = new World();

  /**
   * Runs one seed.
   *
   * @throws Error that says in its first line how to run it again
   */
  async run(seed: number, steps: number = STEPS): Promise<Report> {
    const simulation = new Simulation(seed, steps, this.world);
    try {
      return await simulation.run();
    } catch (error) {
      this.world = new World();
      const done = simulation.done.slice(-12).map((line) => `    ${line.slice(0, 300)}`);
      const { message, stack } = error as Error;
      throw new Error(
        `npm run simulate -- --seed ${seed} --steps ${steps}\n  ${message}\n  after\n${done.join('\n')}\n${stack}`,
      );
    }
  }
}
