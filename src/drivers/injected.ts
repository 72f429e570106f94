import type { Broken } from './model.ts';

/** Injected answers that may wait for one instruction or operation. */
const INJECTED_MAX = 1024;

/** Whether `more` answers may be added to those that wait. */
export function checkInjected(waiting: number, more: number): Broken | null {
  return waiting + more > INJECTED_MAX ? { tooMany: 'injected answers', most: INJECTED_MAX } : null;
}

/** Adds an entry to a map whose keys are in order, so that what came first makes no difference. */
export function insert<K extends string | number, V>(map: Map<K, V>, key: K, value: V): void {
  const behind = [...map].filter(([other]) => other > key);
  for (const [other] of behind) map.delete(other);
  map.set(key, value);
  for (const entry of behind) map.set(...entry);
}

/** Answers that the outside has put in the way of what the hardware would say: a queue for each key. */
export class Injected<T> {
  private readonly queues = new Map<string, T[]>();

  /** How many are waiting for a key. */
  count(key: string): number {
    return this.queues.get(key)?.length ?? 0;
  }

  /** Adds answers; they are consumed in order. */
  add(key: string, answers: readonly T[]): void {
    const queue = this.queues.get(key);
    if (queue) queue.push(...answers);
    else insert(this.queues, key, [...answers]);
  }

  /** The next answer for a key, or undefined when the hardware answers by itself. */
  take(key: string): T | undefined {
    const queue = this.queues.get(key);
    const answer = queue?.shift();
    if (queue?.length === 0) this.queues.delete(key);
    return answer;
  }

  get isEmpty(): boolean {
    return this.queues.size === 0;
  }

  /** Every key, in order, with what waits for it. */
  entries(): [string, readonly T[]][] {
    return [...this.queues];
  }
}
