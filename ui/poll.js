// Asks again and again for something that changes with the journal. No DOM.

/** Least time between two questions, and its multiple of what an answer took, milliseconds. */
const AGAIN_MS = 120;
const AGAIN_TIMES = 3;
/** What an answer counts as that was an error, milliseconds. */
const FAILED_MS = 500;

/** What is gone is not asked for again. */
export const GONE = Number.POSITIVE_INFINITY;

/** One question: asked as soon as its answer may be another one, but no more often than the server can bear. */
export class Poll {
  #active = true;
  #wanted = 0;
  #got = -1;
  #asking = false;
  #took = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;

  /**
   * @param {() => Promise<number>} ask answers the journal's seq when it was so, or GONE
   * @param {AbortSignal} signal ends it
   */
  constructor(ask, signal) {
    this.ask = ask;
    this.signal = signal;
  }

  /** Whether anybody is interested. @param {boolean} active */
  set active(active) {
    this.#active = active;
    this.#soon();
  }

  /** The answer may be another one since a journal entry. @param {number} seq */
  want(seq) {
    this.#wanted = Math.max(this.#wanted, seq);
    this.#soon();
  }

  #soon() {
    const waits = !this.#active || this.#asking || this.#timer !== null || this.signal.aborted;
    if (waits || this.#got >= this.#wanted) return;
    const wait = this.#askedAt + Math.max(AGAIN_MS, AGAIN_TIMES * this.#took) - performance.now();
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, wait));
  }

  async #ask() {
    this.#timer = null;
    if (this.signal.aborted) return;
    this.#asking = true;
    this.#askedAt = performance.now();
    try {
      this.#got = await this.ask();
      this.#took = performance.now() - this.#askedAt;
    } catch {
      this.#took = FAILED_MS;
    } finally {
      this.#asking = false;
    }
    this.#soon();
  }
}
