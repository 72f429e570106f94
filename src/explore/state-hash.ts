import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { Entries } from './entries.ts';
import { EntryHash } from './entry-hash.ts';
import { Form, NOBODY, Numbering, objectAt, Patch, SHARED } from './form.ts';
import { Hash } from './hash.ts';
import { shapeOf } from './shapes.ts';

/** What stands before each kind of value, so that no two values are the same words. */
const NOTHING = 0x101;
export const NO = 0x102;
export const YES = 0x103;
const NUMBER = 0x104;
const TEXT = 0x105;
const OBJECT = 0x106;
const LIST = 0x108;
export const DEVICE = 0x109;
export const OPAQUE = 0x10a;

/** The number of the frame in which everything is that has none of its own. */
const ROOT = 0;

/** Puts what is in an object of one kind into the hash. */
export type Content = (object: never) => void;

/**
 * Puts in the fields of objects of one make, but for some. Compiled, because it is done for most of what changes: what is
 * no object is put in on the spot.
 */
export function fieldsOf(object: object, except: readonly string[] = []): Content {
  const looks = shapeOf(object)
    .keys.filter((key) => !except.includes(key))
    .map(
      (key) => `v = o[${JSON.stringify(key)}];
if (typeof v === 'number') { h.word(${NUMBER}); h.number(v); }
else if (v === null) h.word(${NOTHING});
else if (v === true) h.word(${YES});
else if (v === false) h.word(${NO});
else this.value(v);`,
    );
  return new Function('o', `const h = this.hash; let v; ${looks.join('\n')}`) as Content;
}

/** How objects of one make are put in: those that are met by reference have a number each. */
export interface Handler {
  readonly content: Content;
  readonly isNumbered: boolean;
}

/** The devices in one of the orders in which they may be numbered. */
export class Order {
  readonly idOf = new Map<string, number>();
  /** By a device's own number: its place in the order. */
  readonly placeOf: number[] = [];

  constructor({ deviceNames }: Kernel, ids: readonly string[]) {
    for (const [place, id] of ids.entries()) this.idOf.set(id, place);
    for (const [number, id] of deviceNames) this.placeOf[number] = this.idOf.get(id) ?? ids.length;
  }
}

/**
 * The hash of a state: of every object by itself, with the numbers of those it refers to, in the order in which they are
 * met. What there is to be said of each kind of object, who extends this says.
 */
export abstract class StateHash {
  /** The form that was asked for last: the two halves of its hash. */
  low = 0;
  high = 0;
  protected readonly hash = new Hash();
  protected readonly entry: EntryHash;
  private readonly constants = new Map<object, number>();
  private readonly handlers = new Map<unknown, Handler>();
  protected order!: Order;
  protected underway: (task: Task) => void = () => {};
  /** Numbers of the objects that have been met, or, of a form that is noted, are known. */
  private numbers = new Map<object, number>();
  private count = 0;
  /** How many of them are numbered first, whoever refers to them. */
  private fixed = 0;
  /** What is noted: the objects, and the halves of the hash of each; null: nothing. */
  private numbering: Numbering | null = null;
  private words: number[] | Int32Array = [];
  private parts: WeakMap<object, number> | null = null;
  /** The object whose content is put in. */
  protected current = 0;
  private references: number[] = [];
  /** Whether a state is looked at as it differs from a known one: objects must be known. */
  private isPatch = false;
  private patch = new Patch();
  protected isAnother = false;

  /**
   * @param outside what never changes: told apart, and not looked into
   * @param tables whose entries have numbers
   */
  constructor(
    protected readonly kernel: Kernel,
    outside: ReadonlySet<object>,
    tables: readonly object[] = [],
    entries: Entries = new Entries(),
  ) {
    this.entry = new EntryHash(tables, entries);
    for (const object of outside) this.constants.set(object, this.constants.size);
  }

  /**
   * Leaves the hash of the state in `low` and `high`.
   *
   * @param order the devices as they are to be numbered: those that are alike may be exchanged
   * @param underway puts in what tells a call on its way apart
   */
  of(order: Order, underway: (task: Task) => void): void {
    this.order = order;
    this.underway = underway;
    if (!this.numbering) this.words = [];
    this.parts = this.numbering?.parts ?? null;
    if (this.numbering) this.numbers = this.numbering.numbers;
    else this.numbers.clear();
    this.count = ROOT + 1;
    this.low = 0;
    this.high = 0;
    const fixed = this.first();
    for (const object of fixed) this.numbers.set(object, this.count++);
    this.fixed = fixed.length;
    this.numbers.set(this.kernel, ROOT);
    this.inOwnFrame(this.kernel, this.root, ROOT);
    for (const [i, object] of fixed.entries()) {
      this.inOwnFrame(object, this.handlerFor(object).content, ROOT + 1 + i);
    }
  }

  /** The same, with all that the hash is made of. */
  formOf(order: Order, underway: (task: Task) => void): Form {
    const numbering = new Numbering();
    this.numbering = numbering;
    this.words = new Array(objectAt(0)).fill(0);
    this.of(order, underway);
    this.numbering = null;
    this.numbers = new Map();
    numbering.fixed = this.fixed;
    return new Form(numbering, Int32Array.from(this.words), this.low, this.high);
  }

  /**
   * The same for a state that differs from a form's in what some of its objects hold.
   *
   * @param changed which objects
   * @param patch takes down what of them, and of the entries of their tables, hashes to something else
   * @param isKept whether it is taken down as well of what objects new ones are part
   * @returns false where it differs in more, and has to be looked through as a whole
   */
  patchOf(form: Form, order: Order, changed: readonly number[], patch: Patch, isKept: boolean): boolean {
    const { hash } = this;
    this.order = order;
    const { numbering } = form;
    this.parts = isKept ? numbering.parts : null;
    this.isAnother =
      changed.includes(ROOT) &&
      !isEqual(this.first(), numbering.objects.slice(ROOT + 1, ROOT + 1 + numbering.fixed));
    this.low = form.sumLow;
    this.high = form.sumHigh;
    const own = this.numbers;
    this.numbers = numbering.numbers;
    this.fixed = numbering.fixed;
    this.words = form.words;
    this.patch = patch;
    this.isPatch = true;
    patch.clear();
    for (let i = 0; i < changed.length && !this.isAnother; i++) {
      const number = changed[i]!;
      const object = numbering.objects[number]!;
      this.references = [];
      this.current = number;
      this.beginFrame(number);
      const content = number === ROOT ? this.root : this.handlerFor(object).content;
      content.call(this, object as never);
      this.endFrame();
      this.isAnother ||= !isEqual(this.references, numbering.references[number]!);
      this.put(number, hash.low, hash.high);
    }
    this.numbers = own;
    this.isPatch = false;
    return !this.isAnother;
  }

  private beginFrame(number: number): void {
    const { hash, entry } = this;
    entry.rest.low = 0;
    entry.rest.high = 0;
    hash.begin();
    hash.word(number);
  }

  /** Ends the frame of an object, with those of its entries that have no number. */
  private endFrame(): void {
    const { hash, entry } = this;
    hash.end();
    hash.low = (hash.low + entry.rest.low) | 0;
    hash.high = (hash.high + entry.rest.high) | 0;
  }

  /** Adds what an object hashes to. */
  private add(number: number, low: number, high: number): void {
    this.low = (this.low + low) | 0;
    this.high = (this.high + high) | 0;
    if (!this.numbering) return;
    const at = objectAt(number);
    this.words[at] = low;
    this.words[at + 1] = high;
  }

  /** Takes down what an object hashes to, where that is not what the form has. */
  private put(number: number, low: number, high: number): void {
    const { words, patch } = this;
    const at = objectAt(number);
    if (low === words[at] && high === words[at + 1]) return;
    this.low = (this.low - words[at]! + low) | 0;
    this.high = (this.high - words[at + 1]! + high) | 0;
    patch.objects.push(number, low, high);
  }

  /** Puts in the entries of a table, each by itself. */
  protected table(table: object, content: () => void): void {
    const { entry } = this;
    entry.beginTable(table);
    content();
    entry.endTable(this, this.words, this.isPatch ? this.patch : null);
  }

  /** What is no part of the state. */
  protected leaveOut(value: unknown): void {
    const { numbering } = this;
    if (!numbering || typeof value !== 'object' || value === null) return;
    const { numbers, parts } = numbering;
    if (!numbers.has(value) && !parts.has(value)) parts.set(value, NOBODY);
  }

  /** Takes down that an object without a number is part of the one whose content is put in. */
  protected partOf(object: object): void {
    const { parts } = this;
    if (!parts) return;
    const before = parts.get(object);
    if (before === undefined || before === NOBODY) parts.set(object, this.current);
    else if (before !== this.current) {
      parts.set(object, SHARED);
      this.isAnother = true;
    }
  }

  /** Puts a device into the hash, by its number in the order. */
  device(id: string): void {
    this.hash.word(DEVICE);
    this.hash.word(this.order.idOf.get(id) ?? NOTHING);
  }

  /** Puts a word into the hash: for whoever tells calls on their way apart. */
  word(value: number): void {
    this.hash.word(value);
  }

  protected value(value: unknown): void {
    const { hash } = this;
    switch (typeof value) {
      case 'number':
        hash.word(NUMBER);
        hash.number(value);
        return;
      case 'boolean':
        hash.word(value ? YES : NO);
        return;
      case 'string': {
        const device = this.order.idOf.get(value);
        if (device !== undefined) {
          hash.word(DEVICE);
          hash.word(device);
        } else {
          hash.word(TEXT);
          hash.text(value);
        }
        return;
      }
      case 'bigint':
        hash.word(TEXT);
        hash.bigint(value);
        return;
      case 'object':
        if (value === null) hash.word(NOTHING);
        else this.object(value);
        return;
      case 'function':
        hash.word(OPAQUE);
        return;
      default:
        hash.word(NOTHING);
    }
  }

  private object(object: object): void {
    const { hash } = this;
    const number = this.numbers.get(object);
    if (number !== undefined) {
      hash.word(OBJECT);
      hash.word(number);
      this.refersTo(number);
      return;
    }
    const constant = this.constants.get(object);
    if (constant !== undefined) {
      hash.word(OPAQUE);
      hash.word(constant);
      return;
    }
    const { content, isNumbered } = this.handlerFor(object);
    if (isNumbered) this.met(object, content);
    else {
      this.partOf(object);
      content.call(this, object as never);
    }
  }

  protected isNumbered(object: object): boolean {
    return !this.constants.has(object) && this.handlerFor(object).isNumbered;
  }

  private handlerFor(object: object): Handler {
    let handler = this.handlers.get(object.constructor);
    if (!handler) {
      handler = this.kindOf(object);
      this.handlers.set(object.constructor, handler);
    }
    return handler;
  }

  /** Puts an object that is met for the first time in by its number, and what is in it by itself. */
  private met(object: object, content: Content): void {
    const { hash } = this;
    hash.word(OBJECT);
    if (this.isPatch) {
      this.isAnother = true;
      return;
    }
    const number = this.count++;
    hash.word(number);
    this.refersTo(number);
    this.numbers.set(object, number);
    const { low, high } = hash;
    this.inOwnFrame(object, content, number);
    hash.low = low;
    hash.high = high;
  }

  /** Who refers to what was numbered before it decides nothing about the numbers. */
  private refersTo(number: number): void {
    if (number > this.fixed && number > this.current) this.references.push(number);
  }

  /** Puts in what is in an object, by itself. */
  private inOwnFrame(object: object, content: Content, number: number): void {
    const { hash, numbering, current, references } = this;
    const { low, high } = this.entry.rest;
    this.current = number;
    this.references = [];
    if (numbering) {
      numbering.objects[number] = object;
      numbering.references[number] = this.references;
    }
    this.beginFrame(number);
    content.call(this, object as never);
    this.endFrame();
    this.add(number, hash.low, hash.high);
    this.current = current;
    this.references = references;
    this.entry.rest.low = low;
    this.entry.rest.high = high;
  }

  protected list(items: readonly unknown[]): void {
    this.hash.word(LIST);
    this.hash.word(items.length);
    for (const item of items) this.value(item);
  }

  protected map(map: ReadonlyMap<unknown, unknown>): void {
    this.hash.word(LIST);
    this.hash.word(map.size);
    if (map.size === 0) return;
    for (const [key, value] of map) {
      this.value(key);
      this.value(value);
    }
  }

  protected set(set: ReadonlySet<unknown>): void {
    this.hash.word(LIST);
    this.hash.word(set.size);
    if (set.size === 0) return;
    for (const value of set) this.value(value);
  }

  protected column(numbers: ArrayLike<number>): void {
    this.hash.word(LIST);
    for (let i = 0; i < numbers.length; i++) this.hash.number(numbers[i]!);
  }

  /** The objects that are numbered first, in their order: what refers to one of them may come and go. */
  protected abstract first(): object[];

  /** Everything that is state. */
  protected abstract root(): void;

  /** How objects like this one are put in. */
  protected abstract kindOf(object: object): Handler;
}

function isEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
