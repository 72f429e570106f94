/** How long work goes on before others on this thread get their turn, milliseconds. */
const TURN_MS = 5;

/** Work that waits for its next turn. In each round of the event loop one of them has it, however many there are. */
const waiting: (() => void)[] = [];

/** When the turn began that this thread is in; null: nobody has begun one in this round of the event loop. */
let turnBegan: number | null = null;

/** All that is done in one round shares one turn, whoever does it: nobody else is served before the round is over. */
function turnStart(): number {
  if (turnBegan === null) {
    turnBegan = performance.now();
    setImmediate(endTurn);
  }
  return turnBegan;
}

function endTurn(): void {
  turnBegan = null;
}

function giveTurn(): void {
  const action = waiting.shift();
  if (waiting.length > 0) setImmediate(giveTurn);
  action?.();
}

/** Does something when others on this thread have had their turn. */
function nextTurn(action: () => void): void {
  if (waiting.length === 0) setImmediate(giveTurn);
  waiting.push(action);
}

/** Whether a service ends in this turn. */
let isEnding = false;

/**
 * Ends a service: all who wait are told in this turn, for nobody else is served any more, and the time to stop is short.
 *
 * @param end lets go on whoever waits
 */
export function inOneTurn(end: () => void): void {
  isEnding = true;
  setImmediate(() => {
    isEnding = false;
  });
  end();
}

/** Goes on at once, or where this turn has lasted long enough in another: of many that go on together each has its own. */
export async function ownTurn(): Promise<void> {
  if (!isEnding && performance.now() - turnStart() >= TURN_MS) await new Promise<void>(nextTurn);
}

/** A stretch of work that does not pause by itself, and is asked whether it should. */
export class Turn {
  /** @param byItself whether it goes on by itself; where not, whoever drives the work sees to that */
  constructor(private readonly byItself: boolean = true) {}

  begin(): void {
    turnStart();
  }

  isDue(): boolean {
    return !isEnding && performance.now() - turnStart() >= TURN_MS;
  }

  later(goOn: () => void): void {
    if (this.byItself) nextTurn(goOn);
  }
}

/** Work on this thread in turns: nobody's request waits for more than one of them. It can be stopped between two. */
export class Turns {
  private began = performance.now();
  private spent = 0;
  private stopped: Error | null = null;

  /**
   * @param limitMs how long it may take in all its turns together, milliseconds
   * @param tooLong what it ends with when it takes longer
   */
  constructor(
    private readonly limitMs: number = Number.POSITIVE_INFINITY,
    private readonly tooLong: () => Error = () => new Error('the work takes too long'),
  ) {}

  /** Whether this turn has lasted long enough. */
  get isOver(): boolean {
    return performance.now() - turnStart() >= TURN_MS;
  }

  /** A turn begins: what it waited for is no work. */
  begin(): void {
    this.began = performance.now();
  }

  /** It ends at its next turn, with this error. */
  stop(why: Error): void {
    this.stopped ??= why;
  }

  /**
   * Lets the others have their turn.
   *
   * @throws what it was stopped with, or what it ends with when it takes too long
   */
  async next(): Promise<void> {
    this.spent += performance.now() - this.began;
    await new Promise<void>(nextTurn);
    this.began = performance.now();
    if (this.stopped) throw this.stopped;
    if (this.spent > this.limitMs) throw this.tooLong();
  }

  /** Does work that stops now and then. */
  async do<T>(work: Generator<void, T>): Promise<T> {
    this.begin();
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      if (this.isOver) await this.next();
    }
  }
}

/** Does work that stops now and then, without a pause. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
