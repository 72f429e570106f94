/** Bytes a state takes: its hash 8, the state it was reached from 4, the action 2, who goes on from it 1, and its places in the table. */
const BYTES_A_STATE = 8 + 4 + 2 + 1 + 8;

/** The most states there may be room for. */
const STATES_MAX = 2 ** 28;

/**
 * Numbers that a thread reserves at once: states that it has found one after the other, whose ways have most in common, are
 * neighbours then, and are gone on from one after the other.
 */
export const RESERVED = 64;

/** A free place of the table. */
const FREE = 0;
/** What a number that is nobody's was reached from. */
const DROPPED = -2;

/**
 * The states that have been found, in the order in which they were, each by the hash of its canonical form (64 bits:
 * with ten million states the odds that two have the same are about one in 370,000), and how each was first reached.
 * It may be shared by threads: a place of the table is taken by whoever is first.
 */
export class Visited {
  /** States there is room for. */
  readonly capacity: number;
  private readonly mask: number;
  private readonly table: Int32Array;
  private readonly low: Int32Array;
  private readonly high: Int32Array;
  private readonly from: Int32Array;
  private readonly action: Uint16Array;
  private readonly taken: Uint8Array;
  private readonly counter: Int32Array;

  /**
   * @param buffer one made by `bufferFor`
   * @param atOnce numbers to reserve at once; those left over are dropped with each layer
   */
  constructor(
    readonly buffer: SharedArrayBuffer,
    private readonly atOnce = 1,
  ) {
    this.capacity = capacityOf(buffer.byteLength);
    const { capacity } = this;
    const places = placesFor(capacity);
    this.mask = places - 1;
    let at = 16;
    const take = (count: number) => {
      const view = new Int32Array(buffer, at, count);
      at += count * 4;
      return view;
    };
    this.counter = new Int32Array(buffer, 0, 4);
    this.table = take(places);
    this.low = take(capacity);
    this.high = take(capacity);
    this.from = take(capacity);
    this.action = new Uint16Array(buffer, at, capacity);
    this.taken = new Uint8Array(buffer, at + capacity * 2, capacity);
  }

  /** Memory for as many states as fit into so many bytes. */
  static bufferFor(bytes: number): SharedArrayBuffer {
    const states = Math.min(STATES_MAX, Math.floor((bytes - 16) / BYTES_A_STATE));
    let places = 2 ** Math.floor(Math.log2(Math.max(16, states) * 2));
    if (places / 2 > states) places /= 2;
    return new SharedArrayBuffer(16 + places * 4 + (places / 2) * 15);
  }

  /** Numbers given to states so far. */
  get count(): number {
    return Math.min(Atomics.load(this.counter, 0), this.capacity);
  }

  /** States found so far. */
  get states(): number {
    return this.count - Atomics.load(this.counter, 1);
  }

  /** Whether there was no room for a state. */
  get isFull(): boolean {
    return Atomics.load(this.counter, 0) > this.capacity;
  }

  /**
   * Adds a state.
   *
   * @param from the state it was reached from, -1 for the first; `action`, by what
   * @returns its number; -1 where it is known already, or there is no room
   */
  add(low: number, high: number, from: number, action: number): number {
    const { table, mask } = this;
    for (let place = this.placeOf(low, high); ; place = (place + 1) & mask) {
      let there = Atomics.load(table, place);
      if (there === FREE) {
        const state = this.reserve(low, high, from, action);
        if (state < 0) return -1;
        there = Atomics.compareExchange(table, place, FREE, state + 1);
        if (there === FREE) return state;
        this.next--;
      }
      if (this.low[there - 1] === low && this.high[there - 1] === high) return -1;
    }
  }

  /** The numbers that this thread has reserved and not used yet. */
  private next = 0;
  private end = 0;

  /** This thread's share of a layer is done: the numbers it has not used are nobody's. */
  dropSpare(): void {
    const { next, end, from, counter } = this;
    from.fill(DROPPED, next, end);
    Atomics.add(counter, 1, end - next);
    this.end = next;
  }

  /** Takes a state to go on from; false where another thread has. */
  take(state: number): boolean {
    return Atomics.exchange(this.taken, state, 1) === 0;
  }

  /** Whether a number is nobody's. */
  isDropped(state: number): boolean {
    return this.from[state] === DROPPED;
  }

  private reserve(low: number, high: number, from: number, action: number): number {
    if (this.next === this.end && !this.reserveMore()) return -1;
    const state = this.next++;
    this.low[state] = low;
    this.high[state] = high;
    this.from[state] = from;
    this.action[state] = action;
    return state;
  }

  /** Reserves numbers; false where there are none left. */
  private reserveMore(): boolean {
    const { capacity } = this;
    const first = Atomics.add(this.counter, 0, this.atOnce);
    this.next = Math.min(first, capacity);
    this.end = Math.min(first + this.atOnce, capacity);
    return this.next < this.end;
  }

  /** The actions that lead to a state from the first one. */
  pathTo(state: number): number[] {
    const path: number[] = [];
    for (let at = state; this.from[at]! >= 0; at = this.from[at]!) path.push(this.action[at]!);
    return path.reverse();
  }

  /** All states, to be kept in a file: hashes, and how each was reached. */
  save(): Uint8Array[] {
    const { count } = this;
    const columns = [this.low, this.high, this.from, this.action];
    return columns.map((column) => {
      const kept = column.slice(0, count);
      return new Uint8Array(kept.buffer, 0, kept.byteLength);
    });
  }

  /**
   * Fills a fresh table with what was saved.
   *
   * @returns null; or why it cannot be: there is no room, or a state would have been reached from a later one
   */
  restore(bytes: Uint8Array): 'full' | 'broken' | null {
    const count = bytes.length / SAVED_BYTES;
    if (count > this.capacity) return 'full';
    const columns = [this.low, this.high, this.from, this.action];
    let at = 0;
    for (const column of columns) {
      const size = count * column.BYTES_PER_ELEMENT;
      new Uint8Array(column.buffer, column.byteOffset, size).set(bytes.subarray(at, at + size));
      at += size;
    }
    this.counter[0] = count;
    for (let state = 0; state < count; state++) {
      if (this.from[state]! >= state) return 'broken';
      if (this.isDropped(state)) this.counter[1]!++;
      else this.enter(state);
    }
    return null;
  }

  /** Whether a state has this hash. */
  has(state: number, low: number, high: number): boolean {
    return this.low[state] === low && this.high[state] === high;
  }

  private enter(state: number): void {
    const { table, mask } = this;
    let place = this.placeOf(this.low[state]!, this.high[state]!);
    while (table[place] !== FREE) place = (place + 1) & mask;
    table[place] = state + 1;
  }

  private placeOf(low: number, high: number): number {
    return (low ^ Math.imul(high, 0x9e3779b1)) & this.mask;
  }
}

/** Bytes of a state in a file. */
const SAVED_BYTES = 14;

function placesFor(capacity: number): number {
  return capacity * 2;
}

function capacityOf(bytes: number): number {
  return (bytes - 16) / BYTES_A_STATE;
}
