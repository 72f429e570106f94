import type { CallObject } from '../../schemas/calls.ts';
import type { WebhookConfig } from '../../schemas/drivers/external.ts';
import type { Snapshot } from '../../schemas/snapshot.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { Kernel } from '../kernel/kernel.ts';
import {
  type CallbackReturn,
  type PendingCallback,
  refuse,
  type SplatEvent,
  type Task,
} from '../kernel/task.ts';
import { answerOf, invalidationEntry } from '../machine/answer.ts';
import type { PreparedCall } from '../machine/call-handler.ts';
import { Machine, type MachineLimits, type PanicPolicy } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { prepareCall, targetId } from '../machine/table.ts';
import type { HostMetrics } from '../metrics/host-metrics.ts';
import type { Scenario } from '../replay/scenario.ts';
import { generationOfSnapshot, restoreSnapshot } from '../snapshot/restore.ts';
import { takeSnapshot } from '../snapshot/take.ts';
import type { WebhookCaller } from '../webhook/caller.ts';
import { CallTask, Started, type StartedCall } from './call-task.ts';
import type { Journal } from './journal.ts';
import type { HostLogger } from './kernel-log.ts';
import { TraceRecorder } from './recorder.ts';
import { Reporter } from './reporter.ts';
import { deliver } from './webhooks.ts';

export type { StartedCall } from './call-task.ts';

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

/** Calls without which what is under way could not end: they are never too many. */
const LETS_GO = new Set(['resume-callbacks', 'complete-callback', 'pin-pages', 'unpin-pages', 'dma-rw']);

/**
 * One emulated host: a machine, its journal and its log. A service may hold several.
 */
export class Host {
  private current: Machine;
  private recorder: TraceRecorder;
  private reporter: Reporter;
  /** Calls that wait for a lock or a callback. */
  private readonly waiting = new Set<CallTask>();
  /** Ends the wait of each call that a fault delays; with the call's name. */
  private readonly delayed = new Map<(why: string) => void, string>();
  private readonly initialPolicy: PanicPolicy;

  constructor(private readonly options: HostOptions) {
    this.initialPolicy = { ...options.policy };
    this.current = this.newMachine(options.gen);
    this.recorder = new TraceRecorder(options.limits.trace);
    this.reporter = this.newReporter();
  }

  get machine(): Machine {
    return this.current;
  }
  get kernel(): Kernel {
    return this.current.kernel;
  }
  get journal(): Journal {
    return this.reporter.journal;
  }

  private newMachine(gen: Generation): Machine {
    const kernel = new Kernel(gen, this.options.limits, {
      splat: (task, event) => this.onSplat(task as CallTask, event),
      advisory: (task, advisory) => this.reporter.advisory(task as CallTask, advisory),
      callback: (task, callback) => this.onCallback(task as CallTask, callback),
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

  private newReporter(): Reporter {
    const { limits, log, metrics } = this.options;
    return new Reporter(this.kernel, limits.journal, log, metrics);
  }

  /** Everything back to the start: ids from 0, once-only warnings armed, parameters as configured. */
  reset(gen: Generation = this.kernel.gen): void {
    this.replaceMachine(this.newMachine(gen), 'reset', 'the host was reset');
  }

  /**
   * The state of the host as a snapshot.
   *
   * @param secrets whether the secrets of webhooks are in it
   * @throws Refused 409 while calls are under way
   */
  snapshot(secrets: boolean): Snapshot {
    const underway = this.underway();
    if (underway.length === 0) return takeSnapshot(this.current, secrets);
    throw new Refused(
      409,
      'calls-under-way',
      'Calls under way',
      `a snapshot has no place for calls under way: ${underway.join('; ')}`,
    );
  }

  /**
   * Becomes what a snapshot of checked form says, on its kernel. Calls under way are answered with a problem;
   * journal, trace and console start anew.
   *
   * @param where what to call the snapshot in messages
   * @throws Refused when it cannot be; the host is as it was then
   */
  restore(snapshot: Snapshot, where: string): void {
    const machine = this.newMachine(generationOfSnapshot(snapshot, where));
    restoreSnapshot(machine, snapshot, where);
    this.replaceMachine(machine, 'reset to a snapshot', 'the host was restored from a snapshot', false);
  }

  private replaceMachine(machine: Machine, reason: string, why: string, fromNothing = true): void {
    this.abandonPending(why);
    this.journal.end(reason);
    this.current = machine;
    this.reporter = this.newReporter();
    this.recorder = new TraceRecorder(this.options.limits.trace, fromNothing);
  }

  /** Calls that have not been answered and are not dead, and what each waits for, in words. */
  underway(): string[] {
    const waiting = this.kernel.scheduler.pending.map(({ call, device, waitsFor, callback }) => {
      const who = device === undefined ? call : `${call} of ${device}`;
      if (waitsFor) return `${who} waits for ${waitsFor.name}`;
      return `${who} waits for the ${callback?.call} callback of ${callback?.device}`;
    });
    return [...waiting, ...[...this.delayed.values()].map((call) => `${call} is delayed by a fault`)];
  }

  /** Ends the host: calls under way are answered with a problem, readers of the journal are let go. */
  close(why: string): void {
    this.abandonPending(why);
    this.journal.end(why);
  }

  /** Answers every call under way with a problem: it will not be finished. */
  abandonPending(why: string): void {
    for (const cancel of this.delayed.keys()) cancel(why);
    this.delayed.clear();
    for (const task of [...this.waiting]) {
      task.end = { how: 'crashed', error: abandoned(task.call, why) };
      task.onEnd();
    }
  }

  /**
   * Starts a call that has been checked. It has run as far as it can when this returns.
   *
   * @throws Refused when it names what is not there; nothing has changed then
   */
  start(call: CallObject, reqId?: string): StartedCall {
    const { limits } = this.options;
    if (this.waiting.size >= limits.pendingCalls && !LETS_GO.has(call.call)) {
      throw Refused.tooMany('calls under way', limits.pendingCalls);
    }
    const prepared = prepareCall(this.current, call);
    const effect = this.current.faults.strike(call);
    if (!effect) return this.launch(call, reqId, prepared);
    this.reporter.fault(call, effect);
    if ('errno' in effect) return this.launch(call, reqId, failing(effect.fault, effect.errno));
    const { delays } = this.options;
    return delays ? this.startLater(call, reqId, effect.delayMs) : this.launch(call, reqId, prepared);
  }

  /** A fault delays a call: it is started, and written into the trace, when its time has come. */
  private startLater(call: CallObject, reqId: string | undefined, delayMs: number): StartedCall {
    let inner: StartedCall | null = null;
    const started: StartedCall = {
      seq: this.journal.seq,
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
        this.delayed.set(cancel, call.call);
      }),
    };
    return started;
  }

  /** Runs a call as a task, as far as it goes. */
  private launch(call: CallObject, reqId: string | undefined, prepared: PreparedCall): StartedCall {
    const device = typeof call.device === 'string' ? call.device : undefined;
    const recorded = this.recorder.begin(call);
    const task = new CallTask(call, device, this.containerOf(call), reqId, recorded, this.finish);
    task.seq = this.reporter.called(task);
    this.kernel.scheduler.run(task, prepared(task));
    if (!task.end) this.waiting.add(task);
    if (task.answer) this.recorder.answered(recorded, task.answer);
    else this.recorder.waits(recorded, task.invalidations.map(invalidationEntry));
    this.recorder.settle(this.lockedPages());
    return new Started(task);
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
    return this.reporter.dmesg();
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

  /** A call has ended: its answer, told to whoever waits and written down. */
  private readonly finish = (task: CallTask): void => {
    this.waiting.delete(task);
    task.delivery?.abort();
    task.answer = answerOf(task);
    this.reporter.answered(task, task.answer);
    this.recorder.ended(task.recorded, task.answer);
  };

  private onSplat(task: CallTask, event: SplatEvent): void {
    this.reporter.splat(task, event);
    const { kind } = event.entry;
    const { panicOnWarn, panicOnOops } = this.current.policy;
    const warns = kind === 'WARN_ON' || kind === 'WARN_ON_ONCE';
    if (warns && panicOnWarn) this.options.onPanic('panic_on_warn set');
    if (kind === 'BUG_ON' && panicOnOops) this.options.onPanic('Fatal exception');
  }

  /** A task waits for the world outside: a webhook driver is called. */
  private onCallback(task: CallTask, callback: PendingCallback): void {
    const { reporter } = this;
    reporter.callbacks(task);
    const { webhooks } = this.options;
    const { config } = this.machine.device(callback.device).driver;
    if (callback.mode !== 'outside' || config?.type !== 'webhook' || !webhooks) return;
    task.delivery = new AbortController();
    deliver(this, webhooks, config as WebhookConfig, task, callback, reporter).catch((error: unknown) => {
      reporter.deliveryFailed(task, error);
      if (task.callback === callback) this.callbackReturned(task, {});
    });
  }
}

/** The answer to a call that will not be finished. */
function abandoned(call: string, why: string): Refused {
  return new Refused(503, 'abandoned', 'Call abandoned', `${call} was under way when ${why}`);
}

/** A call that a fault makes fail before it does anything. */
function failing(fault: string, errno: Errno): PreparedCall {
  return function* (task) {
    return refuse(task as Task, errno, `fault ${fault} strikes`);
  };
}
