type Action = (...args: unknown[]) => void;

/** A timer of virtual time, as far as anybody looks at one. */
class Timer {
  constructor(
    readonly action: Action,
    readonly args: readonly unknown[],
    /** Milliseconds after which it comes again; null: once. */
    readonly every: number | null,
    public due: number,
    /** Among those due at the same time the first made comes first. */
    public order: number,
    private readonly again: (timer: Timer) => void,
  ) {}

  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  /** It begins anew, also where it has fired. */
  refresh(): this {
    this.again(this);
    return this;
  }
}

/** What the clock shows at the start, milliseconds. */
const START_MS = 1_000_000;

/** How far each look at the clock moves it, milliseconds: work in turns sees that time passes. */
const TICK_MS = 0.01;

/**
 * The one clock of a simulation: while it is installed, setTimeout, setInterval and performance.now are its own. Time
 * passes only in advance(), and by a little whenever somebody looks at it.
 */
export class VirtualTime {
  private now = START_MS;
  private made = 0;
  private readonly timers = new Set<Timer>();
  /** Whether a timer that is being made fires at once, whatever its time. */
  firesAtOnce: () => boolean = () => false;
  private readonly real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    now: performance.now,
  };

  install(): void {
    const { real } = this;
    const clear = (realClear: (timer: never) => void) => (timer: unknown) => {
      if (timer instanceof Timer) this.timers.delete(timer);
      else realClear(timer as never);
    };
    Object.assign(globalThis, {
      setTimeout: (action: Action, ms = 0, ...args: unknown[]) => this.add(action, args, ms, null),
      setInterval: (action: Action, ms = 0, ...args: unknown[]) => this.add(action, args, ms, ms),
      clearTimeout: clear(real.clearTimeout),
      clearInterval: clear(real.clearInterval),
    });
    performance.now = () => {
      this.now += TICK_MS;
      return this.now;
    };
  }

  /** The clock back to the start; timers that still run are as if they had just been set. */
  rewind(): void {
    this.now = START_MS;
    for (const timer of this.timers) timer.due = this.now + (timer.every ?? 0);
  }

  /** Gives the real clock back. */
  restore(): void {
    const { now, ...timers } = this.real;
    Object.assign(globalThis, timers);
    performance.now = now;
  }

  /** How many timers run. */
  get running(): number {
    return this.timers.size;
  }

  /** Lets time pass, and what is due happen; `settle` lets all that follows from each happen too. */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const until = this.now + ms;
    for (let next = this.first(until); next; next = this.first(until)) {
      this.now = Math.max(this.now, next.due);
      if (next.every === null) this.timers.delete(next);
      else next.due = this.now + Math.max(next.every, 1);
      next.action(...next.args);
      await settle();
    }
    this.now = Math.max(this.now, until);
  }

  private first(until: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.timers) {
      if (timer.due > until) continue;
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }

  private add(action: Action, args: readonly unknown[], ms: number, every: number | null): Timer {
    const after = every === null && this.firesAtOnce() ? 0 : Math.max(Number(ms) || 0, 0);
    const again = (timer: Timer) => {
      timer.due = this.now + after;
      this.timers.add(timer);
    };
    const timer = new Timer(action, args, every, this.now + after, this.made++, again);
    this.timers.add(timer);
    return timer;
  }
}
