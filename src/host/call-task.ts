import type { CallObject } from '../../schemas/calls.ts';
import { Task } from '../kernel/task.ts';
import { type Answer, type InvalidationEntry, invalidationEntry } from '../machine/answer.ts';
import type { CallResult } from '../machine/call-handler.ts';
import type { RecordedCall } from './recorder.ts';

/** A call that was started: answered already, or under way. */
export interface StartedCall {
  /** Its seq in the journal. */
  readonly seq: number;
  /** The answer; null while the call is under way. */
  readonly answer: Answer | null;
  /** Callbacks delivered so far. */
  invalidations(): InvalidationEntry[];
  /** Resolves when the call is answered. */
  readonly settled: Promise<Answer>;
}

/** A call as a task of the kernel, with what the host knows of it: one object a call. */
export class CallTask extends Task<CallResult> {
  answer: Answer | null = null;
  /** Its seq in the journal. */
  seq = 0;
  /** Callbacks that are in the journal, and the seq of the last of them. */
  journalled = 0;
  invalidationSeq = 0;
  /** Ends the delivery to a webhook that is under way. */
  delivery: AbortController | null = null;
  private tell: ((answer: Answer) => void) | null = null;
  private promise: Promise<Answer> | null = null;

  /**
   * @param object the call itself
   * @param container the container it acts on, if any
   * @param recorded its step of the trace
   * @param ended told when the task has ended
   */
  constructor(
    readonly object: CallObject,
    device: string | undefined,
    readonly container: string | undefined,
    readonly reqId: string | undefined,
    readonly recorded: RecordedCall,
    private readonly ended: (task: CallTask) => void,
  ) {
    super(object.call, device);
  }

  override onEnd(): void {
    this.ended(this);
    if (this.answer) this.tell?.(this.answer);
  }

  /** Resolves when the call is answered. */
  get settled(): Promise<Answer> {
    this.promise ??= this.answer
      ? Promise.resolve(this.answer)
      : new Promise((resolve) => {
          this.tell = resolve;
        });
    return this.promise;
  }
}

/** What the caller of Host.start sees of a task. */
export class Started implements StartedCall {
  constructor(private readonly task: CallTask) {}

  get seq(): number {
    return this.task.seq;
  }
  get answer(): Answer | null {
    return this.task.answer;
  }
  invalidations(): InvalidationEntry[] {
    return this.task.invalidations.map(invalidationEntry);
  }
  get settled(): Promise<Answer> {
    return this.task.settled;
  }
}
