import type { CallObject } from '../../schemas/calls.ts';
import type { DriverEffects } from '../kernel/driver.ts';
import type { LogEntry } from '../kernel/splats.ts';
import type { Answer, InvalidationEntry } from './answer.ts';
import type { StartedCall } from './call-task.ts';

/** A call that begins when the kernel is through with what it does now. */
export class QueuedCall implements StartedCall {
  private started: StartedCall | null = null;
  private refused: Answer | null = null;
  private isAwaited = false;
  private waiters: ((answer: Answer) => void)[] = [];

  /** @param object the call itself */
  constructor(readonly object: CallObject) {}

  /** Its turn has come; what `start` throws is what it is answered. */
  begin(start: () => StartedCall): void {
    try {
      this.started = start();
    } catch (error) {
      this.refuse(error);
      return;
    }
    if (this.isAwaited) this.started.awaited();
    for (const tell of this.waiters) this.started.whenAnswered(tell);
    this.waiters = [];
  }

  /** It will not begin. */
  refuse(error: unknown): void {
    this.refused = crashed(this.object.call, error);
    for (const tell of this.waiters) tell(this.refused);
    this.waiters = [];
  }

  get answer(): Answer | null {
    return this.refused ?? this.started?.answer ?? null;
  }

  delivered(): readonly InvalidationEntry[] {
    return this.started?.delivered() ?? [];
  }

  get effects(): DriverEffects | null {
    return this.started?.effects ?? null;
  }

  lines(): readonly LogEntry[] {
    return this.started?.lines() ?? [];
  }

  get waitsForEvent(): boolean {
    return this.started?.waitsForEvent ?? false;
  }

  awaited(): void {
    this.isAwaited = true;
    this.started?.awaited();
  }

  whenAnswered(tell: (answer: Answer) => void): void {
    if (this.refused) tell(this.refused);
    else if (this.started) this.started.whenAnswered(tell);
    else this.waiters.push(tell);
  }
}

/** The answer to a call that never was a task. */
function crashed(call: string, error: unknown): Answer {
  return {
    call,
    end: { how: 'crashed', error },
    log: [],
    splats: [],
    invalidations: [],
    advisories: [],
    effects: null,
    milliseconds: 0,
    why: null,
    writtenBack: null,
  };
}
