// The invalidation rounds of a rig, as the journal tells them. No DOM.

/**
 * One unmap (or whatever else called drivers back): the mapping visited last and how often.
 * @typedef {{
 *   seq: number, call: string, container: string,
 *   iova: string, length: string, attempt: number, visited: number,
 *   devices: string[], last: string, end: string | null, fatal: boolean,
 * }} Round
 * @typedef {import('./words.js').JournalEvent} JournalEvent
 */

/** Finished rounds that a container keeps showing. */
const KEPT = 2;
/** Calls whose name is remembered until they are answered. */
const CALLS_KEPT = 4096;

export class Rounds {
  /** @type {Map<number, Round>} By the seq of the call. */
  #bySeq = new Map();
  /** @type {Map<number, string>} Names of the calls under way. */
  #calls = new Map();

  clear() {
    this.#bySeq.clear();
    this.#calls.clear();
  }

  /** Takes an entry in; returns the container whose rounds changed, if any. @param {JournalEvent} event */
  take(event) {
    if (event.kind === 'call') {
      this.#calls.set(event.seq, String(event.call?.call));
      if (this.#calls.size > CALLS_KEPT) this.#calls.delete(this.#calls.keys().next().value ?? 0);
      return undefined;
    }
    if (event.cause === undefined) return undefined;
    if (event.kind === 'invalidation') return this.#invalidation(event, event.cause);
    const round = this.#bySeq.get(event.cause);
    if (event.kind === 'answer') this.#calls.delete(event.cause);
    if (!round) return undefined;
    const splat = event.kind === 'splat' ? event.splat?.kind : undefined;
    if (splat === 'BUG_ON' || splat === 'DEADLOCK') {
      round.fatal = true;
      round.end = splat;
    } else if (event.kind === 'answer') {
      if (!round.fatal) round.end = event.errno ?? (event.how === 'returned' ? 'ok' : String(event.how));
      this.#forgetOld(round.container);
    } else return undefined;
    return round.container;
  }

  /** @param {JournalEvent} event @param {number} cause */
  #invalidation(event, cause) {
    const { container, device = '', iova = '', length = '', attempt = 1 } = event;
    if (container === undefined) return undefined;
    let round = this.#bySeq.get(cause);
    if (!round) {
      const call = this.#calls.get(cause) ?? 'unmap-dma';
      round = {
        seq: cause,
        call,
        container,
        iova: '',
        length: '',
        attempt: 0,
        visited: 0,
        devices: [],
        last: '',
        end: null,
        fatal: false,
      };
      this.#bySeq.set(cause, round);
    }
    if (round.iova !== iova || round.length !== length) {
      round.visited++;
      round.devices = [];
    }
    Object.assign(round, { iova, length, attempt, last: device });
    if (!round.devices.includes(device)) round.devices.push(device);
    return container;
  }

  /** @param {string} container */
  #forgetOld(container) {
    const done = this.of(container).filter((round) => round.end !== null);
    for (const old of done.slice(KEPT)) this.#bySeq.delete(old.seq);
  }

  /** Rounds of a container: those under way first, then the newest. @param {string} container */
  of(container) {
    return [...this.#bySeq.values()]
      .filter((round) => round.container === container)
      .sort((a, b) => Number(a.end !== null) - Number(b.end !== null) || b.seq - a.seq);
  }
}
