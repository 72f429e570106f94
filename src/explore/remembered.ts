import { Entries } from './entries.ts';
import { type Fingerprint, isLess } from './fingerprints.ts';
import { entryAt, type Form, highOf, lowOf, objectAt, type Patch } from './form.ts';
import type { Finding } from './goals.ts';
import { Hash, textHash } from './hash.ts';
import { OBJECTS } from './watch.ts';

/** Words of a place of the table: two halves of its key, and what is known. */
const PLACE = 3;
/** What is known at a place: nothing. */
const FREE = 0;
/** What is known at a place that a thread is about to fill: of nobody's key yet. */
const BUSY = -(2 ** 31);
/** No outcome: nobody knows what a call comes to. */
export const UNKNOWN = 0;
/** The outcome of a call that changes nothing and finds nothing. */
export const NOTHING = 1;

/** Words of a change in an outcome: which object, and the two halves of its hash. */
const OBJECT_CHANGE = 3;
/** Which entry, whether it counts more or is another one, what it is now, how many it counts or how many more. */
const ENTRY_CHANGE = 5;
const OTHER = 0;
const MORE = 1;
/** Words before the entries of tables, and bytes before the table; what is counted there. */
const COUNTERS = 2;
const HEAD = 4 * COUNTERS + Entries.bytes;
const TAKEN = 0;
const USED = 1;
/** What an outcome has for no findings. */
const NONE = 0;

/** Places of the table at most, and words of outcomes a place. */
const PLACES_MAX = 2 ** 20;
const WORDS = 5;

/**
 * What calls came to, so that one that is made again where it can only come to the same is not made: 32 bytes each.
 *
 * A call is deterministic. What it comes to is told by what is always taken to be looked at, and by those watched objects
 * that it has looked into: which it looks into first is told by the former alone, the next one by that and what the
 * first holds, and so on. So a look for an outcome goes from place to place the way the call would go.
 */
export class Remembered {
  private readonly table: Int32Array;
  private readonly mask: number;
  private readonly outcomes: Int32Array;
  /** Places taken, and words of outcomes. */
  private readonly counters: Int32Array;
  /** Findings by what an outcome has for them: of another thread's those that this one has not met are not known. */
  private readonly lists = new Map<number, readonly Finding[]>();
  private readonly hash = new Hash();
  /** Where the last look ended. */
  private at = 0;
  /** The hash of what is always looked at, of the form that looks are for. */
  private restLow = 0;
  private restHigh = 0;
  /** The entries of tables, which those who remember the same have the same numbers of. */
  readonly entries: Entries;

  /** @param buffer one made by `bufferFor`; threads may share it */
  constructor(buffer: SharedArrayBuffer) {
    const places = (buffer.byteLength - HEAD) / (4 * (PLACE + WORDS));
    this.entries = new Entries(buffer, COUNTERS * 4);
    this.counters = new Int32Array(buffer, 0, COUNTERS);
    this.table = new Int32Array(buffer, HEAD, places * PLACE);
    this.outcomes = new Int32Array(buffer, HEAD + places * PLACE * 4, places * WORDS);
    this.mask = places - 1;
    this.lists.set(NONE, []);
  }

  /** Memory for what is remembered in a search that has room for so many states. */
  static bufferFor(states: number): SharedArrayBuffer {
    const places = Math.min(PLACES_MAX, 2 ** Math.ceil(Math.log2(Math.max(16, states))));
    return new SharedArrayBuffer(HEAD + places * (PLACE + WORDS) * 4);
  }

  /** From now on looks are for the state of a form. */
  lookAt({ sumLow, sumHigh, words, numbering }: Form): void {
    let low = sumLow;
    let high = sumHigh;
    for (let entry = this.entries.count - 1; entry >= 0; entry--) {
      const at = entryAt(entry);
      const count = words[at + 2]!;
      if (count === 0) continue;
      low = (low - lowOf(words[at]!, words[at + 1]!, count)) | 0;
      high = (high - highOf(words[at]!, words[at + 1]!, count)) | 0;
    }
    for (const number of numbering.watched) {
      if (number < 0) continue;
      const at = objectAt(number);
      low = (low - words[at]!) | 0;
      high = (high - words[at + 1]!) | 0;
    }
    this.restLow = low;
    this.restHigh = high;
  }

  /** The outcome of an action in the state of a form, the one that looks are for; UNKNOWN where it is not known. */
  find(form: Form, action: number): number {
    this.begin(action);
    for (;;) {
      const known = this.look();
      if (known > 0) return known === NOTHING || this.lists.has(this.outcomes[known]!) ? known : UNKNOWN;
      if (known === FREE) return UNKNOWN;
      this.goOn(form, -1 - known);
    }
  }

  /**
   * Notes what an action came to.
   *
   * @param looked what it looked into: watched objects, and views of entries
   * @param patches what has changed, in each order of the devices; null: nothing
   */
  note(
    forms: readonly Form[],
    action: number,
    looked: readonly number[],
    findings: readonly Finding[],
    patches: readonly Patch[] | null,
  ): void {
    const form = forms[0]!;
    if (this.isFull || (patches && !this.areSeen(form, looked, patches[0]!))) return;
    this.begin(action);
    for (const part of looked) {
      if (this.look() === FREE) this.enter(-1 - part);
      this.goOn(form, part);
    }
    if (this.look() !== FREE) return;
    const outcome = this.outcomeOf(forms, findings, patches);
    if (outcome !== UNKNOWN) this.enter(outcome);
  }

  /** Whether a call has looked into all that it has changed of what is not always looked at. */
  private areSeen({ numbering }: Form, looked: readonly number[], { objects, entries }: Patch): boolean {
    for (let i = 0; i < objects.length; i += 3) {
      const watched = numbering.watched.indexOf(objects[i]!);
      if (watched >= 0 && !looked.includes(watched)) return false;
    }
    for (let i = 0; i < entries.length; i += 4) {
      const entry = entries[i]!;
      const sees = (part: number) => part >= OBJECTS && this.entries.in(part - OBJECTS).includes(entry);
      if (!looked.some(sees)) return false;
    }
    return true;
  }

  /** What was found. */
  findings(outcome: number): readonly Finding[] {
    return this.lists.get(this.outcomes[outcome]!)!;
  }

  /** Whether it is a state that was not there before. */
  leadsOn(outcome: number): boolean {
    return outcome !== NOTHING && this.outcomes[outcome + 1] !== 0;
  }

  /** Leaves in `fingerprint` the canonical hash of the state that it led to from one with these forms. */
  fingerprintAfter(outcome: number, forms: readonly Form[], fingerprint: Fingerprint): void {
    const { outcomes } = this;
    let at = outcome + 2;
    for (let i = 0; i < forms.length; i++) {
      const { words, sumLow, sumHigh } = forms[i]!;
      let low = sumLow;
      let high = sumHigh;
      let end = at + 1 + outcomes[at]! * OBJECT_CHANGE;
      for (at++; at < end; at += OBJECT_CHANGE) {
        const object = objectAt(outcomes[at]!);
        low = (low - words[object]! + outcomes[at + 1]!) | 0;
        high = (high - words[object + 1]! + outcomes[at + 2]!) | 0;
      }
      end = at + 1 + outcomes[at]! * ENTRY_CHANGE;
      for (at++; at < end; at += ENTRY_CHANGE) {
        const entry = entryAt(outcomes[at]!);
        const a = words[entry]!;
        const b = words[entry + 1]!;
        const n = words[entry + 2]!;
        const [isMore, c, d, count] = [
          outcomes[at + 1] === MORE,
          outcomes[at + 2]!,
          outcomes[at + 3]!,
          outcomes[at + 4]!,
        ];
        low = (low - lowOf(a, b, n) + (isMore ? lowOf(a, b, n + count) : lowOf(c, d, count))) | 0;
        high = (high - highOf(a, b, n) + (isMore ? highOf(a, b, n + count) : highOf(c, d, count))) | 0;
      }
      if (i > 0 && !isLess(low, high, fingerprint)) continue;
      fingerprint.low = low;
      fingerprint.high = high;
    }
  }

  /** The forms of that state. */
  formsAfter(outcome: number, forms: readonly Form[]): Form[] {
    const { outcomes } = this;
    let at = outcome + 2;
    return forms.map((before) => {
      const form = before.copy();
      const { words } = form;
      let end = at + 1 + outcomes[at]! * OBJECT_CHANGE;
      for (at++; at < end; at += OBJECT_CHANGE) {
        form.setObject(outcomes[at]!, outcomes[at + 1]!, outcomes[at + 2]!);
      }
      end = at + 1 + outcomes[at]! * ENTRY_CHANGE;
      for (at++; at < end; at += ENTRY_CHANGE) {
        const entry = outcomes[at]!;
        const its = entryAt(entry);
        const count = outcomes[at + 4]!;
        if (outcomes[at + 1] === MORE)
          form.setEntry(entry, words[its]!, words[its + 1]!, words[its + 2]! + count);
        else form.setEntry(entry, outcomes[at + 2]!, outcomes[at + 3]!, count);
      }
      return form;
    });
  }

  private get isFull(): boolean {
    const { counters, mask, outcomes } = this;
    return counters[TAKEN]! > mask * 0.8 || counters[USED]! >= outcomes.length;
  }

  /** Forgets everything where there is little room left. Between two layers of a search, when nobody looks. */
  makeRoom(): void {
    const { counters, mask, outcomes } = this;
    if (counters[TAKEN]! < mask / 2 && counters[USED]! < outcomes.length / 2) return;
    this.table.fill(FREE);
    counters.fill(0);
  }

  /** Begins a look with what is always looked at. */
  private begin(action: number): void {
    const { hash } = this;
    hash.begin();
    hash.word(action);
    hash.word(this.restLow);
    hash.word(this.restHigh);
  }

  /** Goes on with what a watched object holds, or what is seen of entries. */
  private goOn({ numbering, words }: Form, part: number): void {
    const { hash } = this;
    if (part < OBJECTS) {
      const number = numbering.watched[part]!;
      hash.word(number);
      if (number < 0) return;
      const at = objectAt(number);
      hash.word(words[at]!);
      hash.word(words[at + 1]!);
      return;
    }
    const entries = this.entries.in(part - OBJECTS);
    const most = this.entries.mostOf(part - OBJECTS);
    let low = part;
    let high = 0;
    for (let i = 0; i < entries.length; i++) {
      const at = entryAt(entries[i]!);
      if (words[at + 2] === 0) continue;
      const a = words[at]!;
      const b = words[at + 1]!;
      const count = Math.min(words[at + 2]!, most);
      low = (low + lowOf(a, b, count)) | 0;
      high = (high + highOf(a, b, count)) | 0;
    }
    hash.word(low);
    hash.word(high);
  }

  /** What is known there: an outcome, or -1 - the watched object that is looked into next. */
  private look(): number {
    const { table, mask, hash } = this;
    const { low, high } = hash;
    for (let place = mixed(low, high) & mask; ; place = (place + 1) & mask) {
      const at = place * PLACE;
      const known = Atomics.load(table, at);
      const isKnown = known !== BUSY && table[at + 1] === low && table[at + 2] === high;
      if (known === FREE || isKnown) {
        this.at = at;
        return known;
      }
    }
  }

  private enter(known: number): void {
    const { table, at, hash, counters } = this;
    // Where another thread was first, it knows the same, or something else that is good as well.
    if (Atomics.compareExchange(table, at, FREE, BUSY) !== FREE) return;
    table[at + 1] = hash.low;
    table[at + 2] = hash.high;
    Atomics.store(table, at, known);
    Atomics.add(counters, TAKEN, 1);
  }

  /** Takes an outcome down; UNKNOWN where there is no room. */
  private outcomeOf(
    forms: readonly Form[],
    findings: readonly Finding[],
    patches: readonly Patch[] | null,
  ): number {
    if (findings.length === 0 && !patches) return NOTHING;
    const { outcomes, counters } = this;
    let words = 2;
    for (const { objects, entries } of patches ?? []) {
      words += 2 + objects.length + (entries.length / 4) * ENTRY_CHANGE;
    }
    const outcome = NOTHING + 1 + Atomics.add(counters, USED, words);
    if (outcome + words > outcomes.length) return UNKNOWN;
    let at = outcome;
    outcomes[at++] = this.numberOf(findings);
    outcomes[at++] = patches ? 1 : 0;
    for (const [order, { objects, entries }] of (patches ?? []).entries()) {
      outcomes[at++] = objects.length / OBJECT_CHANGE;
      for (const word of objects) outcomes[at++] = word;
      outcomes[at++] = entries.length / 4;
      const { words } = forms[order]!;
      for (let i = 0; i < entries.length; i += 4) {
        const [entry, low, high, count] = entries.slice(i, i + 4) as [number, number, number, number];
        const was = entryAt(entry);
        const isSame = words[was] === low && words[was + 1] === high && words[was + 2] !== 0;
        outcomes[at++] = entry;
        outcomes[at++] = isSame ? MORE : OTHER;
        outcomes[at++] = low;
        outcomes[at++] = high;
        outcomes[at++] = isSame ? count - words[was + 2]! : count;
      }
    }
    return outcome;
  }

  /** The same number in every thread. */
  private numberOf(findings: readonly Finding[]): number {
    if (findings.length === 0) return NONE;
    const [low] = textHash(findings.length === 1 ? findings[0]! : findings.join(' '));
    if (!this.lists.has(low)) this.lists.set(low, [...findings]);
    return low;
  }
}

function mixed(low: number, high: number): number {
  return low ^ Math.imul(high, 0x9e3779b1);
}
