// The head of the page: which kernel, how it is, what needs looking at, and whether the page is up to date.

import { byId, setText } from './dom.js';
import { counted, elapsedInWords, taintInWords } from './words.js';

/** @typedef {import('./calls.js').Call} Call */

export class Header {
  #kernel = byId('kernel');
  #taint = byId('taint');
  #wedged = byId('wedged');
  #pending = byId('pending');
  #announce = byId('announce');
  #state = byId('state');
  #counts = { wedged: 0, pending: 0 };
  #rig = '';

  /** @param {() => void} onWedged @param {() => void} onPending told when somebody wants to see what is wedged, or waits */
  constructor(onWedged, onPending) {
    this.#wedged.addEventListener('click', onWedged);
    this.#pending.addEventListener('click', onPending);
  }

  /** @param {string} rig */
  set rig(rig) {
    this.#rig = rig;
    this.#showTitle();
  }

  /** @param {string} state @param {string} text */
  state(state, text) {
    this.#state.dataset.state = state;
    this.#state.textContent = text;
  }

  /** @param {string} version @param {readonly string[]} taint */
  kernel(version, taint) {
    this.#kernel.textContent = version === '' ? '' : `Linux ${version}`;
    this.#taint.hidden = taint.length === 0;
    this.#taint.textContent = `tainted ${taint.join('')}`;
    this.#taint.title = taintInWords(taint);
  }

  /** @param {number} count of containers */
  wedged(count) {
    this.#counts.wedged = count;
    this.#wedged.hidden = count === 0;
    this.#wedged.textContent = `${count} WEDGED`;
    this.#showTitle();
  }

  /** Calls that wait for some time already, the longest first. @param {readonly Call[]} calls @param {number} now */
  pending(calls, now) {
    this.#counts.pending = calls.length;
    const [longest] = calls;
    this.#pending.hidden = !longest;
    if (longest) {
      const where = longest.container ?? longest.device;
      const says = `${longest.name}${where === undefined ? '' : ` of ${where}`} has not returned`;
      this.#pending.textContent = `${calls.length} PENDING ${elapsedInWords(now - longest.since)}`;
      this.#pending.title =
        calls.length > 1 ? `${says}, nor have ${counted(calls.length - 1, 'other')}` : says;
      // Said once a call: the seconds are nobody's news.
      setText(this.#announce, says);
    } else setText(this.#announce, '');
    this.#showTitle();
  }

  #showTitle() {
    const { wedged, pending } = this.#counts;
    const parts = [this.#rig, 'vfio-host'];
    if (pending > 0) parts.unshift(`${pending} pending`);
    if (wedged > 0) parts.unshift(`⚠ ${wedged} wedged`);
    const title = parts.join(' · ');
    if (document.title !== title) document.title = title;
  }
}
