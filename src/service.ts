import type { HostView } from '../schemas/views.ts';
import { Budget } from './budget.ts';
import { type Config, hostLimits } from './config.ts';
import type { Work } from './explore/work.ts';
import { Host, type PanicReason } from './host/host.ts';
import type { HostLogger } from './host/kernel-log.ts';
import { Works } from './host/works.ts';
import { type Generation, generationOf, KERNEL_VERSIONS } from './kernel/generations/index.ts';
import type { KernelBudgets } from './kernel/kernel.ts';
import { PAGE_SIZE } from './kernel/pages.ts';
import { Refused } from './machine/refused.ts';
import { Scratch } from './machine/scratch.ts';
import { Metrics } from './metrics/metrics.ts';
import type { Step } from './replay/scenario.ts';
import { Rig } from './rig/rig.ts';
import { DEFAULT_RIG, Rigs } from './rig/rigs.ts';
import { VERSION } from './version.ts';
import { WebhookAllow } from './webhook/allow.ts';
import { type Agents, WebhookCaller } from './webhook/caller.ts';

/** Operations kept, finished ones included, as a multiple of the calls that may be under way. */
const OPERATIONS_PER_PENDING = 4;

/** Longest time between two looks for idle rigs: a timer holds no more than 2^31 ms. */
const SWEEP_MAX_MS = 60_000;

/** Batches that may be under way at once, as a multiple of other long requests: most of the time they wait for their clients. */
const BATCHES_PER_WORK = 8;

/** Searches and the like that may be under way at once, over all rigs. */
const WORKS = 4;

/** A logger that makes others with fields of their own, as pino's does. */
interface ServiceLogger extends HostLogger {
  child(fields: object): ServiceLogger;
}

/** What a service is made with besides its configuration. */
interface ServiceOptions {
  readonly log: ServiceLogger;
  /** Ends the process; called after the line that says why has been written. */
  readonly panic: (reason: string) => void;
  /** Takes the steps of traces that are more than are kept; without it they are dropped. */
  readonly traceOverflow?: ((steps: Step[]) => void) | undefined;
  /** Brings every fresh rig into its initial state. */
  readonly seed?: (host: Host) => void;
  /** Lines of the log that nobody will read, so far. */
  readonly linesDropped?: () => number;
  /** What carries the callbacks of webhook drivers; without it the network does. */
  readonly agents?: Agents;
}

/** The service around the rigs: its configuration, its log, its webhooks. */
export class Service {
  readonly rigs: Rigs;
  readonly metrics: Metrics;
  readonly works: Works;
  readonly batches: Works;
  private readonly logBudget: Budget;
  /** Bytes of request bodies under way. */
  readonly bodies: Budget;
  /** What the kernels of all rigs and replays take. */
  private readonly kernels: KernelBudgets;
  /** Bytes of answers that are made, and that their clients have not taken. */
  readonly answers: Budget;
  private readonly webhooks: WebhookCaller;
  private readonly searches = new Set<Work>();
  private readonly sweeper: NodeJS.Timeout | null;
  /** Connections of clients, which whoever listens counts. */
  connections = 0;

  constructor(
    readonly config: Config,
    private readonly options: ServiceOptions,
  ) {
    this.webhooks = new WebhookCaller(new WebhookAllow(config.webhookAllow), undefined, options.agents);
    this.logBudget = new Budget(config.totalBytes);
    this.bodies = new Budget(config.bodyBytes);
    this.answers = new Budget(config.answerBytes);
    this.kernels = {
      pages: new Budget(Math.floor(config.totalMemory / PAGE_SIZE)),
      dirtyBitmaps: new Budget(config.totalDirtyBitmaps),
      objects: new Budget(config.totalObjects),
    };
    this.works = new Works(config.maxWorks, config.workSeconds);
    this.batches = new Works(config.maxWorks * BATCHES_PER_WORK, config.workSeconds);
    const idleMs = config.rigIdleSeconds * 1000;
    this.metrics = new Metrics(() => this.rigs.list(), {
      log_bytes: { help: 'Bytes of journals and traces, over all rigs.', of: () => this.logBudget.used },
      body_bytes: { help: 'Bytes of request bodies under way.', of: () => this.bodies.used },
      answer_bytes: { help: 'Bytes of answers under way.', of: () => this.answers.used },
      memory_bytes: {
        help: 'Bytes of the pages of processes that have contents of their own.',
        of: () => this.kernels.pages.used * PAGE_SIZE,
      },
      dirty_bitmap_bytes: {
        help: 'Bytes that dirty bitmaps would take in a kernel.',
        of: () => this.kernels.dirtyBitmaps.used,
      },
      object_bytes: {
        help: 'Bytes that mappings, pins, memory regions and open files take.',
        of: () => this.kernels.objects.used,
      },
      works: { help: 'Long requests under way.', of: () => this.works.count },
      batches: { help: 'Batches under way.', of: () => this.batches.count },
      readers: {
        help: 'Streams of events, and waits for events and operations, over all rigs.',
        of: () => this.rigs.list().reduce((sum, { readers }) => sum + readers, 0),
      },
      deliveries: {
        help: 'Callbacks under way to webhooks, over all rigs.',
        of: () => this.webhooks.underway,
      },
      operations: {
        help: 'Calls and searches that were answered 202 and are kept, over all rigs.',
        of: () => this.rigs.list().reduce((sum, { operations }) => sum + operations.kept, 0),
      },
      searches: { help: 'Searches under way.', of: () => this.searches.size },
      connections: { help: 'Connections of clients.', of: () => this.connections },
    });
    this.metrics.count(
      'log_lines_dropped_total',
      'Lines of the log that were dropped because they were not read in time.',
      options.linesDropped ?? (() => 0),
    );
    this.rigs = new Rigs((name, now) => this.makeRig(name, now), config.maxRigs, idleMs);
    this.sweeper =
      idleMs === 0 ? null : setInterval(() => this.rigs.sweep(), Math.min(idleMs, SWEEP_MAX_MS)).unref();
  }

  private makeRig(name: string, now: number): Rig {
    const { config, options } = this;
    const log = options.log.child({ rig: name });
    const host = new Host({
      rig: name,
      gen: this.generation(config.kernel),
      limits: hostLimits(config),
      policy: { panicOnWarn: config.panicOnWarn, panicOnOops: config.panicOnOops },
      log,
      webhooks: this.webhooks,
      delays: true,
      pauses: true,
      realMemory: config.processMemory === 'real',
      metrics: this.metrics,
      budget: this.logBudget,
      kernelBudgets: this.kernels,
      onListenerFailure: () => this.metrics.listenerFailed(),
      traceOverflow: options.traceOverflow,
      onPanic: (reason) => {
        log.fatal({ panic: reason }, `Kernel panic - not syncing: ${reason}`);
        if (!this.endsProcess(reason)) return 'rig';
        options.panic(reason);
        return 'process';
      },
    });
    return new Rig(
      name,
      host,
      config.maxPendingCalls * OPERATIONS_PER_PENDING,
      options.seed ?? (() => {}),
      now,
    );
  }

  /**
   * The rig of a name; the default one where none is named.
   *
   * @param make whether it is made where there is none yet; the default one always is
   * @throws Refused where there is no such rig and it is not to be made
   */
  rigOf(name: string | undefined, make: boolean): Rig {
    if (name === undefined) return this.rigs.use(DEFAULT_RIG);
    if (make || name === DEFAULT_RIG || this.rigs.has(name)) return this.rigs.use(name);
    throw new Refused(
      'not-found',
      `there is no rig "${name}" (x-rig), and only to look at it makes none: a call does, and GET /v1/rigs lists those there are`,
    );
  }

  /** Whether a panic is the operator's wish; one that only a client asked for ends its rig. */
  private endsProcess(reason: PanicReason): boolean {
    const { allowPanic, panicOnWarn, panicOnOops } = this.config;
    return allowPanic || (reason === 'panic_on_warn set' ? panicOnWarn : panicOnOops);
  }

  /**
   * Makes sure that one more may stream a rig's events, or wait for some of them or for an operation.
   *
   * @throws Refused where there are as many readers as a rig may have
   */
  admitReader({ readers }: Rig): void {
    const { maxReaders } = this.config;
    if (readers >= maxReaders) throw Refused.tooMany('streams and waits of a rig', maxReaders);
  }

  /**
   * Secrets are told to those alone who bring a token.
   *
   * @throws Refused where the service asks for none
   */
  refuseSecrets(): void {
    if (this.config.authToken !== '') return;
    throw new Refused(
      'secrets-need-token',
      'secrets=1 is for a service with an AUTH_TOKEN, which this one has not',
    );
  }

  /** A generation by its version. */
  generation(version: string): Generation {
    const gen = generationOf(version);
    if (gen) return gen;
    throw Refused.badRequest(
      `kernel is "${version}", but must be one of ${KERNEL_VERSIONS.map((v) => `"${v}"`).join(', ')}`,
    );
  }

  /** Everything of a rig back to the start, optionally on another kernel. */
  reset(rig: Rig, version?: string): void {
    const gen = version === undefined ? rig.host.kernel.gen : this.generation(version);
    rig.reset(gen);
    this.options.log.info({ rig: rig.name, kernel: { version: gen.version } }, 'reset');
  }

  /** Fresh machines within the configured limits, one at a time, that share nothing with any rig. */
  scratch(): Scratch {
    return new Scratch(hostLimits(this.config), this.kernels);
  }

  /** What `GET /version` says. */
  version() {
    return { name: 'vfio-host', version: VERSION, kernel: this.config.kernel };
  }

  /** What `GET /v1` says. */
  describe(rig: Rig): HostView {
    const { kernel, machine, journal } = rig.host;
    return {
      name: 'vfio-host',
      version: VERSION,
      rig: rig.name,
      kernel: kernel.gen.version,
      release: kernel.gen.release,
      recorded: kernel.gen.recorded,
      taint: [...kernel.taint],
      ...(rig.host.panicked === null ? {} : { panic: rig.host.panicked }),
      processMemory: this.config.processMemory,
      parameters: {
        dmaEntryLimit: kernel.dmaEntryLimit,
        warnOnPinnedUnmap: kernel.warnOnPinnedUnmap,
        adviseNoCallback: kernel.adviseNoCallback,
        ...machine.policy,
      },
      limits: { ...machine.limits, bodyLimit: this.config.bodyLimit, rigs: this.config.maxRigs },
      counts: {
        processes: kernel.processes.size,
        containers: kernel.containers.size,
        devices: kernel.devices.size,
        pendingCalls: machine.pendingCalls,
      },
      seq: journal.seq,
    };
  }

  /**
   * Begins work beside the rigs' calls.
   *
   * @throws Refused where there is as much of it under way as there may be
   */
  begin(work: Work): void {
    if (this.searches.size >= WORKS) throw Refused.tooMany('searches under way', WORKS);
    this.searches.add(work);
    void work.start().then(() => this.searches.delete(work));
  }

  /** Ends every pending call, stream and wait, because the service ends. */
  async close(): Promise<void> {
    for (const work of this.searches) work.cancel();
    if (this.sweeper) clearInterval(this.sweeper);
    this.works.stop('the service was stopped');
    this.batches.stop('the service was stopped');
    this.rigs.close('the service was stopped');
    await this.webhooks.close();
  }
}
