import type { CallObject } from '../../schemas/calls.ts';
import type { Advisory } from '../kernel/advisories.ts';
import type { PendingCallback } from '../kernel/callback.ts';
import type { DriverEffects } from '../kernel/driver.ts';
import type { Process } from '../kernel/process.ts';
import type { LogEntry, SplatEvent } from '../kernel/splats.ts';
import { type KernelStep, Task } from '../kernel/task.ts';
import { namesActor } from './actor.ts';
import { type Answer, type InvalidationEntry, invalidationEntry, TaskAnswer } from './answer.ts';
import type { KernelCall, PreparedCall } from './call-handler.ts';
import type { Machine } from './machine.ts';
import type { KnownCall } from './table.ts';

/** A call that was started: answered already, or under way. */
export interface StartedCall {
  /** The call itself. */
  readonly object: CallObject;
  /** The answer; null while the call is under way. */
  readonly answer: Answer | null;
  /** Callbacks delivered so far. */
  delivered(): readonly InvalidationEntry[];
  /** What the kernel has printed because of it so far. */
  lines(): readonly LogEntry[];
  /** What drivers did, of those that show it, so far as it is this call's to tell; null: nothing. */
  readonly effects: DriverEffects | null;
  /** Whether it waits for something to happen, for which time must pass: a removal that asks again and again. */
  readonly waitsForEvent: boolean;
  /** Somebody waits for the answer from now on: time passes for it. */
  awaited(): void;
  /** Calls `tell` with the answer, now where there is one. */
  whenAnswered(tell: (answer: Answer) => void): void;
  /** Ends what can be ended; a call of the kernel cannot. */
  cancel?(): void;
}

/** The answer of a call, once there is one. It never rejects. */
export function answerTo(started: StartedCall): Promise<Answer> {
  return new Promise((resolve) => started.whenAnswered(resolve));
}

const NONE: never[] = [];

/** A call as a task of the kernel. */
export class CallTask extends Task implements StartedCall {
  /** The container it acts on when it begins, if any. */
  container: string | undefined;
  /** What a listener keeps of it; null where none does. */
  record: object | null = null;
  /** Seq of its last callback in the journal; 0 where nobody keeps one. */
  invalidationSeq = 0;
  /** How many of its callbacks the machine's listeners have been told of. */
  told = 0;
  /** What makes its answer from what the kernel's function returns, where that is not the answer itself. */
  private direct: KernelCall<unknown> | null = null;
  /** When it began and ended, milliseconds. */
  private readonly began: number;
  private endedAt = 0;
  /** Whether somebody waits for it. */
  private isAwaited: boolean;
  private made: Answer | null = null;
  private waiters: ((answer: Answer) => void)[] | null = null;
  private entries: InvalidationEntry[] = NONE;

  constructor(
    readonly machine: Machine,
    /** The call itself. */
    readonly object: CallObject,
    /** What is known of such calls. */
    readonly known: KnownCall,
    /** Which process makes it. */
    actor: Process | null,
    /** Id of the request that made it, if one did. */
    readonly reqId: string | undefined,
    /** Whether nobody waits for it: time does not pass for its sake. */
    readonly background: boolean,
  ) {
    const device = typeof object.device === 'string' ? object.device : undefined;
    super(machine.kernel, object.call, device, known.byDriver, actor);
    this.namesProcess = namesActor(object, known);
    this.isAwaited = !background;
    this.began = machine.kernel.scheduler.now;
  }

  /** Takes what drivers did since the last look; what others did than the task somebody waits for is a worker's. */
  takeOps(): void {
    this.kernel.ops.take(this, this.background ? null : this);
  }

  get waitsForEvent(): boolean {
    return this.waitsAt !== null;
  }

  awaited(): void {
    this.isAwaited = true;
    this.machine.await(this);
  }

  get answer(): Answer | null {
    if (this.end !== null) this.made ??= new TaskAnswer(this, this.endedAt - this.began);
    return this.made;
  }

  delivered(): InvalidationEntry[] {
    return this.callbacks().slice();
  }

  /** Its callbacks so far as an answer shows them; a long list is made bit by bit, while the call is under way. */
  callbacks(): readonly InvalidationEntry[] {
    const { invalidations } = this;
    if (invalidations.length === 0) return NONE;
    if (this.entries === NONE) this.entries = [];
    while (this.entries.length < invalidations.length) {
      this.entries.push(invalidationEntry(invalidations[this.entries.length]!));
    }
    return this.entries;
  }

  lines(): readonly LogEntry[] {
    return this.splats.map(({ entry }) => entry);
  }

  whenAnswered(tell: (answer: Answer) => void): void {
    if (this.answer) tell(this.answer);
    else {
      this.waiters ??= [];
      this.waiters.push(tell);
    }
  }

  override onSplat(event: SplatEvent): void {
    this.machine.splat(this, event);
  }

  override onAdvisory(advisory: Advisory): void {
    this.machine.advisory(this, advisory);
  }

  override onCallback(callback: PendingCallback): void {
    this.machine.callback(this, callback);
  }

  /** The kernel's part of the call. */
  begin(prepared: PreparedCall): KernelStep<unknown> {
    if (typeof prepared === 'function') return prepared(this);
    this.direct = prepared;
    return prepared.run(this);
  }

  override onEnd(): void {
    const { end, direct } = this;
    if (direct && end!.how === 'returned') end!.value = direct.answer(end!.value);
    this.endedAt = this.kernel.scheduler.now;
    if (this.isAwaited) this.takeOps();
    this.machine.ended(this);
    this.tellWaiters();
  }

  /** Ends a call that never was a task, or will not be one any more. */
  giveUp(error: Error): void {
    this.end = { how: 'crashed', error };
    this.tellWaiters();
  }

  private tellWaiters(): void {
    const { waiters } = this;
    if (!waiters) return;
    this.waiters = null;
    for (const tell of waiters) tell(this.answer!);
  }
}
