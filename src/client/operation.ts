import type { Static } from '@sinclair/typebox';
import type { InvalidationEntry } from '../../schemas/answers.ts';
import { type RawAnswer, type RequestOptions, succeeded, type Transport } from './transport.ts';
import { SharedTimeout } from './wait.ts';

/** A call that was started and not waited for. */
export class Operation<A> {
  private constructor(
    private readonly transport: Transport,
    /** Its id; null where it had nothing to wait for and was answered at once. */
    readonly id: string | null,
    /** Callbacks that had been delivered when it could go no further by itself. */
    readonly invalidations: Static<typeof InvalidationEntry>[],
    private answer: RawAnswer | null,
  ) {}

  /** What a request with `Prefer: respond-async` was answered, as an operation. */
  static of<A>(transport: Transport, answer: RawAnswer): Operation<A> {
    const body = succeeded(answer);
    const invalidations = (body.invalidations ?? []) as Static<typeof InvalidationEntry>[];
    return answer.status === 202
      ? new Operation(transport, String(body.operation), invalidations, null)
      : new Operation(transport, null, invalidations, answer);
  }

  /** Whether it has been answered by now. */
  async done(options?: RequestOptions): Promise<boolean> {
    return this.answer !== null || (await this.look({}, options));
  }

  /**
   * Waits for the call's answer. Rejects with VfioHostError when the call was refused, and with a `TimeoutError`
   * when it is not answered in time (`timeoutMs` milliseconds, by default the client's).
   */
  async wait(options: RequestOptions = {}): Promise<A> {
    const timeout = new SharedTimeout(this.transport, options);
    while (!this.answer) await this.look(timeout.query(), timeout.options());
    return succeeded(this.answer) as A;
  }

  private async look(query: Record<string, string | number>, options: RequestOptions = {}): Promise<boolean> {
    const { answer } = await this.transport.ask('GET', `/v1/operations/${this.id}`, { ...options, query });
    if (answer) this.answer = answer as RawAnswer;
    return this.answer !== null;
  }
}
