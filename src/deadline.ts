/**
 * A signal that is aborted after a time, or when another one is. AbortSignal.any over AbortSignal.timeout would be
 * shorter, but on Node 20 such a timeout may be collected before it fires.
 */
export class Deadline {
  /** Whether the time is over. */
  expired = false;
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly follow = () => this.controller.abort(this.given?.reason);

  /**
   * @param ms milliseconds
   * @param given aborts this one too, with its reason
   */
  constructor(
    ms: number,
    private readonly given?: AbortSignal,
  ) {
    this.timer = setTimeout(() => {
      this.expired = true;
      this.controller.abort(new DOMException(`nothing within ${ms} ms`, 'TimeoutError'));
    }, ms);
    if (given?.aborted) this.follow();
    else given?.addEventListener('abort', this.follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The time no longer runs; the given signal still counts. */
  stopClock(): void {
    clearTimeout(this.timer);
  }

  /** What was waited for is over. */
  end(): void {
    this.stopClock();
    this.given?.removeEventListener('abort', this.follow);
  }
}
