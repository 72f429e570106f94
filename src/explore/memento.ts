import { type Kind, kindOf, type Values } from './kinds.ts';

/** Whether an object is one whose inside cannot be looked at: the rest of a call on its way. */
function isOpaque(object: object): boolean {
  return (object as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === 'Generator';
}

/** Everything that can be reached from these objects, them included; stops after each. */
export function* reachableFrom(roots: readonly object[]): Generator<void, Set<object>> {
  const seen = new Set(roots);
  for (const object of seen) {
    yield;
    const kind = kindOf(object);
    for (const child of kind.children(kind.read(object))) {
      if (typeof child === 'object' && child !== null && !isOpaque(child)) seen.add(child);
    }
  }
  return seen;
}

/** Compiled: of the objects of a graph, the numbers of those that do not hold what the values say any more. */
type Scan = (values: readonly Values[], changed: Int32Array) => number;

/**
 * The objects that were there from the beginning, which are most of those that there ever are: they are looked through
 * by one function that is compiled for them, in a fourteenth of the time that a look at each by its kind takes.
 */
export class Graph {
  readonly objects: object[] = [];
  readonly kinds: Kind[] = [];
  /** Through which object each was found first; -1: the root. */
  readonly parents: number[] = [];
  readonly numbers = new Map<object, number>();
  readonly scan: Scan;

  /** @param outside what never changes, and is not looked into */
  constructor(
    root: object,
    private readonly outside: ReadonlySet<object>,
  ) {
    this.add(root, -1);
    for (let i = 0; i < this.objects.length; i++) {
      const kind = this.kinds[i]!;
      for (const child of kind.children(kind.read(this.objects[i]!))) {
        if (this.isInside(child) && !this.numbers.has(child)) this.add(child, i);
      }
    }
    this.scan = this.compile();
  }

  private add(object: object, parent: number): void {
    this.numbers.set(object, this.objects.length);
    this.objects.push(object);
    this.kinds.push(kindOf(object));
    this.parents.push(parent);
  }

  /** Whether a value is an object that has to be kept. */
  isInside(value: unknown): value is object {
    return typeof value === 'object' && value !== null && !this.outside.has(value) && !isOpaque(value);
  }

  read(): Values[] {
    return this.objects.map((object, i) => this.kinds[i]!.read(object));
  }

  private compile(): Scan {
    const { objects, kinds } = this;
    const names = objects.map((_, i) => `const o${i} = objects[${i}], k${i} = kinds[${i}];`);
    const looks = kinds.map(
      (kind, i) => `v = values[${i}]; if (${kind.changed(`o${i}`, 'v', `k${i}`)}) changed[count++] = ${i};`,
    );
    const code = `${names.join('')} return (values, changed) => { let count = 0, v; ${looks.join('\n')} return count; };`;
    return new Function('objects', 'kinds', code)(objects, kinds) as Scan;
  }
}

/** An object that was not there from the beginning. */
interface Later {
  readonly object: object;
  readonly kind: Kind;
  /** Through which object it was found first: of the graph, or behind those another later one. */
  readonly parent: number;
}

/** How one memento differs from another: what some of its objects hold, and those that it has besides. */
export interface Difference {
  readonly numbers: readonly number[];
  readonly values: readonly Values[];
  /** All that were not there from the beginning. */
  readonly later: readonly Later[];
  /** What those of them hold that the other has not. */
  readonly added: readonly Values[];
}

/** Which objects have changed since: their numbers, those of later ones behind those of the graph. */
export class Changes {
  count = 0;
  readonly numbers = new Int32Array(4096);
}

/**
 * Everything that can be reached as it is at one time, so that it can be made so again: the same objects with the
 * values they had. What was made since is not reached any more then. A call on its way (a generator) can be kept only
 * as long as it does not go on.
 */
export class Memento {
  private constructor(
    private readonly graph: Graph,
    private readonly values: Values[],
    readonly later: readonly Later[],
  ) {}

  /** Everything as it is. */
  static of(graph: Graph): Memento {
    return new Memento(graph, graph.read(), []);
  }

  /** How everything differs from this, where only what `changes` says is otherwise. */
  difference({ count, numbers }: Changes): Difference {
    const changed: number[] = [];
    const values: Values[] = [];
    const through: number[] = [];
    for (let i = 0; i < count; i++) {
      const number = numbers[i]!;
      const kind = this.kindAt(number);
      const now = kind.read(this.objectAt(number));
      if (this.leadsElsewhere(now, this.values[number]!, now.length - kind.copies)) through.push(i);
      changed.push(number);
      values.push(now);
    }
    const added: Values[] = [];
    const later = through.length === 0 ? this.later : this.found(changed, values, through, added);
    return { numbers: changed, values, later, added };
  }

  /** The memento that differs from this by some differences, one after the other. */
  with(differences: readonly Difference[]): Memento {
    const all = this.values.slice();
    let { later } = this;
    for (const { numbers, values, added, later: its } of differences) {
      for (let i = 0; i < numbers.length; i++) all[numbers[i]!] = values[i]!;
      for (const one of added) all.push(one);
      later = its;
    }
    return new Memento(this.graph, all, later);
  }

  /** Whether there are objects among the first values that were not there before, and may not be known. */
  private leadsElsewhere(now: Values, before: Values, count: number): boolean {
    const { graph } = this;
    for (let i = 0; i < count; i++) {
      const value = now[i];
      if (typeof value !== 'object' || value === null || value === before[i]) continue;
      if (!graph.numbers.has(value) && graph.isInside(value)) return true;
    }
    return false;
  }

  /** All later objects, those included that can be reached through some that have changed; `added` gets what they hold. */
  private found(
    numbers: readonly number[],
    values: readonly Values[],
    through: readonly number[],
    added: Values[],
  ): readonly Later[] {
    const { graph } = this;
    const later = this.later.slice();
    const look = (kind: Kind, held: Values, parent: number) => {
      for (const child of kind.children(held)) {
        if (!graph.isInside(child) || graph.numbers.has(child)) continue;
        if (later.some(({ object }) => object === child)) continue;
        const its = kindOf(child);
        later.push({ object: child, kind: its, parent });
        added.push(its.read(child));
      }
    };
    for (const i of through) look(this.kindAt(numbers[i]!), values[i]!, numbers[i]!);
    for (let i = 0; i < added.length; i++) {
      look(later[this.later.length + i]!.kind, added[i]!, this.values.length + i);
    }
    return added.length > 0 ? later : this.later;
  }

  /** Objects in it. */
  get size(): number {
    return this.values.length;
  }

  objectAt(number: number): object {
    const { objects } = this.graph;
    return number < objects.length ? objects[number]! : this.later[number - objects.length]!.object;
  }

  private kindAt(number: number): Kind {
    const { kinds } = this.graph;
    return number < kinds.length ? kinds[number]! : this.later[number - kinds.length]!.kind;
  }

  /** Through which object one was found first; -1: the root. */
  parentOf(number: number): number {
    const { parents } = this.graph;
    return number < parents.length ? parents[number]! : this.later[number - parents.length]!.parent;
  }

  /** Notes what has changed since. */
  compare(changes: Changes): void {
    const { graph, values, later } = this;
    let count = graph.scan(values, changes.numbers);
    const { length } = graph.objects;
    for (let i = 0; i < later.length; i++) {
      const { object, kind } = later[i]!;
      if (!kind.same(object, values[length + i]!)) changes.numbers[count++] = length + i;
    }
    changes.count = count;
  }

  /** Makes what has changed since as it was. */
  restore({ count, numbers }: Changes): void {
    for (let i = 0; i < count; i++) {
      const number = numbers[i]!;
      this.kindAt(number).write(this.objectAt(number), this.values[number]!);
    }
  }
}
