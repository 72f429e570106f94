import { ENTRIES, type Entries, NONE } from './entries.ts';
import { entryAt, highOf, lowOf, type Patch } from './form.ts';
import { Hash } from './hash.ts';

/** The two halves of a sum of hashes. */
interface Sum {
  low: number;
  high: number;
}

/** Hashes the entries of tables, each by itself. */
export class EntryHash {
  /** What an entry is made of, but for how many it counts. */
  readonly hash = new Hash();
  /** The sum of those entries of an object's tables that have no number. */
  readonly rest: Sum = { low: 0, high: 0 };
  /** The number of the table whose entries are put in. */
  private table: number = NONE;
  /** Its entries, as a form has them. */
  private readonly found = new Int32Array(entryAt(ENTRIES));

  /** @param tables whose entries have numbers */
  constructor(
    private readonly tables: readonly object[],
    private readonly entries: Entries,
  ) {}

  beginTable(table: object): void {
    this.table = this.tables.indexOf(table);
    this.found.fill(0);
  }

  /** @param owner the number of the object that the table is part of */
  begin(owner: number): void {
    this.hash.begin();
    this.hash.word(owner);
  }

  /**
   * Ends an entry.
   *
   * @param tree in which tree of its table it is
   * @param count how many it counts, of which nobody can tell one from another
   */
  end(tree: number, key: number, count: number): void {
    const { hash, found, table, rest } = this;
    hash.end();
    const { low, high } = hash;
    const entry = table === NONE ? NONE : this.entries.entry(table, tree, key);
    if (entry === NONE) {
      rest.low = (rest.low + lowOf(low, high, count)) | 0;
      rest.high = (rest.high + highOf(low, high, count)) | 0;
      return;
    }
    const at = entryAt(entry);
    found[at] = low;
    found[at + 1] = high;
    found[at + 2] = count;
  }

  /**
   * Ends the table.
   *
   * @param sum is made to hold its entries, in the place of those that `words` has where `patch` is given
   * @param words of a form; without a patch they are filled in
   * @param patch takes down what has changed
   */
  endTable(sum: Sum, words: number[] | Int32Array, patch: Patch | null): void {
    const { entries, found, table } = this;
    if (table === NONE) return;
    for (let entry = entries.count - 1; entry >= 0; entry--) {
      if (entries.tableOf(entry) !== table) continue;
      const at = entryAt(entry);
      const [low, high, count] = [found[at]!, found[at + 1]!, found[at + 2]!];
      const [lowBefore, highBefore, before] = [words[at]!, words[at + 1]!, words[at + 2]!];
      if (patch) {
        if (low === lowBefore && high === highBefore && count === before) continue;
        sum.low = (sum.low - lowOf(lowBefore, highBefore, before)) | 0;
        sum.high = (sum.high - highOf(lowBefore, highBefore, before)) | 0;
        patch.entries.push(entry, low, high, count);
      } else for (let i = at; i < at + 3; i++) words[i] = found[i]!;
      sum.low = (sum.low + lowOf(low, high, count)) | 0;
      sum.high = (sum.high + highOf(low, high, count)) | 0;
    }
  }
}
