import type { CallObject, Convenience } from '../../schemas/calls.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { CallbackReturn, PendingCallback } from '../kernel/callback.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { Kernel } from '../kernel/kernel.ts';
import type { ProcessMemory } from '../kernel/memory.ts';
import type { Process } from '../kernel/process.ts';
import type { SplatEvent } from '../kernel/splats.ts';
import type { Container } from '../kernel/vfio/container.ts';
import type { Device } from '../kernel/vfio/device.ts';
import { actorOf } from './actor.ts';
import { CONVENIENCES, Sequence } from './attach.ts';
import type { PreparedCall } from './call-handler.ts';
import { CallTask, type StartedCall } from './call-task.ts';
import { type FaultEffect, Faults, failing } from './faults.ts';
import { Ids } from './ids.ts';
import { MACHINE_LIMITS, type MachineLimits } from './limits.ts';
import { type Listeners, listenersOf } from './listener.ts';
import type { MachineOptions, PanicPolicy } from './options.ts';
import { QueuedCall } from './queued-call.ts';
import { Refused } from './refused.ts';
import { knownCall } from './table.ts';
import { TurnQueue } from './turn-queue.ts';
import { waitsForOf } from './underway.ts';

/**
 * A kernel with what clients see around it: ids, resource limits, host parameters, faults. Calls act on it, and its
 * listeners are told what happens.
 */
export class Machine {
  readonly kernel: Kernel;
  readonly policy: PanicPolicy;
  readonly faults: Faults;
  readonly ids: Ids;
  /** Whether answers have the hash of many bytes in their place. */
  readonly hashesBytes: boolean;
  private readonly listeners: Listeners;
  /** Calls that wait for a lock or a callback. */
  private readonly waiting = new Set<CallTask>();
  /** Calls that a fault delays, with what prevents their start. */
  readonly delayed = new Map<CallTask, () => void>();
  /** What is to be done when the kernel's work is done. */
  private readonly later: (() => void)[] = [];
  /** What is to be done next when the work that pauses has gone on. */
  private afterPause: (() => void) | null = null;
  /** What waits until the kernel is through with what it does, and nobody holds the machine. */
  readonly turns: TurnQueue;

  constructor(
    gen: Generation,
    readonly limits: MachineLimits = MACHINE_LIMITS,
    private readonly options: MachineOptions = {},
  ) {
    this.hashesBytes = options.hashesBytes ?? false;
    this.policy = { panicOnWarn: false, panicOnOops: false, ...options.policy };
    this.listeners = listenersOf(options.listeners ?? []);
    this.faults = new Faults(limits.faults);
    this.kernel = new Kernel(gen, limits, options.budgets);
    this.ids = new Ids(this.kernel);
    this.kernel.scheduler.pauses = options.pauses ?? null;
    this.turns = new TurnQueue(this.kernel);
    this.kernel.dropsCallback = (device) =>
      this.faults.drops('dma-unmap', device.id, device.group.container?.id);
  }

  /**
   * Starts a call that has been checked. It has run as far as it can when this returns.
   *
   * @param reqId id of the request that makes it, for the listeners
   * @param background whether nobody waits for it: where it sleeps time does not pass, until another call waits
   *   or somebody does wait
   * @throws Refused when it names what is not there; nothing has changed then
   */
  start(call: CallObject, reqId?: string, background = false): StartedCall {
    const known = knownCall(call.call)!;
    if (this.turns.isBusy) return this.startLater(call, known.byDriver, reqId, background);
    if (known.isConvenience) {
      const plan = CONVENIENCES[known.name as Convenience](this, call);
      return new Sequence(this, call, plan, reqId, background);
    }
    if (!known.byDriver) this.refuseOneMore(this.limits.pendingCalls);
    const target = known.target(this, call);
    const prepared = known.prepare(this, target, call);
    // Refused before it counts.
    const actor = actorOf(this, call, known, target);
    const task = new CallTask(this, call, known, actor, reqId, background);
    const effect = this.faults.strike(call);
    if (effect) this.strike(task, prepared, effect);
    else this.run(task, prepared);
    return task;
  }

  /** Calls that have not been answered, wherever they wait. */
  private get unanswered(): number {
    return this.waiting.size + this.delayed.size + this.turns.length;
  }

  private refuseOneMore(limit: number): void {
    if (this.unanswered >= limit) throw Refused.tooMany('calls under way', limit);
  }

  /** A call whose turn comes later. What it names is looked up then. */
  private startLater(
    call: CallObject,
    byDriver: boolean,
    reqId: string | undefined,
    background: boolean,
  ): StartedCall {
    // What is under way might not end without a driver's calls; as many again are theirs.
    const { pendingCalls } = this.limits;
    this.refuseOneMore(byDriver ? 2 * pendingCalls : pendingCalls);
    const queued = new QueuedCall(call);
    this.turns.add({
      call: call.call,
      do: () => queued.begin(() => this.start(call, reqId, background)),
      refuse: (error) => queued.refuse(error),
    });
    return queued;
  }

  /** Where the kernel's work pauses: goes on with `then` when others have had their turn. */
  private pausedBefore(then: () => void): boolean {
    const { paused } = this.kernel.scheduler;
    if (!paused) return false;
    // Told bit by bit, as it was done: nobody else runs in between.
    this.tellCallbacks(paused as CallTask);
    (paused as CallTask).callbacks();
    this.afterPause = then;
    this.options.pauses!.later(() => this.proceed());
    return true;
  }

  /** Goes on with work that pauses, up to its next pause. */
  proceed(): void {
    const { afterPause } = this;
    if (!afterPause) return;
    this.afterPause = null;
    this.kernel.scheduler.goOn();
    afterPause();
    this.turns.takeTurns();
  }

  /** A fault strikes a call: it fails before it does anything, or begins when its time has come. */
  private strike(task: CallTask, prepared: PreparedCall, effect: FaultEffect): void {
    for (const listener of this.listeners.fault) listener.fault!(task.object, effect);
    const { delay } = this.options;
    if ('errno' in effect) this.run(task, failing(effect.fault, effect.errno));
    else if (!delay) this.run(task, prepared);
    else
      this.delayed.set(
        task,
        delay(effect.delayMs, () => this.turns.do(task.call, () => this.begin(task))),
      );
  }

  /** The time of a delayed call has come: what it names may have gone in the meantime. */
  private begin(task: CallTask): void {
    if (!this.delayed.delete(task)) return;
    let prepared: PreparedCall;
    try {
      const { known, object } = task;
      prepared = known.prepare(this, known.target(this, object), object);
    } catch (error) {
      task.giveUp(error as Error);
      this.settle();
      return;
    }
    this.run(task, prepared);
  }

  /** Runs a call as a task, as far as it goes. */
  private run(task: CallTask, prepared: PreparedCall): void {
    task.container = this.containerOf(task);
    for (const listener of this.listeners.called) listener.called!(task);
    this.kernel.scheduler.run(task, task.begin(prepared));
    this.ran(task);
  }

  /** A call has run as far as it can, or pauses. */
  private ran(task: CallTask): void {
    if (task.end !== null && !task.background && !this.kernel.scheduler.paused) {
      this.settle();
      return;
    }
    const again = () => this.ran(task);
    if (this.pausedBefore(again)) return;
    if (task.end === null && !task.background) {
      this.passTime(task);
      if (this.pausedBefore(again)) return;
    }
    if (task.end === null || task.background) task.takeOps();
    if (task.end === null) {
      this.waiting.add(task);
      for (const listener of this.listeners.waits) listener.waits!(task);
    }
    this.settle();
  }

  /** Lets time pass while a call sleeps, or waits for one that does. */
  private passTime(task: CallTask): void {
    this.kernel.scheduler.passTime(() => task.end === null);
  }

  /** Somebody waits for a call from now on. */
  await(task: CallTask): void {
    this.turns.do(task.call, () => this.passTimeFor(task));
  }

  private passTimeFor(task: CallTask): void {
    this.passTime(task);
    if (this.pausedBefore(() => this.passTimeFor(task))) return;
    task.takeOps();
    this.settle();
  }

  /** A callback to the outside has returned: its call goes on. Does nothing where it has ended meanwhile. */
  resume(task: CallTask, answer: CallbackReturn): void {
    this.turns.do(task.call, () => {
      const { callback } = task;
      if (!callback) return;
      // In a replay it is a call that returns, and looks.
      task.takeOps();
      for (const listener of this.listeners.returned) listener.returned!(task, callback, answer);
      this.kernel.scheduler.resume(task, answer);
      this.settle();
    });
  }

  /** The kernel printed something because of a call. */
  splat(task: CallTask, event: SplatEvent): void {
    this.tellCallbacks(task);
    for (const listener of this.listeners.splat) listener.splat!(task, event);
  }

  /** A call has a finding that the kernel does not make, for the first time. */
  advisory(task: CallTask, advisory: Advisory): void {
    this.tellCallbacks(task);
    for (const listener of this.listeners.advisory) listener.advisory!(task, advisory);
  }

  /** A call stopped in a callback to the outside. */
  callback(task: CallTask, callback: PendingCallback): void {
    this.tellCallbacks(task);
    for (const listener of this.listeners.callback) listener.callback!(task, callback);
  }

  /** A call's task has ended. */
  ended(task: CallTask): void {
    if (this.waiting.size > 0) this.waiting.delete(task);
    if (task.told < task.invalidations.length) this.tellCallbacks(task);
    for (const listener of this.listeners.ended) listener.ended!(task);
  }

  /** Does something that starts calls, as soon as the kernel's work is done. */
  afterwards(action: () => void): void {
    this.later.push(action);
  }

  /** The kernel's work is done for now. */
  private settle(): void {
    if (this.kernel.scheduler.paused && this.pausedBefore(() => this.settle())) return;
    if (this.waiting.size > 0) {
      this.passTimeForWaiting();
      if (this.pausedBefore(() => this.settle())) return;
    }
    for (const listener of this.listeners.quiet) listener.quiet!();
    while (this.later.length > 0) this.later.shift()!();
  }

  /** Who waits for a call that sleeps, or for one that waits for such a call, waits no longer than it takes. */
  private passTimeForWaiting(): void {
    for (const task of [...this.waiting]) if (!task.background) this.passTime(task);
  }

  /** Tells the listeners of the callbacks a call has made since they were last told. */
  private tellCallbacks(task: CallTask): void {
    const { invalidations } = task;
    while (task.told < invalidations.length) {
      const invalidation = invalidations[task.told++]!;
      for (const listener of this.listeners.invalidated) listener.invalidated!(task, invalidation);
    }
  }

  /** How many calls have not been answered and are not dead, wherever they wait. */
  get pendingCalls(): number {
    const { pending } = this.kernel.scheduler;
    return pending.length + (this.isAtWork ? 1 : 0) + this.delayed.size + this.turns.length;
  }

  /** Whether a call pauses in the middle of its work. */
  private get isAtWork(): boolean {
    const { paused } = this.kernel.scheduler;
    return paused !== null && !this.waiting.has(paused as CallTask);
  }

  /** Calls that have not been answered and are not dead, and what each waits for, in words. */
  underway(): string[] {
    const waiting = this.kernel.scheduler.pending.map((task) => {
      const { call, device, sleepsUntil } = task;
      const who = device === undefined ? call : `${call} of ${device}`;
      return sleepsUntil === null ? `${who} waits for ${waitsForOf(task)}` : `${who} sleeps`;
    });
    const { paused } = this.kernel.scheduler;
    return [
      ...(this.isAtWork ? [`${paused!.call} is at work`] : []),
      ...waiting,
      ...[...this.delayed.keys()].map(({ call }) => `${call} is delayed by a fault`),
      ...this.turns.calls.map((call) => `${call} waits for its turn`),
    ];
  }

  /** Ends every call under way: it will not be finished. */
  abandon(why: string): void {
    for (const [task, prevent] of this.delayed) {
      prevent();
      task.giveUp(abandoned(task.call, why));
    }
    this.delayed.clear();
    const { scheduler } = this.kernel;
    const paused = scheduler.paused as CallTask | null;
    scheduler.dropPaused();
    this.afterPause = null;
    const ended = paused && !this.waiting.has(paused) ? [...this.waiting, paused] : [...this.waiting];
    for (const task of ended) {
      task.end = { how: 'crashed', error: abandoned(task.call, why) };
      task.onEnd();
    }
    this.turns.giveUp((call) => abandoned(call, why));
    this.settle();
  }

  /** Whether webhooks are called; where not, complete-callback stands in for them. */
  get callsWebhooks(): boolean {
    return this.options.refusesWebhook !== undefined;
  }

  /** Why a webhook's URL can never be called, in words; null when it may be. */
  refusesWebhook(url: string): string | null {
    return this.options.refusesWebhook?.(url) ?? null;
  }

  /**
   * Refuses a pid where memory is emulated only.
   *
   * @throws Refused
   */
  refuseRealMemory(): void {
    if (this.options.realMemory) return;
    throw new Refused(
      'no-real-memory',
      'pid gives clients the memory of a process of this machine, which this service does not: it was not started with PROCESS_MEMORY=real',
    );
  }

  /** The memory of a real process; null where there is none. `id` tells whose it will be here. */
  realMemory(pid: number, id: () => string): ProcessMemory | null {
    return this.options.realMemory?.(pid, id) ?? null;
  }

  private containerOf({ object, known, device }: CallTask): string | undefined {
    if (typeof object.container === 'string') return object.container;
    if (known.on !== 'device') return undefined;
    return this.kernel.devices.get(device!)?.group.container?.id;
  }

  process(id: string): Process {
    const process = this.kernel.processes.get(id);
    if (!process) throw Refused.notFound('process', id);
    return process;
  }

  /** A container whose object exists, be its file open or closed. */
  container(id: string): Container {
    const container = this.kernel.containers.get(id);
    if (!container) throw Refused.notFound('container', id);
    return container;
  }

  device(id: string, alsoGone = false): Device {
    const { devices, gone } = this.kernel;
    const device = devices.get(id) ?? (alsoGone ? gone.get(id) : undefined);
    if (!device) throw Refused.notFound('device', id);
    return device;
  }
}

/** The answer to a call that will not be finished. */
function abandoned(call: string, why: string): Refused {
  return new Refused('abandoned', `${call} was under way when ${why}`);
}
