/** Order in which the IOVAs of a population come and go. */
export type OrderName = 'ascending' | 'random';

/**
 * A ring of distinct indexes, of which a window is populated: new ones come in at its head, old ones go out at
 * its tail, so the population keeps its size and its order while calls are measured.
 */
export class Window {
  private readonly ring: Int32Array;
  private headAt = 0;
  private tailAt = 0;

  /**
   * @param span number of indexes, 0 to span-1; more than are ever populated
   * @param order `random` shuffles them, the same way in every run
   */
  constructor(span: number, order: OrderName) {
    this.ring = Int32Array.from({ length: span }, (_, i) => i);
    if (order === 'random') shuffle(this.ring);
  }

  /** The next index to populate. */
  head(): number {
    const index = this.ring[this.headAt]!;
    this.headAt = (this.headAt + 1) % this.ring.length;
    return index;
  }

  /** The index that was populated longest ago. */
  tail(): number {
    const index = this.ring[this.tailAt]!;
    this.tailAt = (this.tailAt + 1) % this.ring.length;
    return index;
  }
}

/** Fisher-Yates with a fixed 32-bit linear congruential generator. */
function shuffle(values: Int32Array): void {
  let state = 1;
  for (let i = values.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    const value = values[i]!;
    values[i] = values[j]!;
    values[j] = value;
  }
}
