import { type Fingerprint, isLess } from './fingerprints.ts';
import type { Form, Patch } from './form.ts';
import type { Finding } from './goals.ts';
import { Hash, textHash } from './hash.ts';

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
const CHANGE = 3;
/** Bytes before the table, and what is counted there. */
const HEAD = 16;
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

  /** @param buffer one made by `bufferFor`; threads may share it */
  constructor(buffer: SharedArrayBuffer) {
    const places = (buffer.byteLength - HEAD) / (4 * (PLACE + WORDS));
    this.counters = new Int32Array(buffer, 0, HEAD / 4);
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

  /** The outcome of an action in the state of a form; UNKNOWN where it is not known. */
  find(form: Form, action: number): number {
    this.begin(form, action);
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
   * @param order the watched objects that it looked into
   * @param patches what has changed, in each order of the devices; null: nothing
   */
  note(
    form: Form,
    action: number,
    order: readonly number[],
    findings: readonly Finding[],
    patches: readonly Patch[] | null,
  ): void {
    if (this.isFull) return;
    this.begin(form, action);
    for (const watched of order) {
      if (this.look() === FREE) this.enter(-1 - watched);
      this.goOn(form, watched);
    }
    if (this.look() !== FREE) return;
    const outcome = this.outcomeOf(findings, patches);
    if (outcome !== UNKNOWN) this.enter(outcome);
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
    let at = outcome + 1;
    for (let i = 0; i < forms.length; i++) {
      const { low: lows, high: highs, sumLow, sumHigh } = forms[i]!;
      let low = sumLow;
      let high = sumHigh;
      const end = at + 1 + outcomes[at]! * CHANGE;
      for (at++; at < end; at += CHANGE) {
        const number = outcomes[at]!;
        low = (low - lows[number]! + outcomes[at + 1]!) | 0;
        high = (high - highs[number]! + outcomes[at + 2]!) | 0;
      }
      if (i > 0 && !isLess(low, high, fingerprint)) continue;
      fingerprint.low = low;
      fingerprint.high = high;
    }
  }

  /** The forms of that state. */
  formsAfter(outcome: number, forms: readonly Form[]): Form[] {
    const { outcomes } = this;
    let at = outcome + 1;
    return forms.map((before) => {
      const form = before.copy();
      const end = at + 1 + outcomes[at]! * CHANGE;
      for (at++; at < end; at += CHANGE) form.set(outcomes[at]!, outcomes[at + 1]!, outcomes[at + 2]!);
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
  private begin({ sumLow, sumHigh, low: lows, high: highs, numbering }: Form, action: number): void {
    let low = sumLow;
    let high = sumHigh;
    for (const number of numbering.watched) {
      if (number < 0) continue;
      low = (low - lows[number]!) | 0;
      high = (high - highs[number]!) | 0;
    }
    const { hash } = this;
    hash.begin();
    hash.word(action);
    hash.word(low);
    hash.word(high);
  }

  /** Goes on with what a watched object holds. */
  private goOn({ numbering, low, high }: Form, object: number): void {
    const { hash } = this;
    const number = numbering.watched[object]!;
    hash.word(number);
    if (number < 0) return;
    hash.word(low[number]!);
    hash.word(high[number]!);
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
  private outcomeOf(findings: readonly Finding[], patches: readonly Patch[] | null): number {
    if (findings.length === 0 && !patches) return NOTHING;
    const { outcomes, counters } = this;
    let words = 2;
    for (const { numbers } of patches ?? []) words += 1 + numbers.length * CHANGE;
    const outcome = NOTHING + 1 + Atomics.add(counters, USED, words);
    if (outcome + words > outcomes.length) return UNKNOWN;
    let at = outcome;
    outcomes[at++] = this.numberOf(findings);
    if (!patches) outcomes[at++] = 0;
    for (const { numbers, low, high } of patches ?? []) {
      outcomes[at++] = numbers.length;
      for (let i = 0; i < numbers.length; i++) {
        outcomes[at++] = numbers[i]!;
        outcomes[at++] = low[i]!;
        outcomes[at++] = high[i]!;
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
