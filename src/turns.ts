import { setImmediate } from 'node:timers/promises';

/** How long work goes on before others on this thread get their turn, milliseconds. */
const TURN_MS = 8;

/** Work on this thread in turns: nobody's request waits for more than one of them. */
export class Turns {
  private end = performance.now() + TURN_MS;

  /** Whether this turn has lasted long enough. */
  get isOver(): boolean {
    return performance.now() >= this.end;
  }

  /** Lets the others have theirs. */
  async next(): Promise<void> {
    await setImmediate();
    this.end = performance.now() + TURN_MS;
  }
}

/** Does work that stops now and then, without a pause. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Does work that stops now and then, in turns. */
export async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  const turns = new Turns();
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    if (turns.isOver) await turns.next();
  }
}
