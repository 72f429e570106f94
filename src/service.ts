import type { IncomingMessage } from 'node:http';
import { RequestProblem } from './calls/problem.ts';
import { type Config, hostLimits } from './config.ts';
import { Host } from './host/host.ts';
import type { HostLogger } from './host/kernel-log.ts';
import { Operations } from './host/operations.ts';
import { scratchHost } from './host/scratch.ts';
import { type Generation, generationOf, KERNEL_VERSIONS } from './kernel/generations/index.ts';
import { VERSION } from './version.ts';
import { WebhookAllow } from './webhook/allow.ts';
import { WebhookCaller } from './webhook/caller.ts';

/** Operations kept, finished ones included, as a multiple of the calls that may be under way. */
const OPERATIONS_PER_PENDING = 4;

/** The service around the host: its configuration, its log, and what it answered 202. */
export class Service {
  readonly host: Host;
  private readonly webhooks: WebhookCaller;
  operations: Operations;
  private readonly timers = new Set<NodeJS.Timeout>();

  /** `panic` ends the process; called after the line that says why has been written. */
  constructor(
    readonly config: Config,
    private readonly log: HostLogger,
    panic: (reason: string) => void,
  ) {
    this.webhooks = new WebhookCaller(new WebhookAllow(config.webhookAllow));
    this.host = new Host({
      gen: generationOf(config.kernel)!,
      limits: hostLimits(config),
      policy: { panicOnWarn: config.panicOnWarn, panicOnOops: config.panicOnOops },
      log,
      webhooks: this.webhooks,
      onPanic: (reason) => {
        log.fatal({ panic: reason }, `Kernel panic - not syncing: ${reason}`);
        panic(reason);
      },
    });
    this.operations = this.newOperations();
  }

  private newOperations(): Operations {
    return new Operations(this.config.maxPendingCalls * OPERATIONS_PER_PENDING);
  }

  /** A generation by its version. */
  generation(version: string): Generation {
    const gen = generationOf(version);
    if (gen) return gen;
    throw RequestProblem.badRequest(
      `kernel is "${version}", but must be one of ${KERNEL_VERSIONS.map((v) => `"${v}"`).join(', ')}`,
    );
  }

  /** Everything back to the start, optionally on another kernel. */
  reset(version?: string): void {
    const gen = version === undefined ? this.host.kernel.gen : this.generation(version);
    this.host.reset(gen);
    this.operations = this.newOperations();
    this.log.info({ kernel: { version: gen.version } }, 'reset');
  }

  /** A fresh host that shares nothing with the service's own. */
  scratchHost(version: string): Host {
    return scratchHost(this.generation(version), hostLimits(this.config));
  }

  /** What `GET /version` says. */
  version() {
    return { name: 'vfio-host', version: VERSION, kernel: this.host.kernel.gen.version };
  }

  /** What `GET /v1` says. */
  describe() {
    const { kernel, machine, journal } = this.host;
    return {
      name: 'vfio-host',
      version: VERSION,
      kernel: kernel.gen.version,
      release: kernel.gen.release,
      taint: [...kernel.taint],
      parameters: { dmaEntryLimit: kernel.dmaEntryLimit, ...machine.policy },
      limits: { ...machine.limits, bodyLimit: this.config.bodyLimit },
      counts: {
        processes: kernel.processes.size,
        containers: kernel.containers.size,
        devices: kernel.devices.size,
        pendingCalls: kernel.scheduler.pending.length,
      },
      seq: journal.seq,
    };
  }

  /** Resolves after a time, when the request is given up, or when the service ends. Milliseconds. */
  delay(ms: number, request: IncomingMessage): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.timers.delete(timer);
        request.off('close', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.timers.add(timer);
      request.on('close', done);
    });
  }

  /** Lets go whatever waits, because the service ends. */
  async close(): Promise<void> {
    this.host.abandonPending('the service was stopped');
    await this.webhooks.close();
  }
}
