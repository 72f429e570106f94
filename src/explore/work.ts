import type { CallObject } from '../../schemas/calls.ts';
import type { Answer } from '../machine/answer.ts';
import type { StartedCall } from '../machine/call-task.ts';
import { Turns } from '../turns.ts';

/** Something that takes a while, stops now and then, and has an answer whenever it is stopped for good. */
export interface LongWork {
  run(): Generator<void, unknown>;
  /** What it has come to, stopping now and then. */
  resultSteps(): Generator<void, Record<string, unknown>>;
}

/** Work that is done in turns while others have theirs, and that is an operation as a call is. */
export class Work implements StartedCall {
  answer: Answer | null = null;
  /** What it is, as a call is one. */
  readonly object: CallObject;
  readonly effects = null;
  private cancelled = false;
  private waiters: ((answer: Answer) => void)[] = [];

  constructor(
    readonly name: string,
    private readonly work: LongWork,
  ) {
    this.object = { call: name };
  }

  /** Does it; never rejects. */
  async start(): Promise<void> {
    const turns = new Turns();
    try {
      const running = this.work.run();
      while (!this.cancelled && !running.next().done) if (turns.isOver) await turns.next();
      this.end({ how: 'returned', value: await turns.do(this.work.resultSteps()) });
    } catch (error) {
      this.end({ how: 'crashed', error });
    }
  }

  /** Ends it where it is: what it has come to so far is its answer. */
  cancel(): void {
    this.cancelled = true;
  }

  readonly waitsForEvent = false;

  awaited(): void {}

  lines(): readonly never[] {
    return [];
  }

  delivered(): readonly never[] {
    return [];
  }

  whenAnswered(tell: (answer: Answer) => void): void {
    if (this.answer) tell(this.answer);
    else this.waiters.push(tell);
  }

  private end(end: Answer['end']): void {
    const { name: call } = this;
    const none: readonly never[] = [];
    this.answer = {
      call,
      end,
      log: none,
      splats: none,
      invalidations: none,
      advisories: none,
      effects: null,
      milliseconds: 0,
      why: null,
      writtenBack: null,
    };
    for (const tell of this.waiters) tell(this.answer);
    this.waiters = [];
  }
}
