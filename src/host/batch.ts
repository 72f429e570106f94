import type { Answer, InvalidationEntry } from '../machine/answer.ts';
import { answerTo, type StartedCall } from '../machine/call-task.ts';
import { Refused } from '../machine/refused.ts';
import { checkCall } from '../machine/table.ts';
import { parseLine } from '../machine/validate.ts';
import { callOf, type Step } from '../replay/scenario.ts';
import type { Host } from './host.ts';

/** Calls of one batch that may be under way at once. */
const ASYNC_MAX = 256;

/** A call of a batch that is not waited for, with the callbacks so far. */
export interface NotAwaited {
  readonly async: string;
  readonly invalidations: readonly InvalidationEntry[];
}

/**
 * The calls of one batch, one after another. As in a trace, a call with `async: NAME` is not waited for, and
 * `{"call": "await", "of": NAME}` is its answer.
 */
export class BatchRun {
  private readonly pending = new Map<string, StartedCall>();
  private taken = 0;

  constructor(
    private readonly host: Host,
    private readonly reqId: string,
    /** Calls it may have. */
    private readonly most: number = Number.POSITIVE_INFINITY,
  ) {}

  /** Whether it has had more calls than it may have. */
  get isOver(): boolean {
    return this.taken > this.most;
  }

  /**
   * Makes the call of one line. The answer is a promise only where the call has to wait.
   *
   * @throws Refused when the line is no call
   */
  take(line: string): Answer | NotAwaited | Promise<Answer> {
    this.taken++;
    if (this.isOver) {
      throw Refused.tooLarge(
        `the batch has more than ${this.most} lines, the limit here: the rest is not made`,
      );
    }
    const step = parse(line);
    if (step.call === 'await') return this.answer(this.started(String(step.of)));
    const { async } = step;
    if (async !== undefined && this.pending.size >= ASYNC_MAX) {
      throw Refused.tooMany('calls of this batch under way', ASYNC_MAX);
    }
    const isCall = async === undefined && step.expect === undefined && !Array.isArray(step);
    const started = this.host.start(checkCall(isCall ? step : callOf(step)), this.reqId);
    if (async === undefined) return this.answer(started);
    this.pending.set(async, started);
    return { async, invalidations: started.delivered() };
  }

  private answer(started: StartedCall): Answer | Promise<Answer> {
    return started.answer ?? answerTo(started);
  }

  private started(name: string): StartedCall {
    const started = this.pending.get(name);
    if (!started) throw Refused.badRequest(`await of "${name}", which was not started in this batch`);
    this.pending.delete(name);
    return started;
  }
}

function parse(line: string): Step {
  const value = parseLine(line);
  if (typeof value === 'object' && value !== null) return value as Step;
  throw Refused.badRequest('the line is not a JSON object');
}
