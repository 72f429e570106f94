import type { CallObject } from '../../schemas/calls.ts';
import type { Snapshot } from '../../schemas/snapshot.ts';
import { Budget } from '../budget.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { Kernel, KernelBudgets } from '../kernel/kernel.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import type { ListOf } from '../kernel/vfio/container.ts';
import type { CallTask, StartedCall } from '../machine/call-task.ts';
import { Machine } from '../machine/machine.ts';
import type { Delay, PanicPolicy } from '../machine/options.ts';
import { Refused } from '../machine/refused.ts';
import type { Scenario, Step } from '../replay/scenario.ts';
import { generationOfSnapshot, restoreSnapshot, restoreSteps } from '../snapshot/restore.ts';
import { takeSnapshot } from '../snapshot/take.ts';
import { Turn, type Turns } from '../turns.ts';
import type { WebhookCaller } from '../webhook/caller.ts';
import { Console } from './dmesg.ts';
import { Findings } from './findings.ts';
import { guarded } from './guarded.ts';
import { Journal } from './journal.ts';
import { JournalWriter } from './journal-writer.ts';
import type { HostLogger } from './kernel-log.ts';
import type { HostLimits } from './limits.ts';
import type { HostListener } from './listener.ts';
import { LogWriter } from './log-writer.ts';
import { RealMemory } from './real-memory.ts';
import { TraceRecorder } from './recorder.ts';
import { Waiting } from './waiting.ts';
import { Webhooks } from './webhooks.ts';

/** What a host is made with. */
interface HostOptions {
  /** Name of its rig, for those who are called. */
  readonly rig?: string;
  readonly gen: Generation;
  readonly limits: HostLimits;
  readonly policy: PanicPolicy;
  readonly log: HostLogger;
  /** Delivers the callbacks of webhook drivers; without it they wait for complete-callback. */
  readonly webhooks: WebhookCaller | null;
  /** Whether faults that delay a call do so. */
  readonly delays: boolean;
  /** Whether long work of the kernel pauses, so that others on this thread have their turn. */
  readonly pauses?: boolean;
  /** Takes the steps of the trace that are more than are kept; without it they are dropped. */
  readonly traceOverflow?: ((steps: Step[]) => void) | undefined;
  /** Whether a process may have the memory of a real one. */
  readonly realMemory?: boolean;
  /** Called when a splat meets panicOnWarn or panicOnOops, after its line was written; says what ends with it. */
  readonly onPanic: (reason: PanicReason) => 'process' | 'rig';
  /** Bytes that the journals and traces of all hosts may take together. */
  readonly budget?: Budget;
  /** What the kernels of all hosts may have together. */
  readonly kernelBudgets?: KernelBudgets;
  /** Told, after it was logged, when a listener has thrown. */
  readonly onListenerFailure?: () => void;
  /** Told what happens, to count it. */
  readonly metrics?: HostListener;
}

/** What a panic's line says. */
export type PanicReason = 'panic_on_warn set' | 'Fatal exception';

/** A machine and those that listen to it from its start to the next reset. */
interface Current {
  readonly machine: Machine;
  readonly waiting: Waiting;
  readonly journal: Journal;
  readonly trace: TraceRecorder;
  readonly console: Console;
  readonly findings: Findings;
  /** The memories of real processes that it has. */
  readonly memories: Set<RealMemory>;
  /** The line of the panic that ended it; null while it lives. */
  panicked: string | null;
  /** What its journal and trace take. */
  readonly budget: Budget;
}

/** One emulated host: a machine with its journal, trace, console, log lines, metrics and webhooks. */
export class Host {
  private current: Current;
  /** What is to take its place, by the work that makes it. */
  private readonly making = new Map<Turns, Current>();
  /** Why it has ended for good; null while it has not. */
  private closed: string | null = null;

  constructor(private readonly options: HostOptions) {
    this.current = this.make(options.gen, true);
  }

  /** The line of the panic that ended it; null while it lives. */
  get panicked(): string | null {
    return this.current.panicked;
  }
  get machine(): Machine {
    return this.current.machine;
  }
  get kernel(): Kernel {
    return this.current.machine.kernel;
  }
  get journal(): Journal {
    return this.current.journal;
  }
  /** What it has met since its start, counted. */
  get findings(): Findings {
    return this.current.findings;
  }
  /** The calls under way. */
  get waiting(): Waiting {
    return this.current.waiting;
  }

  /** @param fromNothing whether the machine stays as it is made; where not, its trace has no beginning */
  private make(gen: Generation, fromNothing: boolean): Current {
    const { rig, limits, policy, log, webhooks, delays, pauses, metrics, realMemory, traceOverflow } =
      this.options;
    const failed = (error: unknown) => this.listenerFailed(error);
    const budget = new Budget(limits.logBytes, this.options.budget ?? null);
    const journal = new Journal(limits.journal, budget, failed);
    const trace = new TraceRecorder(
      (id) => machine.kernel.processes.get(id)?.lockedVm ?? null,
      limits.trace,
      fromNothing,
      traceOverflow,
      budget,
    );
    const console = new Console(journal);
    const findings = new Findings();
    const waiting = new Waiting();
    const memories = new Set<RealMemory>();
    // The journal comes first: the others name its entries.
    const watchers: HostListener[] = [
      new JournalWriter(journal),
      trace,
      console,
      new LogWriter(log, journal),
      findings,
      waiting,
    ];
    if (metrics) watchers.push(metrics);
    const listeners = watchers.map((watcher) => guarded(watcher, failed));
    listeners.push({ splat: (task, event) => panics(task, event, (why) => this.panic(current, why)) });
    if (webhooks) listeners.push(new Webhooks(webhooks, listeners, rig));
    const machine = new Machine(gen, limits, {
      policy,
      listeners,
      ...(webhooks ? { refusesWebhook: (url: string) => webhooks.refuses(url) } : {}),
      delay: delays ? wait : undefined,
      pauses: pauses ? new Turn() : undefined,
      budgets: this.options.kernelBudgets,
      realMemory: realMemory
        ? (pid, id) => {
            const memory: RealMemory | null = RealMemory.of(pid, (fact) => trace.learnt(memory!, id(), fact));
            for (const one of memories) if (one.closed) memories.delete(one);
            if (memory) memories.add(memory);
            return memory;
          }
        : undefined,
    });
    const current: Current = {
      machine,
      journal,
      trace,
      console,
      findings,
      waiting,
      memories,
      budget,
      panicked: null,
    };
    return current;
  }

  /** Everything back to the start: ids from 0, once-only warnings armed, parameters as configured. */
  reset(gen: Generation = this.kernel.gen): void {
    this.replace(this.make(gen, true), 'reset', 'the host was reset');
  }

  /**
   * The state of the host as a snapshot.
   *
   * @param secrets whether the secrets of webhooks are in it
   * @throws Refused while calls are under way
   */
  snapshot(secrets: boolean, list?: ListOf): Snapshot {
    const underway = this.machine.underway();
    if (underway.length === 0) return takeSnapshot(this.machine, secrets, list);
    throw new Refused(
      'calls-under-way',
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
    const next = this.make(generationOfSnapshot(snapshot, where), false);
    try {
      restoreSnapshot(next.machine, snapshot, where);
    } catch (error) {
      throw forget(next, error);
    }
    this.replace(next, 'reset to a snapshot', 'the host was restored from a snapshot');
  }

  /**
   * The same, of a long snapshot.
   *
   * @param work does it in turns; calls go on meanwhile, on the state that is replaced
   */
  async restoreInTurns(snapshot: Snapshot, where: string, work: Turns): Promise<void> {
    const next = this.make(generationOfSnapshot(snapshot, where), false);
    try {
      await this.whileMaking(next, work, 'restored', () =>
        work.do(restoreSteps(next.machine, snapshot, where)),
      );
    } catch (error) {
      throw forget(next, error);
    }
    this.replace(next, 'reset to a snapshot', 'the host was restored from a snapshot');
  }

  /**
   * Makes what is to take its place. That ends when the host does.
   *
   * @param what is done to it, in words
   */
  private async whileMaking<T>(next: Current, work: Turns, what: string, make: () => Promise<T>): Promise<T> {
    const abandoned = () => new Refused('abandoned', `the rig was being ${what} when ${this.closed}`);
    this.making.set(work, next);
    try {
      const made = await make();
      if (this.closed !== null) throw abandoned();
      return made;
    } catch (error) {
      throw this.closed === null ? error : abandoned();
    } finally {
      this.making.delete(work);
    }
  }

  private replace(next: Current, reason: string, why: string): void {
    end(this.current, reason, why);
    this.current = next;
  }

  /**
   * Becomes what a setup makes of a fresh machine. Calls under way are answered with a problem; journal, trace and
   * console are those of the setup's calls.
   *
   * @param fill makes the calls; it asks `panicked` whether the new machine is dead
   * @param work in whose turns it does
   * @throws what `fill` throws, and Refused where the host ends meanwhile; the host is as it was then
   */
  async setUp<T>(
    gen: Generation,
    fill: (machine: Machine, panicked: () => string | null) => Promise<T>,
    work: Turns,
  ): Promise<T> {
    const next = this.make(gen, true);
    try {
      const made = await this.whileMaking(next, work, 'set up', () =>
        fill(next.machine, () => next.panicked),
      );
      this.replace(next, 'reset by a setup', 'the host was set up anew');
      return made;
    } catch (error) {
      end(next, 'refused', 'the setup was refused');
      throw error;
    }
  }

  /** Ends the host, with its calls under way, and what was to take its place. */
  close(why: string): void {
    this.closed = why;
    end(this.current, why, why);
    for (const [work, next] of this.making) {
      work.stop(new Refused('abandoned', why));
      end(next, why, why);
    }
  }

  /**
   * Starts a call that has been checked. It has run as far as it can when this returns.
   *
   * @throws Refused when it names what is not there; nothing has changed then
   */
  start(call: CallObject, reqId?: string, background?: boolean): StartedCall {
    // A batch goes on with its next line when the one under way was given up.
    if (this.closed !== null) throw new Refused('abandoned', `${call.call} came after ${this.closed}`);
    this.refuseIfPanicked();
    const started = this.machine.start(call, reqId, background);
    this.refuseIfPanicked();
    return started;
  }

  /** The kernel panics: nothing of this host answers until it is reset. */
  private panic(current: Current, reason: PanicReason): void {
    if (current.panicked !== null) return;
    const ends = this.options.onPanic(reason);
    if (ends !== 'rig') return;
    const why = `Kernel panic - not syncing: ${reason}`;
    current.panicked = why;
    const { machine } = current;
    machine.afterwards(() => machine.abandon(why));
  }

  /** Whoever watches cannot break what is watched: that one of them failed is our fault, and is said. */
  private listenerFailed(error: unknown): void {
    this.options.log.error({ err: error }, 'a listener failed');
    this.options.onListenerFailure?.();
  }

  private refuseIfPanicked(): void {
    if (this.panicked === null) return;
    throw new Refused('abandoned', `${this.panicked}: the rig is dead until POST /v1/reset`);
  }

  /** What the console of this kernel would show. */
  dmesg(): string {
    return this.current.console.text(this.kernel.gen);
  }

  /** The trace so far, whose steps are written out one by one, and whether it was cut. */
  traceInSteps(): { steps: Iterable<Step>; truncated: boolean } {
    const { trace } = this.current;
    return { steps: trace.writtenSteps(), truncated: trace.isCut };
  }

  /** The calls so far as a trace with expectations, and whether it was cut. */
  trace(id: string): { scenario: Scenario; truncated: boolean } {
    return this.current.trace.trace(id, this.kernel.gen.version);
  }
}

/** Ends a machine: calls under way are answered with a problem, readers of the journal are told. */
function end({ machine, journal, memories, budget }: Current, reason: string, why: string): void {
  machine.abandon(why);
  journal.end(reason);
  for (const memory of memories) memory.close();
  budget.close();
  machine.kernel.closeBudgets();
}

/** A machine that could not be made goes, with what it has taken. */
function forget(next: Current, error: unknown): unknown {
  end(next, 'refused', 'the snapshot was refused');
  return error;
}

/** A fault's delay, by the clock. */
const wait: Delay = (ms, action) => {
  const timer = setTimeout(action, ms);
  return () => clearTimeout(timer);
};

function panics(
  { machine }: CallTask,
  { entry: { kind } }: SplatEvent,
  onPanic: (why: PanicReason) => void,
): void {
  const { panicOnWarn, panicOnOops } = machine.policy;
  const warns = kind === 'WARN_ON' || kind === 'WARN_ON_ONCE';
  if (warns && panicOnWarn) onPanic('panic_on_warn set');
  if (kind === 'BUG_ON' && panicOnOops) onPanic('Fatal exception');
}
