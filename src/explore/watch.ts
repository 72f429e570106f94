import { type Entries, VIEWS } from './entries.ts';
import { TableWatch, type WatchedTable } from './watched-tables.ts';

/** Objects that are watched at most: their numbers are below; those of ranges of keys, in tables, begin here. */
export const OBJECTS = 32;
/** Views of a table that a call is noted to look into; whoever looks into more is taken to look at the table as a whole. */
const VIEWS_OF_A_TABLE = 48;
/** Fields of a driver that no action of a scene changes. */
const CONSTANT = 'config';

/** Notes into which of some objects and tables a call looks, in the order in which it first does. */
export class Watch {
  /** The numbers of objects, and of ranges of keys. */
  readonly looked: number[] = [];
  /** Objects to which it adds without a look. */
  readonly added: number[] = [];
  isWatching = false;
  /** Calls watched so far. */
  calls = 0;
  /** By number: the last call that has looked into it. */
  private readonly lastCall = new Uint32Array(OBJECTS + VIEWS);
  /** By table: the views of it that this call has looked into. */
  private readonly views: number[];

  /**
   * @param objects of fields, or sets; whoever gets at what is in them comes through one of their own fields or methods
   * @param tables that are looked into entry by entry
   */
  constructor(
    readonly objects: readonly object[],
    tables: readonly WatchedTable[],
    private readonly entries: Entries,
  ) {
    entries.begin(tables.length);
    this.views = tables.map(() => 0);
    const all = new Set(tables.map(({ table }) => table));
    for (const [number, object] of objects.entries()) {
      const look = () => this.look(number);
      if (object instanceof Set) watchSet(object, look, () => this.add(number));
      else watchFields(object, look, all);
    }
    for (const [number, { watch }] of tables.entries()) watch(new TableWatch(this, number));
  }

  begin(): void {
    this.clear();
    this.calls++;
    this.views.fill(0);
    this.isWatching = true;
  }

  clear(): void {
    this.looked.length = 0;
    this.added.length = 0;
  }

  end(): void {
    this.isWatching = false;
  }

  /** A look at what a view of a table's entries shows: see Entries. */
  lookIn(table: number, tree: number, from: number, to: number, most: number): void {
    const { views, entries } = this;
    if (!this.isWatching || views[table]! > VIEWS_OF_A_TABLE) return;
    if (!this.look(OBJECTS + entries.view(table, tree, from, to, most))) return;
    if (++views[table]! > VIEWS_OF_A_TABLE) this.look(OBJECTS + entries.whole(table));
  }

  /** Whether it is the call's first look there. */
  private look(part: number): boolean {
    const { lastCall, calls } = this;
    if (!this.isWatching || lastCall[part] === calls) return false;
    lastCall[part] = calls;
    this.looked.push(part);
    return true;
  }

  private add(number: number): void {
    if (this.isWatching && this.lastCall[number] !== this.calls && !this.added.includes(number))
      this.added.push(number);
  }
}

/**
 * Puts accessors in the place of an object's fields. Those are taken away from the last one on: so the engine finds its
 * fields as fast as before, where it would look each up by its name otherwise.
 */
function watchFields(object: object, look: () => void, tables: ReadonlySet<unknown>): void {
  const fields = object as Record<string, unknown>;
  const held = Object.entries(fields);
  for (const [key] of held.toReversed()) delete fields[key];
  for (const [key, first] of held) {
    if (key === CONSTANT || tables.has(first)) {
      fields[key] = first;
      continue;
    }
    let value = first;
    Object.defineProperty(object, key, {
      enumerable: true,
      get() {
        look();
        return value;
      },
      set(to) {
        look();
        value = to;
      },
    });
  }
}

function watchSet(set: Set<unknown>, look: () => void, add: () => void): void {
  const { prototype } = Set;
  for (const name of Reflect.ownKeys(prototype)) {
    const { value, get } = Object.getOwnPropertyDescriptor(prototype, name)!;
    if (name === 'constructor') continue;
    if (typeof value === 'function') {
      const note = name === 'add' ? add : look;
      // None takes more.
      const watched = (first: unknown, second: unknown) => {
        note();
        return value.call(set, first, second);
      };
      Object.defineProperty(set, name, { value: watched });
    } else if (name === 'size') {
      const watched = () => {
        look();
        return get!.call(set);
      };
      Object.defineProperty(set, name, { get: watched });
    }
  }
}
