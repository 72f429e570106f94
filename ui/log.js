// The log: what the kernel printed, what it let pass silently, and on demand everything else in the journal.

import { element } from './dom.js';
import { shrinkButton } from './shrink.js';
import { lineOf } from './words.js';

/** @typedef {import('./words.js').LogLine} LogLine */
/** @typedef {import('./calls.js').Call} Call */
/** @typedef {{ event: LogLine, call: Call | undefined }} Entry an entry of the journal, and the call it belongs to */
/** @typedef {{ text: string, kinds: Set<string>, container: string, device: string }} Wanted */

/** Entries kept, and the newest of them that are in the page. */
const KEPT = 10_000;
const SHOWN = 400;
/** Kinds that come so often that nobody wants them read aloud. */
const CHATTY = ['call', 'invalidation'];

export class Log {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {Map<number, HTMLElement>} Where the results of the calls are that are in the page, by seq. */
  #results = new Map();
  /** @type {Wanted} */
  #wanted = { text: '', kinds: new Set(), container: '', device: '' };
  /** @type {Entry[]} */
  #fresh = [];
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;

  /**
   * @param {HTMLOListElement} list
   * @param {HTMLElement} empty shown while nothing matches
   * @param {import('./shrink.js').Shrink} shrink
   */
  constructor(list, empty, shrink) {
    this.shrink = shrink;
    this.list = list;
    // It scrolls, so the keyboard has to reach it.
    list.tabIndex = 0;
    this.empty = empty;
  }

  clear() {
    this.#entries = [];
    this.#render();
  }

  /** A line of the page's own. @param {string} text */
  note(text) {
    this.#entries.push({ event: { seq: 0, kind: 'note', reason: text }, call: undefined });
    this.#render();
  }

  /** @param {Wanted} wanted */
  filter(wanted) {
    this.#wanted = wanted;
    const chatty = CHATTY.some((kind) => wanted.kinds.has(kind));
    this.list.setAttribute('aria-live', chatty ? 'off' : 'polite');
    this.#render();
  }

  /** @param {Entry[]} entries */
  add(entries) {
    for (const entry of entries) {
      const { event, call } = entry;
      if (event.kind === 'answer') {
        const shown = call && this.#results.get(call.seq);
        if (shown) setEnd(shown, call.end);
      } else {
        this.#entries.push(entry);
        if (this.#matches(entry)) this.#fresh.push(entry);
      }
    }
    if (this.#entries.length > KEPT) this.#entries.splice(0, this.#entries.length - KEPT);
    this.#timer ??= setTimeout(() => this.#append(), 50);
  }

  /** @param {Entry} entry */
  #matches({ event }) {
    const { text, kinds, container, device } = this.#wanted;
    if (event.kind === 'note') return true;
    if (!kinds.has(event.kind)) return false;
    if (container !== '' && event.container !== container) return false;
    if (
      device !== '' &&
      event.device !== device &&
      !(event.kind === 'advisory' && event.advisory.devices.includes(device))
    )
      return false;
    if (text === '') return true;
    const { name, text: says, more } = lineOf(event);
    const where = `${event.container ?? ''} ${event.device ?? ''}`;
    return `${name} ${says} ${more} ${where}`.toLowerCase().includes(text.toLowerCase());
  }

  #append() {
    this.#timer = null;
    const fresh = this.#fresh.slice(-SHOWN);
    this.#fresh = [];
    if (fresh.length === 0) return;
    const { list } = this;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...fresh.map((entry) => this.#row(entry)));
    while (list.childElementCount > SHOWN) {
      const seq = Number(/** @type {HTMLElement} */ (list.firstElementChild).dataset.seq);
      this.#results.delete(seq);
      list.firstElementChild?.remove();
    }
    this.empty.hidden = true;
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #render() {
    this.#fresh = [];
    this.#results.clear();
    const rows = [];
    for (let i = this.#entries.length - 1; i >= 0 && rows.length < SHOWN; i--) {
      if (this.#matches(this.#entries[i])) rows.push(this.#row(this.#entries[i]));
    }
    this.list.replaceChildren(...rows.reverse());
    this.empty.hidden = rows.length > 0;
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {Entry} entry */
  #row({ event, call }) {
    if (event.kind === 'note') return element('li', 'note', event.reason);
    const { name, text, more, tone } = lineOf(event);
    const row = element('li', `entry ${tone}`);
    row.dataset.seq = String(event.seq);
    row.dataset.kind = event.kind;
    const head = element('div', 'head');
    head.append(element('span', 'seq num', String(event.seq)), element('strong', 'name', name));
    const where = [event.container, event.device].filter(Boolean).join(' · ');
    if (where) head.append(element('span', 'where num', where));
    if (event.kind === 'call') {
      const result = element('span', 'result num');
      setEnd(result, call?.end ?? null);
      this.#results.set(event.seq, result);
      head.append(result);
    }
    row.append(head);
    if (text) row.append(element('div', 'says num', text));
    if (more) row.append(element('div', 'more num', more));
    const shrinking = event.kind === 'splat' ? shrinkButton(event.splat.kind, this.shrink) : null;
    if (shrinking) row.append(shrinking);
    return row;
  }
}

/** @param {HTMLElement} result @param {string | null} end */
function setEnd(result, end) {
  result.textContent = end ?? '…';
  result.classList.toggle('refused', end !== null && end !== 'ok');
}
