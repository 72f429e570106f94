import type { RequestOptions, Transport } from './transport.ts';

/** Longest one request asks the host to wait, milliseconds; the host allows no more. */
const WAIT_MAX_MS = 60_000;

/** A time limit that several waiting requests share. */
export class SharedTimeout {
  private readonly timeoutMs: number;
  private readonly end: number;

  constructor(
    private readonly transport: Transport,
    private readonly given: RequestOptions,
  ) {
    this.timeoutMs = given.timeoutMs ?? transport.timeoutMs;
    this.end = performance.now() + this.timeoutMs;
  }

  private get leftMs(): number {
    return Math.ceil(this.end - performance.now());
  }

  /** The query of the next request. Throws a `TimeoutError` when the time is over. */
  query(): { wait: number; timeoutMs: number } {
    const { leftMs } = this;
    if (leftMs <= 0) {
      throw new DOMException(`it did not happen within ${this.timeoutMs} ms`, 'TimeoutError');
    }
    return { wait: 1, timeoutMs: Math.min(leftMs, WAIT_MAX_MS) };
  }

  /** The options of the next request: the host answers when its time is over, and is given the time to. */
  options(): RequestOptions {
    return { signal: this.given.signal, timeoutMs: Math.max(this.leftMs, 0) + this.transport.timeoutMs };
  }
}
