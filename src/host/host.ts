import type { CallObject } from '../../schemas/calls.ts';
import { Machine, type MachineLimits, type PanicPolicy } from '../calls/machine.ts';
import { RequestProblem } from '../calls/problem.ts';
import type { CallResult } from '../calls/result.ts';
import { prepareCall, targetId } from '../calls/table.ts';
import type { Generation } from '../kernel/generation.ts';
import { Kernel } from '../kernel/kernel.ts';
import { hex } from '../kernel/pages.ts';
import { type SplatEvent, Task } from '../kernel/task.ts';
import { type Answer, errnoOf, type InvalidationEntry, invalidationEntry } from './answer.ts';
import { Journal } from './journal.ts';
import { type HostLogger, logSplat } from './kernel-log.ts';

/** What one host may use up, beyond its machine. */
export interface HostLimits extends MachineLimits {
  /** Journal entries kept. */
  readonly journal: number;
  /** Calls that may be under way at once, waiting for a lock or a callback. */
  readonly pendingCalls: number;
}

/** What a host is made with. */
export interface HostOptions {
  readonly gen: Generation;
  readonly limits: HostLimits;
  readonly policy: PanicPolicy;
  readonly log: HostLogger;
  /** Called when a splat meets panicOnWarn or panicOnOops, after its line was written. */
  readonly onPanic: (reason: string) => void;
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

interface Running {
  call: CallObject;
  seq: number;
  reqId: string | undefined;
  container: string | undefined;
  device: string | undefined;
  /** Callbacks of the task that are in the journal. */
  journalled: number;
}

/**
 * One emulated host: a machine, its journal and its log. A service may hold several.
 */
export class Host {
  private current: Machine;
  private events: Journal;
  private readonly running = new Map<Task, Running>();
  private readonly initialPolicy: PanicPolicy;

  constructor(private readonly options: HostOptions) {
    this.initialPolicy = { ...options.policy };
    this.current = this.newMachine(options.gen);
    this.events = new Journal(options.limits.journal);
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
      callback: (task) => this.journalInvalidations(task),
    });
    return new Machine(kernel, this.options.limits, { ...this.initialPolicy });
  }

  /** Everything back to the start: ids from 0, once-only warnings armed, parameters as configured. */
  reset(gen: Generation = this.kernel.gen): void {
    this.abandonPending('the host was reset');
    this.current = this.newMachine(gen);
    this.events = new Journal(this.options.limits.journal);
  }

  /** Answers every call under way with a problem: it will not be finished. */
  abandonPending(why: string): void {
    for (const task of [...this.running.keys()]) {
      const error = new RequestProblem(
        503,
        'abandoned',
        'Call abandoned',
        `${task.call} was under way when ${why}`,
      );
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
    if (this.running.size >= limits.pendingCalls) {
      throw RequestProblem.tooMany('calls under way', limits.pendingCalls);
    }
    const prepared = prepareCall(this.current, call);
    const device = typeof call.device === 'string' ? call.device : undefined;
    const task = new Task<CallResult>(call.call, device);
    const running: Running = {
      call,
      seq: 0,
      reqId,
      container: this.containerOf(call),
      device,
      journalled: 0,
    };
    running.seq = this.events.append({ kind: 'call', ...where(running), ...(reqId ? { reqId } : {}), call });
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
      resolve?.(started.answer);
    };
    this.current.kernel.scheduler.run(task, prepared(task));
    return started;
  }

  private containerOf(call: CallObject): string | undefined {
    if (typeof call.container === 'string') return call.container;
    const id = targetId(call);
    return id === undefined ? undefined : this.kernel.devices.get(id)?.group.container?.id;
  }

  private finish(task: Task<CallResult>, running: Running): Answer {
    this.running.delete(task as Task);
    this.journalInvalidations(task as Task, running);
    const answer: Answer = {
      call: task.call,
      end: task.end!,
      log: task.splats.map((event) => event.entry),
      invalidations: task.invalidations.map(invalidationEntry),
      why: task.why,
    };
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
    logSplat(this.options.log, entry, details, {
      version: this.kernel.gen.version,
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

  /** Brings the journal up to date with the callbacks a task has made. */
  private journalInvalidations(task: Task, running = this.running.get(task)): void {
    if (!running) return;
    for (; running.journalled < task.invalidations.length; running.journalled++) {
      const { device, iova, length, attempt, round } = task.invalidations[running.journalled]!;
      this.events.append({
        kind: 'invalidation',
        cause: running.seq,
        ...(running.container === undefined ? {} : { container: running.container }),
        device,
        iova: hex(iova),
        length: hex(length),
        attempt,
        round,
      });
    }
  }
}

function where({ container, device }: Running): { container?: string; device?: string } {
  return { ...(container === undefined ? {} : { container }), ...(device === undefined ? {} : { device }) };
}
