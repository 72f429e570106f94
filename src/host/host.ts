import type { CallObject } from '../../schemas/calls.ts';
import type { FaultEffect } from '../calls/faults.ts';
import { Machine, type MachineLimits, type PanicPolicy } from '../calls/machine.ts';
import { RequestProblem } from '../calls/problem.ts';
import { redactCall } from '../calls/redact.ts';
import type { CallResult, PreparedCall } from '../calls/result.ts';
import { prepareCall, targetId } from '../calls/table.ts';
import type { WebhookConfig } from '../drivers/external.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { Kernel } from '../kernel/kernel.ts';
import { hex } from '../kernel/pages.ts';
import { type CallbackReturn, type PendingCallback, refuse, type SplatEvent, Task } from '../kernel/task.ts';
import type { HostMetrics } from '../metrics/host-metrics.ts';
import { type RecordedCall, TraceRecorder } from '../replay/recorder.ts';
import type { Scenario } from '../replay/scenario.ts';
import type { WebhookCaller } from '../webhook/caller.ts';
import { type Answer, advisoryEntry, errnoOf, type InvalidationEntry, invalidationEntry } from './answer.ts';
import { Console } from './dmesg.ts';
import { Journal } from './journal.ts';
import { type HostLogger, logSplat } from './kernel-log.ts';
import { deliver, type WebhookReport } from './webhooks.ts';

/** What one host may use up, beyond its machine. */
export interface HostLimits extends MachineLimits {
  /** Journal entries kept. */
  readonly journal: number;
  /** Steps of the trace kept. */
  readonly trace: number;
  /** Calls that may be under way at once, waiting for a lock or a callback. */
  readonly pendingCalls: number;
}

/** What a host is made with. */
export interface HostOptions {
  readonly gen: Generation;
  readonly limits: HostLimits;
  readonly policy: PanicPolicy;
  readonly log: HostLogger;
  /** Delivers the callbacks of webhook drivers; without it they wait until somebody lets them go. */
  readonly webhooks: WebhookCaller | null;
  /** Whether faults that delay a call do so; a replay does not wait. */
  readonly delays: boolean;
  /** Called when a splat meets panicOnWarn or panicOnOops, after its line was written. */
  readonly onPanic: (reason: string) => void;
  /** Told what happens, to count it. */
  readonly metrics?: HostMetrics;
}

/** A call that was started: answered already, or under way. */
export interface StartedCall {
  /** Its seq in the journal. */
  readonly seq: number;
  /** The answer; null while the call is under way. */
  answer: Answer | null;
  /** Callbacks delivered so far. */
  invalidations(): InvalidationEntry[];
  /** Resolves when the call is answered. */
  readonly settled: Promise<Answer>;
}

/** Calls without which what is under way could not end: they are never too many. */
const LETS_GO = new Set(['resume-callbacks', 'complete-callback', 'pin-pages', 'unpin-pages', 'dma-rw']);

/** Splats the console keeps. */
const CONSOLE_SPLATS = 1000;

interface Running {
  call: CallObject;
  seq: number;
  reqId: string | undefined;
  container: string | undefined;
  device: string | undefined;
  /** Callbacks of the task that are in the journal, and the seq of the last of them. */
  journalled: number;
  invalidationSeq: number;
  /** Its step of the trace. */
  readonly recorded: RecordedCall;
  /** Ends the delivery to a webhook that is under way. */
  delivery: AbortController | null;
}

/**
 * One emulated host: a machine, its journal and its log. A service may hold several.
 */
export class Host {
  private current: Machine;
  private events: Journal;
  private recorder: TraceRecorder;
  private console: Console;
  private readonly running = new Map<Task, Running>();
  /** Ends the wait of each call that a fault delays. */
  private readonly delayed = new Set<(why: string) => void>();
  private readonly initialPolicy: PanicPolicy;

  constructor(private readonly options: HostOptions) {
    this.initialPolicy = { ...options.policy };
    this.current = this.newMachine(options.gen);
    this.events = new Journal(options.limits.journal);
    this.recorder = new TraceRecorder(options.limits.trace);
    this.console = new Console(CONSOLE_SPLATS);
  }

  get machine(): Machine {
    return this.current;
  }
  get kernel(): Kernel {
    return this.current.kernel;
  }
  get journal(): Journal {
    return this.events;
  }

  private newMachine(gen: Generation): Machine {
    const kernel = new Kernel(gen, this.options.limits, {
      splat: (task, event) => this.onSplat(task, event),
      advisory: (task, advisory) => this.onAdvisory(task, advisory),
      callback: (task, callback) => this.onCallback(task, callback),
    });
    const { webhooks } = this.options;
    return new Machine(
      kernel,
      this.options.limits,
      { ...this.initialPolicy },
      (url) => webhooks?.refuses(url) ?? null,
      webhooks !== null,
    );
  }

  /** Everything back to the start: ids from 0, once-only warnings armed, parameters as configured. */
  reset(gen: Generation = this.kernel.gen): void {
    this.abandonPending('the host was reset');
    this.events.end('reset');
    this.current = this.newMachine(gen);
    this.events = new Journal(this.options.limits.journal);
    this.recorder = new TraceRecorder(this.options.limits.trace);
    this.console = new Console(CONSOLE_SPLATS);
  }

  /** Ends the host: calls under way are answered with a problem, readers of the journal are let go. */
  close(why: string): void {
    this.abandonPending(why);
    this.events.end(why);
  }

  /** Answers every call under way with a problem: it will not be finished. */
  abandonPending(why: string): void {
    for (const cancel of this.delayed) cancel(why);
    this.delayed.clear();
    for (const task of [...this.running.keys()]) {
      const error = abandoned(task.call, why);
      task.end = { how: 'crashed', error };
      task.onEnd?.();
    }
  }

  /**
   * Starts a call that has been checked. It has run as far as it can when this returns.
   *
   * @throws RequestProblem when it names what is not there; nothing has changed then
   */
  start(call: CallObject, reqId?: string): StartedCall {
    const { limits } = this.options;
    if (this.running.size >= limits.pendingCalls && !LETS_GO.has(call.call)) {
      throw RequestProblem.tooMany('calls under way', limits.pendingCalls);
    }
    const prepared = prepareCall(this.current, call);
    const effect = this.current.faults.strike(call);
    if (!effect) return this.launch(call, reqId, prepared);
    this.journalFault(call, effect);
    if ('errno' in effect) return this.launch(call, reqId, failing(effect.fault, effect.errno));
    const { delays } = this.options;
    return delays ? this.startLater(call, reqId, effect.delayMs) : this.launch(call, reqId, prepared);
  }

  /** A fault delays a call: it is started, and written into the trace, when its time has come. */
  private startLater(call: CallObject, reqId: string | undefined, delayMs: number): StartedCall {
    let inner: StartedCall | null = null;
    const started: StartedCall = {
      seq: this.events.seq,
      answer: null,
      invalidations: () => inner?.invalidations() ?? [],
      settled: new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          this.delayed.delete(cancel);
          try {
            // What the call names may have gone in the meantime.
            inner = this.launch(call, reqId, prepareCall(this.current, call));
            resolve(inner.settled);
          } catch (error) {
            reject(error);
          }
        }, delayMs);
        const cancel = (why: string) => {
          clearTimeout(timer);
          reject(abandoned(call.call, why));
        };
        this.delayed.add(cancel);
      }),
    };
    return started;
  }

  private journalFault(call: CallObject, effect: FaultEffect): void {
    const seq = this.events.append({ kind: 'fault', ...effect, call: redactCall(call) });
    this.options.log.info({ ...effect, call: call.call, seq }, `fault ${effect.fault} strikes ${call.call}`);
  }

  /** Runs a call as a task, as far as it goes. */
  private launch(call: CallObject, reqId: string | undefined, prepared: PreparedCall): StartedCall {
    const device = typeof call.device === 'string' ? call.device : undefined;
    const task = new Task<CallResult>(call.call, device);
    const running: Running = {
      call,
      seq: 0,
      reqId,
      container: this.containerOf(call),
      device,
      journalled: 0,
      invalidationSeq: 0,
      recorded: this.recorder.begin(call),
      delivery: null,
    };
    running.seq = this.events.append({
      kind: 'call',
      ...where(running),
      ...(reqId ? { reqId } : {}),
      call: redactCall(call),
    });
    const known = task as Task;
    this.running.set(known, running);
    let resolve!: (answer: Answer) => void;
    let settled: Promise<Answer> | null = null;
    const started: StartedCall = {
      seq: running.seq,
      answer: null,
      invalidations: () => task.invalidations.map(invalidationEntry),
      get settled() {
        settled ??= started.answer
          ? Promise.resolve(started.answer)
          : new Promise<Answer>((r) => {
              resolve = r;
            });
        return settled;
      },
    };
    task.onEnd = () => {
      started.answer = this.finish(task, running);
      this.recorder.ended(running.recorded, started.answer);
      resolve?.(started.answer);
    };
    this.current.kernel.scheduler.run(task, prepared(task));
    this.recorder.ran(running.recorded, started.answer, started.invalidations());
    this.recorder.settle(this.lockedPages());
    return started;
  }

  /** A callback to the outside has returned: its task goes on. */
  callbackReturned(task: Task, answer: CallbackReturn): void {
    if (!task.callback) return;
    this.recorder.callbackReturned(task.callback.device, answer);
    this.kernel.scheduler.resume(task, answer);
    this.recorder.settle(this.lockedPages());
  }

  /** locked_vm of process p0, pages: what recordings show after every call. */
  lockedPages(): number {
    return this.current.process('p0').lockedVm;
  }

  /** What the console of this kernel would show. */
  dmesg(): string {
    return this.console.text(this.kernel.gen);
  }

  /** The calls so far as a trace with expectations, and whether it was cut. */
  trace(id: string): { scenario: Scenario; truncated: boolean } {
    return this.recorder.trace(id, this.kernel.gen.version);
  }

  private containerOf(call: CallObject): string | undefined {
    if (typeof call.container === 'string') return call.container;
    const id = targetId(call);
    return id === undefined ? undefined : this.kernel.devices.get(id)?.group.container?.id;
  }

  private finish(task: Task<CallResult>, running: Running): Answer {
    this.running.delete(task as Task);
    running.delivery?.abort();
    this.journalInvalidations(task as Task, running);
    const answer: Answer = {
      call: task.call,
      end: task.end!,
      log: task.splats.map((event) => event.entry),
      invalidations: task.invalidations.map(invalidationEntry),
      advisories: task.advisories.list().map((advisory) => advisoryEntry(advisory, task.call)),
      why: task.why,
    };
    this.options.metrics?.answered(answer);
    this.events.append({
      kind: 'answer',
      cause: running.seq,
      ...where(running),
      how: answer.end.how,
      errno: errnoOf(answer),
    });
    return answer;
  }

  private onSplat(task: Task, { entry, details }: SplatEvent): void {
    const running = this.running.get(task);
    if (!running) throw new Error(`a splat of ${task.call}, which is not running`);
    this.journalInvalidations(task, running);
    const seq = this.events.append({ kind: 'splat', cause: running.seq, ...where(running), splat: entry });
    this.options.metrics?.splat(entry, this.kernel.gen);
    const inCallback = task.device === undefined ? details.device : undefined;
    const driver = inCallback === undefined ? undefined : this.kernel.devices.get(inCallback)?.driver;
    this.console.add({
      seq,
      entry,
      call: task.call,
      callback: driver?.config?.type.replaceAll('-', '_'),
      taint: [...this.kernel.taint],
    });
    logSplat(this.options.log, entry, details, {
      gen: this.kernel.gen,
      call: task.call,
      container: running.container,
      device: running.device,
      reqId: running.reqId,
      seq,
    });
    const { panicOnWarn, panicOnOops } = this.current.policy;
    const warns = entry.kind === 'WARN_ON' || entry.kind === 'WARN_ON_ONCE';
    if (warns && panicOnWarn) this.options.onPanic('panic_on_warn set');
    if (entry.kind === 'BUG_ON' && panicOnOops) this.options.onPanic('Fatal exception');
  }

  /** A task waits for the world outside: a webhook driver is called. */
  private onCallback(task: Task, callback: PendingCallback): void {
    this.journalInvalidations(task);
    const running = this.running.get(task);
    const { webhooks } = this.options;
    const { config } = this.machine.device(callback.device).driver;
    if (callback.mode !== 'outside' || config?.type !== 'webhook' || !webhooks || !running) return;
    const delivery = new AbortController();
    running.delivery = delivery;
    const seq = callback.invalidation ? running.invalidationSeq : running.seq;
    const origin = { seq, container: running.container };
    const report = (outcome: WebhookReport) => this.onWebhook(running, outcome);
    deliver(this, webhooks, config as WebhookConfig, task, callback, origin, report, delivery.signal).catch(
      (error: unknown) => {
        this.options.log.error({ err: error, ...where(running) }, 'delivering a webhook failed in this host');
        if (task.callback === callback) this.callbackReturned(task, {});
      },
    );
  }

  private onWebhook(running: Running, webhook: WebhookReport): void {
    this.options.metrics?.callback(webhook.outcome);
    const seq = this.events.append({
      kind: 'webhook',
      cause: running.seq,
      ...where(running),
      device: webhook.device,
      webhook,
    });
    const fields = { webhook, ...where(running), device: webhook.device, reqId: running.reqId, seq };
    if (webhook.outcome === 'returned') this.options.log.debug(fields, 'webhook returned');
    else {
      this.options.log.warn(
        fields,
        `webhook of ${webhook.device} counts as returned without doing anything: ${webhook.reason}`,
      );
    }
  }

  private onAdvisory(task: Task, advisory: Advisory): void {
    const running = this.running.get(task);
    if (!running) throw new Error(`an advisory of ${task.call}, which is not running`);
    this.journalInvalidations(task, running);
    const entry = advisoryEntry(advisory, task.call);
    this.options.metrics?.advisory(entry.kind);
    const seq = this.events.append({
      kind: 'advisory',
      cause: running.seq,
      ...where(running),
      advisory: entry,
    });
    this.options.log.warn(
      { advisory: entry, ...where(running), reqId: running.reqId, seq },
      `${entry.kind}: ${entry.text}`,
    );
  }

  /** Brings the journal up to date with the callbacks a task has made. */
  private journalInvalidations(task: Task, running = this.running.get(task)): void {
    if (!running) return;
    for (; running.journalled < task.invalidations.length; running.journalled++) {
      const { device, iova, length, attempt, round } = task.invalidations[running.journalled]!;
      running.invalidationSeq = this.events.append({
        kind: 'invalidation',
        cause: running.seq,
        ...(running.container === undefined ? {} : { container: running.container }),
        device,
        iova: hex(iova),
        length: hex(length),
        attempt,
        round,
      });
      this.countCallback(device);
    }
  }

  /** Counts a callback that was delivered; one to a webhook counts when it has ended. */
  private countCallback(device: string): void {
    const type = this.kernel.devices.get(device)?.driver.config?.type;
    if (type !== 'webhook') this.options.metrics?.callback(type === 'manual' ? 'manual' : 'built-in');
  }
}

function where({ container, device }: Running): { container?: string; device?: string } {
  return { ...(container === undefined ? {} : { container }), ...(device === undefined ? {} : { device }) };
}

/** The answer to a call that will not be finished. */
function abandoned(call: string, why: string): RequestProblem {
  return new RequestProblem(503, 'abandoned', 'Call abandoned', `${call} was under way when ${why}`);
}

/** A call that a fault makes fail before it does anything. */
function failing(fault: string, errno: Errno): PreparedCall {
  return function* (task) {
    return refuse(task as Task, errno, `fault ${fault} strikes`);
  };
}
