// The log: what the kernel printed, what it let pass silently, and on demand everything else in the journal.

import { element } from './table.js';
import { endInWords, lineOf } from './words.js';

/** @typedef {import('./words.js').JournalEvent} JournalEvent */
/** @typedef {{ text: string, kinds: Set<string>, container: string, device: string }} Wanted */

/** Entries kept, and the newest of them that are in the page. */
const KEPT = 10_000;
const SHOWN = 400;
/** Kinds that come so often that nobody wants them read aloud. */
const CHATTY = ['call', 'invalidation'];

export class Log {
  /** @type {JournalEvent[]} */
  #events = [];
  /** @type {Map<number, HTMLElement>} Results of the calls that are in the page, by seq. */
  #results = new Map();
  /** @type {Map<number, string>} */
  #ends = new Map();
  /** @type {Wanted} */
  #wanted = { text: '', kinds: new Set(), container: '', device: '' };
  /** @type {JournalEvent[]} */
  #fresh = [];
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;

  /** @param {HTMLOListElement} list @param {HTMLElement} empty shown while nothing matches */
  constructor(list, empty) {
    this.list = list;
    // It scrolls, so the keyboard has to reach it.
    list.tabIndex = 0;
    this.empty = empty;
  }

  clear() {
    this.#events = [];
    this.#fresh = [];
    this.#ends.clear();
    this.#render();
  }

  /** A line of the page's own. @param {string} text */
  note(text) {
    this.#events.push({ seq: 0, kind: 'note', reason: text });
    this.#render();
  }

  /** @param {Wanted} wanted */
  filter(wanted) {
    this.#wanted = wanted;
    const chatty = CHATTY.some((kind) => wanted.kinds.has(kind));
    this.list.setAttribute('aria-live', chatty ? 'off' : 'polite');
    this.#render();
  }

  /** @param {JournalEvent[]} events */
  add(events) {
    for (const event of events) {
      if (event.kind === 'answer') this.#answered(event);
      else {
        this.#events.push(event);
        if (this.#matches(event)) this.#fresh.push(event);
      }
    }
    if (this.#events.length > KEPT) this.#events.splice(0, this.#events.length - KEPT);
    this.#timer ??= setTimeout(() => this.#append(), 50);
  }

  /** @param {JournalEvent} event */
  #answered(event) {
    const cause = event.cause ?? 0;
    const end = endInWords(event);
    this.#ends.set(cause, end);
    if (this.#ends.size > KEPT) this.#ends.delete(this.#ends.keys().next().value ?? 0);
    const shown = this.#results.get(cause);
    if (shown) setEnd(shown, end);
  }

  /** @param {JournalEvent} event */
  #matches(event) {
    const { text, kinds, container, device } = this.#wanted;
    if (event.kind === 'note') return true;
    if (!kinds.has(event.kind)) return false;
    if (container !== '' && event.container !== container) return false;
    if (device !== '' && event.device !== device && !event.advisory?.devices.includes(device)) return false;
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
    list.append(...fresh.map((event) => this.#row(event)));
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
    for (let i = this.#events.length - 1; i >= 0 && rows.length < SHOWN; i--) {
      if (this.#matches(this.#events[i])) rows.push(this.#row(this.#events[i]));
    }
    this.list.replaceChildren(...rows.reverse());
    this.empty.hidden = rows.length > 0;
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {JournalEvent} event */
  #row(event) {
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
      const result = element('span', 'result num', '…');
      const end = this.#ends.get(event.seq);
      if (end !== undefined) setEnd(result, end);
      this.#results.set(event.seq, result);
      head.append(result);
    }
    row.append(head);
    if (text) row.append(element('div', 'says num', text));
    if (more) row.append(element('div', 'more num', more));
    return row;
  }
}

/** @param {HTMLElement} result @param {string} end */
function setEnd(result, end) {
  result.textContent = end;
  result.classList.toggle('refused', end !== 'ok');
}
