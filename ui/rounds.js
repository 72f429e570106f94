// The invalidation rounds of a rig, as the journal tells them. No DOM.

/** @typedef {import('./words.js').JournalEvent} JournalEvent */
/** @typedef {import('./calls.js').Call} Call */
/** @typedef {import('../schemas/page.ts').PendingLine} PendingLine */
/**
 * What a call that calls drivers back is at: the mapping visited last and how often.
 * @typedef {{
 *   iova: string, length: string, attempt: number, visited: number, devices: string[], last: string,
 *   fatal: string | null,
 * }} Round
 */

/** Finished calls with a round that a container keeps showing. */
const KEPT = 2;

export class Rounds {
  /** @type {Map<string, Call[]>} Calls with a round by container: all under way, and the newest that are done. */
  #byContainer = new Map();

  clear() {
    this.#byContainer.clear();
  }

  /** A call whose entries may have left the journal. @param {PendingLine} line @param {Call} call */
  know({ container, callback }, call) {
    if (container !== undefined && callback) this.#invalidation(callback, container, call);
  }

  /** Takes in an entry and its call; returns the container whose rounds changed, if any. @param {JournalEvent} event @param {Call | undefined} call */
  take(event, call) {
    if (!call) return undefined;
    if (event.kind === 'invalidation') {
      if (event.container === undefined) return undefined;
      this.#invalidation(event, event.container, call);
      return event.container;
    }
    const { round } = call;
    if (!round) return undefined;
    const splat = event.kind === 'splat' ? event.splat?.kind : undefined;
    if (splat === 'BUG_ON' || splat === 'DEADLOCK') round.fatal = splat;
    else if (event.kind !== 'answer') return undefined;
    else if (event.container !== undefined) this.#forgetOld(event.container);
    return event.container;
  }

  /**
   * @param {{ device?: string, iova?: string, length?: string, attempt?: number }} callback
   * @param {string} container @param {Call} call
   */
  #invalidation({ device = '', iova = '', length = '', attempt = 1 }, container, call) {
    if (!call.round) {
      call.round = { iova: '', length: '', attempt: 0, visited: 0, devices: [], last: '', fatal: null };
      this.#byContainer.set(container, [...(this.#byContainer.get(container) ?? []), call]);
    }
    const { round } = call;
    if (round.iova !== iova || round.length !== length) {
      round.visited++;
      round.devices = [];
    }
    Object.assign(round, { iova, length, attempt, last: device });
    if (!round.devices.includes(device)) round.devices.push(device);
  }

  /** @param {string} container */
  #forgetOld(container) {
    const calls = this.#byContainer.get(container) ?? [];
    const old = calls.filter(({ end }) => end !== null).slice(0, -KEPT);
    this.#byContainer.set(
      container,
      calls.filter((call) => !old.includes(call)),
    );
  }

  /** Calls of a container with a round: those under way first, then the newest. @param {string} container */
  of(container) {
    return [...(this.#byContainer.get(container) ?? [])].sort(
      (a, b) => Number(a.end !== null) - Number(b.end !== null) || b.seq - a.seq,
    );
  }
}
