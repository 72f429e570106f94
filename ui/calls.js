// The calls of a rig that are under way: the one place that knows which entry of the journal belongs to which
// call. No DOM.

import { endInWords } from './words.js';

/** @typedef {import('./words.js').JournalEvent} JournalEvent */
/** @typedef {import('../schemas/page.ts').PendingLine} PendingLine */
/**
 * A call: `since` is when the page met it (or it began to wait), milliseconds; `end` is null while it is under way.
 * @typedef {{
 *   seq: number, name: string, args: Record<string, any>, container: string | undefined,
 *   device: string | undefined, since: number, end: string | null, round: import('./rounds.js').Round | null,
 * }} Call
 */

/** Most calls that a server may be configured to have under way. */
const KEPT = 65_536;

export class Calls {
  /** @type {Map<number, Call>} By seq. */
  #bySeq = new Map();

  clear() {
    this.#bySeq.clear();
  }

  /** A call that the server says is waiting; its entry may have left the journal. @param {PendingLine} line @param {number} now */
  know({ seq, call, container, device, waitingMs }, now) {
    return this.#add(seq, call, container, device, now - waitingMs);
  }

  /** The call that an entry belongs to; undefined where the page does not know it. @param {JournalEvent} event @param {number} now */
  take(event, now) {
    if (event.kind === 'call') {
      const { seq, call, container, device } = event;
      return this.#bySeq.get(seq) ?? this.#add(seq, call, container, device, now);
    }
    if (!('cause' in event)) return undefined;
    const call = this.#bySeq.get(event.cause);
    if (event.kind === 'answer' && call) {
      this.#bySeq.delete(call.seq);
      call.end = endInWords(event);
    }
    return call;
  }

  /** @param {number} seq @param {Record<string, any>} object @param {string | undefined} container @param {string | undefined} device @param {number} since */
  #add(seq, { call, container: _c, device: _d, ...args }, container, device, since) {
    /** @type {Call} */
    const made = { seq, name: String(call), args, container, device, since, end: null, round: null };
    this.#bySeq.set(seq, made);
    if (this.#bySeq.size > KEPT) this.#bySeq.delete(this.#bySeq.keys().next().value ?? 0);
    return made;
  }

  /** Calls that have been under way for some time, the one that waits longest first. @param {number} now @param {number} atLeast milliseconds */
  pending(now, atLeast) {
    return [...this.#bySeq.values()]
      .filter(({ since }) => now - since >= atLeast)
      .sort((a, b) => a.since - b.since || a.seq - b.seq);
  }
}
