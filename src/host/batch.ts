import { AwaitLine, StartedLine } from '../../schemas/batch.ts';
import type { CallObject } from '../../schemas/calls.ts';
import type { Answer, InvalidationEntry } from '../machine/answer.ts';
import { answerTo, type StartedCall } from '../machine/call-task.ts';
import { Refused } from '../machine/refused.ts';
import { checkCall, checkCallSteps } from '../machine/table.ts';
import { checker, parseLine } from '../machine/validate.ts';
import { callOf, type Step } from '../replay/scenario.ts';
import { sleeps } from '../replay/sleeps.ts';
import type { Turns } from '../turns.ts';
import type { Host } from './host.ts';
import { lineValue } from './line-value.ts';
import { type Line, LongLine } from './lines.ts';

/** Calls of one batch that may be under way at once. */
const ASYNC_MAX = 256;

const refuseAwait = checker(AwaitLine);
const refuseStarted = checker(StartedLine);

/** A call of a batch that is not waited for, or not for longer, with the callbacks so far. */
export interface NotAwaited {
  readonly async: string;
  readonly invalidations: readonly InvalidationEntry[];
}

/**
 * The calls of one batch, one after another. As in a trace, a call with `async: NAME` is not waited for, and
 * `{"call": "await", "of": NAME}` is its answer; with `timeoutMs` not waited for longer, of the host's own time.
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
   * Makes the call of one line. The answer is a promise only where the call has to wait, or the line is long.
   *
   * @param work has a long line parsed and checked in turns
   * @throws Refused when the line is no call
   */
  take(line: Line, work: Turns): Answer | NotAwaited | Promise<Answer | NotAwaited> {
    this.taken++;
    if (this.isOver) {
      throw Refused.tooLarge(
        `the batch has more than ${this.most} lines, the limit here: the rest is not made`,
      );
    }
    if (line instanceof LongLine) return this.takeLong(line, work);
    const step = stepOf(parseLine(line));
    return this.make(step, isCall(step) ? checkCall(callFrom(step)) : null);
  }

  private async takeLong(line: LongLine, work: Turns): Promise<Answer | NotAwaited> {
    const step = stepOf(await work.do(lineValue(line)));
    return this.make(step, isCall(step) ? await work.do(checkCallSteps(callFrom(step))) : null);
  }

  /** @param call the call that a step is; null where it is an await */
  private make(step: Step, call: CallObject | null): Answer | NotAwaited | Promise<Answer | NotAwaited> {
    if (!call)
      return step.timeoutMs === undefined ? this.end(step.of!) : this.waitFor(step.of!, step.timeoutMs);
    const { async } = step;
    if (async !== undefined) this.refuseName(async);
    const started = this.host.start(call, this.reqId, async !== undefined);
    if (async === undefined) return this.answer(started);
    this.pending.set(async, started);
    return { async, invalidations: started.delivered() };
  }

  /** @throws Refused where a call cannot be awaited by this name */
  private refuseName(name: string): void {
    const before = this.pending.get(name);
    if (before && !before.answer) {
      throw Refused.badRequest(
        `async is "${name}", the name of a call of this batch that is still under way`,
      );
    }
    if (!before && this.pending.size >= ASYNC_MAX) {
      throw Refused.tooMany('calls of this batch under way', ASYNC_MAX);
    }
  }

  private answer(started: StartedCall): Answer | Promise<Answer> {
    return started.answer ?? answerTo(started);
  }

  /** Awaits a call. */
  private end(name: string): Answer | Promise<Answer> {
    const started = this.started(name);
    this.pending.delete(name);
    started.awaited();
    return this.answer(started);
  }

  /** Awaits a call for so many milliseconds of the host's own time, which passes for whoever waits in vain. */
  private async waitFor(name: string, milliseconds: number): Promise<Answer | NotAwaited> {
    const started = this.started(name);
    for (const sleep of started.answer ? [] : sleeps(milliseconds)) {
      await this.answer(this.host.start(sleep, this.reqId));
    }
    if (started.answer) return this.end(name);
    return { async: name, invalidations: started.delivered() };
  }

  private started(name: string): StartedCall {
    const started = this.pending.get(name);
    if (!started) throw Refused.badRequest(`await of "${name}", which was not started in this batch`);
    return started;
  }
}

function stepOf(value: unknown): Step {
  if (typeof value !== 'object' || value === null) throw Refused.badRequest('the line is not a JSON object');
  const step = value as Step;
  const refused = isCall(step)
    ? step.async !== undefined && refuseStarted({ async: step.async }, 'line')
    : refuseAwait(step, 'line');
  if (refused) throw refused;
  return step;
}

function isCall({ call }: Step): boolean {
  return call !== 'await';
}

/** The call of a step, without what only a step has. */
function callFrom(step: Step): unknown {
  const isPlain = step.async === undefined && step.expect === undefined && !Array.isArray(step);
  return isPlain ? step : callOf(step);
}
