/** Entries that are told apart at most: what there is besides is part of what its table belongs to. */
export const ENTRIES = 32;
/** Views at most. */
export const VIEWS = 1024;

/** Words of the head: a lock, how many entries and views there are. */
const HEAD = 4;
const LOCK = 0;
const COUNT = 1;
const VIEW_COUNT = 2;
/** Numbers of an entry: its table, tree and key. Of a view: table, tree, first key, last key, how far it counts. */
const ENTRY = 3;
const VIEW = 5;

/** No entry, no table. */
export const NONE = -1;
/** Whatever tree an entry is in. */
export const ANY_TREE = -1;
/** Keys are whole numbers below: IOVAs, bytes. Entries with others have no number. */
const KEY_END = Number.MAX_SAFE_INTEGER;
const ALL = Number.POSITIVE_INFINITY;

/**
 * The entries of tables, and what calls see of them: views. Each has a number, the same in every thread. Which entries
 * there are in a state, and what they hold, its form says.
 */
export class Entries {
  static readonly bytes = 4 * HEAD + 8 * (ENTRIES * ENTRY + VIEWS * VIEW);
  private readonly head: Int32Array;
  private readonly entries: Float64Array;
  private readonly views: Float64Array;
  /** Numbers of the views that this thread has come across, by their first key. */
  private readonly known = new Map<number, number[]>();
  /** By view: the numbers of the entries in it; and how many entries there were when it was last looked at. */
  private readonly members: number[][] = [];
  private membersOf = 0;

  /** @param buffer has `bytes` for it, from `at` on; threads may share it */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(Entries.bytes), at = 0) {
    this.head = new Int32Array(buffer, at, HEAD);
    this.entries = new Float64Array(buffer, at + 4 * HEAD, ENTRIES * ENTRY);
    this.views = new Float64Array(buffer, at + 4 * HEAD + 8 * ENTRIES * ENTRY, VIEWS * VIEW);
  }

  get count(): number {
    return Atomics.load(this.head, COUNT);
  }

  /** The table that an entry is of. */
  tableOf(entry: number): number {
    return this.entries[entry * ENTRY]!;
  }

  /** The number of an entry; NONE where there is no room for it. */
  entry(table: number, tree: number, key: number): number {
    return key < KEY_END ? this.numberOf(this.entries, COUNT, [table, tree, key]) : NONE;
  }

  /** Makes room for a view of each table as a whole. */
  begin(tables: number): void {
    for (let table = 0; table < tables; table++) this.whole(table);
  }

  /**
   * The number of a view: of which entries with keys in a range there are, and of how many each counts.
   *
   * @param to the last key
   * @param most counts that are higher are seen as this
   */
  view(table: number, tree: number, from: number, to: number, most: number): number {
    const { views } = this;
    let known = this.known.get(from);
    if (!known) {
      known = [];
      this.known.set(from, known);
    }
    for (const view of known) {
      const at = view * VIEW;
      if (views[at + 3] !== to || views[at + 4] !== most) continue;
      if (views[at] === table && views[at + 1] === tree) return view;
    }
    const view = this.numberOf(views, VIEW_COUNT, [table, tree, from, to, most]);
    if (view === NONE) return this.whole(table);
    known.push(view);
    return view;
  }

  /** The number of the view of all that a table has. */
  whole(table: number): number {
    return this.numberOf(this.views, VIEW_COUNT, [table, ANY_TREE, 0, ALL, ALL]);
  }

  /** How far a view counts. */
  mostOf(view: number): number {
    return this.views[view * VIEW + 4]!;
  }

  /** The numbers of the entries in a view. */
  in(view: number): readonly number[] {
    const { count, members } = this;
    if (count !== this.membersOf) {
      members.length = 0;
      this.membersOf = count;
    }
    members[view] ??= this.membersIn(view, count);
    return members[view];
  }

  private membersIn(view: number, count: number): number[] {
    const { entries, views } = this;
    const [table, tree, from, to] = views.subarray(view * VIEW);
    const members: number[] = [];
    for (let entry = 0; entry < count; entry++) {
      const [its, itsTree, key] = entries.subarray(entry * ENTRY);
      if (its !== table || (tree !== ANY_TREE && itsTree !== tree)) continue;
      if (key! >= from! && key! <= to!) members.push(entry);
    }
    return members;
  }

  /** The number of what these values say; NONE where there is no room. */
  private numberOf(all: Float64Array, counter: number, values: readonly number[]): number {
    const { head } = this;
    const { length } = values;
    const before = Atomics.load(head, counter);
    const found = find(all, 0, before, values);
    if (found !== NONE || (before + 1) * length > all.length) return found;
    while (Atomics.compareExchange(head, LOCK, 0, 1) !== 0);
    const count = Atomics.load(head, counter);
    let number = find(all, before, count, values);
    if (number === NONE && (count + 1) * length <= all.length) {
      number = count;
      all.set(values, number * length);
      Atomics.store(head, counter, count + 1);
    }
    Atomics.store(head, LOCK, 0);
    return number;
  }
}

/** The number from `from` up to `to` that has these values. */
function find(all: Float64Array, from: number, to: number, values: readonly number[]): number {
  const { length } = values;
  for (let number = from; number < to; number++) {
    let i = 0;
    while (i < length && all[number * length + i] === values[i]) i++;
    if (i === length) return number;
  }
  return NONE;
}
