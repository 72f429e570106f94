import { nanoseconds } from './figures.ts';

/** Bytes of the table: about what a tree of a million entries takes. */
const BYTES = 40 * 2 ** 20;
const READS = 20_000;

/** Reads of a table larger than the processor's caches, each at a place that only the one before tells. */
export class DependentReads {
  private readonly next: Int32Array;
  private at = 0;

  constructor() {
    const length = BYTES / Int32Array.BYTES_PER_ELEMENT;
    this.next = Int32Array.from({ length }, (_, i) => i);
    // Sattolo's shuffle: one cycle through all of it.
    let state = 1;
    for (let i = length - 1; i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((state / 2 ** 32) * i);
      const value = this.next[i]!;
      this.next[i] = this.next[j]!;
      this.next[j] = value;
    }
  }

  /** Nanoseconds that one read takes. */
  measure(): number {
    const { next } = this;
    let { at } = this;
    const taken = nanoseconds(() => {
      for (let i = 0; i < READS; i++) at = next[at]!;
    });
    this.at = at;
    return taken / READS;
  }
}
