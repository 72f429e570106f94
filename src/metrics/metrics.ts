import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import type { WebhookReport } from '../../schemas/events.ts';
import type { HostListener } from '../host/listener.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { Invalidation } from '../kernel/callback.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import type { TaskEnd } from '../kernel/task.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { Rig } from '../rig/rig.ts';
import { RequestTimes } from './request-times.ts';

/** Methods that are told apart. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Label of a request that no route serves. */
const NO_ROUTE = 'none';

/** What is looked up at each scrape, as a sum over the rigs. */
const GAUGES: Readonly<Record<string, { help: string; of: (rig: Rig) => number }>> = {
  rigs: { help: 'Rigs that exist.', of: () => 1 },
  containers: { help: 'Containers, over all rigs.', of: ({ host }) => host.kernel.containers.size },
  mappings: { help: 'DMA mappings, over all rigs.', of: (rig) => sumOfViews(rig, 'mappingCount') },
  pins: {
    help: 'Pinned pages that VFIO keeps track of, over all rigs.',
    of: (rig) => sumOfViews(rig, 'pinCount'),
  },
  pending_calls: {
    help: 'Calls under way: they wait for a lock or a callback. Over all rigs.',
    of: ({ host }) => host.kernel.scheduler.pending.length,
  },
  delayed_calls: {
    help: 'Calls that a fault delays. Over all rigs.',
    of: ({ host }) => host.machine.delayed.size,
  },
  journal_seq: {
    help: 'Newest seq of the journal, summed over all rigs; a reset or dropped rig starts over.',
    of: ({ host }) => host.journal.seq,
  },
};

function sumOfViews({ host }: Rig, count: 'mappingCount' | 'pinCount'): number {
  let sum = 0;
  for (const { view } of host.kernel.containers.values()) sum += view?.[count] ?? 0;
  return sum;
}

/**
 * The metrics of one service in a registry of its own. Every label has a bounded set of values: route patterns,
 * names of calls, errnos; never a URL, a rig or a device.
 */
export class Metrics implements HostListener {
  private readonly registry = new Registry();
  private readonly times = new RequestTimes();
  /** Calls answered, by name and errno: counted here, because a labelled counter costs as much as a call. */
  private readonly answered = new Map<string, Map<string, number>>();
  private readonly splats = new Counter({
    name: 'vfio_host_splats_total',
    help: 'What the emulated kernels printed: WARN_ON, WARN_ON_ONCE, BUG_ON, PR_WARN, DEADLOCK.',
    labelNames: ['id', 'kind', 'function'],
    registers: [this.registry],
  });
  private readonly advisories = new Counter({
    name: 'vfio_host_advisories_total',
    help: 'What the kernel does not notice but a driver author must know; counted once a call and kind.',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  private readonly callbacks = new Counter({
    name: 'vfio_host_callbacks_total',
    help: 'Callbacks of drivers: a webhook returned or failed, a built-in driver ran, or a manual one was left to its owner.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly listenerFailures = new Counter({
    name: 'vfio_host_listener_failures_total',
    help: 'Times that something that only watches calls has failed, which the calls do not notice. It is logged.',
    registers: [this.registry],
  });
  private withDefaults = false;

  /**
   * @param rigs every rig there is at the moment
   * @param gauges of the service as a whole, by name
   */
  constructor(
    rigs: () => Iterable<Rig>,
    gauges: Readonly<Record<string, { readonly help: string; readonly of: () => number }>> = {},
  ) {
    const { answered, times } = this;
    new Counter({
      name: 'vfio_host_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['method', 'route', 'status'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { count, ...labels } of times.answered()) this.inc(labels, count);
      },
    });
    this.registry.registerMetric(times as unknown as Metric);
    new Counter({
      name: 'vfio_host_calls_total',
      help: 'Calls answered, by errno: empty for success, or killed, wedged or abandoned where the call never returned.',
      labelNames: ['call', 'errno'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [call, byErrno] of answered) {
          for (const [errno, count] of byErrno) this.inc({ call, errno }, count);
        }
      },
    });
    for (const [name, { help, of }] of Object.entries(gauges)) {
      new Gauge({
        name: `vfio_host_${name}`,
        help,
        registers: [this.registry],
        collect() {
          this.set(of());
        },
      });
    }
    for (const [name, { help, of }] of Object.entries(GAUGES)) {
      new Gauge({
        name: `vfio_host_${name}`,
        help,
        registers: [this.registry],
        collect() {
          let sum = 0;
          for (const rig of rigs()) sum += of(rig);
          this.set(sum);
        },
      });
    }
  }

  /** Adds a counter that somebody else keeps. */
  count(name: string, help: string, of: () => number): void {
    new Counter({
      name: `vfio_host_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(of());
      },
    });
  }

  /** Media type of the text. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /**
   * Adds the metrics of the process: event-loop lag, CPU, memory, garbage collection. They are measured from here
   * on, by observers that last as long as the process; a service that never listens and is never asked has none.
   */
  startDefaults(): void {
    if (this.withDefaults) return;
    this.withDefaults = true;
    collectDefaultMetrics({ register: this.registry });
  }

  /** Everything as Prometheus text. */
  text(): Promise<string> {
    this.startDefaults();
    return this.registry.metrics();
  }

  /** Something that watches calls has failed. */
  listenerFailed(): void {
    this.listenerFailures.inc();
  }

  /** A request was answered. `route` is the route's pattern; undefined where none serves it. */
  request(method: string, route: string | undefined, status: number, elapsedMs: number): void {
    const known = METHODS.has(method) ? method : 'other';
    this.times.add(known, route ?? NO_ROUTE, status, elapsedMs / 1000);
  }

  ended({ call, end }: CallTask): void {
    let byErrno = this.answered.get(call);
    if (!byErrno) {
      byErrno = new Map();
      this.answered.set(call, byErrno);
    }
    const errno = errnoLabel(end!);
    byErrno.set(errno, (byErrno.get(errno) ?? 0) + 1);
  }

  splat(_task: CallTask, { id, function: name, entry }: SplatEvent): void {
    this.splats.inc({ id, kind: entry.kind, function: name });
  }

  advisory(_task: CallTask, { kind }: Advisory): void {
    this.advisories.inc({ kind });
  }

  /** A callback of a driver; one to a webhook counts when it has ended. */
  invalidated({ machine }: CallTask, { device }: Invalidation): void {
    const type = machine.kernel.devices.get(device)?.driver.config?.type;
    if (type !== 'webhook') this.callbacks.inc({ outcome: type === 'manual' ? 'manual' : 'built-in' });
  }

  webhook(_task: CallTask, { outcome }: WebhookReport): void {
    this.callbacks.inc({ outcome });
  }
}

function errnoLabel(end: TaskEnd): string {
  switch (end.how) {
    case 'returned':
      return typeof end.value === 'string' ? end.value : '';
    case 'deadlocked':
      return end.errno;
    case 'crashed':
      return 'abandoned';
    default:
      return end.how;
  }
}
