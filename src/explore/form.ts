import { ENTRIES } from './entries.ts';

/** The number of what is no part of the state, and of what is part of several numbered objects. */
export const NOBODY = -1;
export const SHARED = -2;

/** Words of an entry in a form: the two halves of the hash of what it is, and of how many it counts. */
const ENTRY = 3;
/** Words of an object: the two halves of the hash of what is in it. */
const OBJECT = 2;
const OBJECTS_AT = ENTRIES * ENTRY;

/** The objects of a canonical form, as they are numbered: those of most states are the same, and refer to the same. */
export class Numbering {
  /** Numbers of the objects that have one. */
  readonly numbers = new Map<object, number>();
  /** Of objects without: the number of the one that each is part of. */
  readonly parts = new WeakMap<object, number>();
  readonly objects: object[] = [];
  /** Which objects the content of each refers to, of those that are met after it. */
  readonly references: number[][] = [];
  /** The numbers of the objects that are watched; NOBODY: it is not there. */
  watched: readonly number[] = [];
  /** How many objects are numbered before any of them is looked into. */
  fixed = 0;
}

/** Where the words of an entry begin in a form, and of an object. */
export function entryAt(entry: number): number {
  return entry * ENTRY;
}
export function objectAt(number: number): number {
  return OBJECTS_AT + number * OBJECT;
}

/**
 * The halves of the hash of an entry: what it is, and as often as it counts something that is told by that. So what it
 * counts can be more or less by some without a look at how many there are.
 */
export function lowOf(low: number, high: number, count: number): number {
  return (low + Math.imul(count, Math.imul(high ^ (high >>> 15), 0x2c1b3c6d) | 1)) | 0;
}
export function highOf(low: number, high: number, count: number): number {
  return (high + Math.imul(count, Math.imul(low ^ (low >>> 13), 0x297a2d39) | 1)) | 0;
}

/**
 * What a canonical form is made of: numbered objects and entries of tables, each with a hash. The form is their sum, so
 * that one that differs in what a few of them hold is had from theirs.
 */
export class Form {
  /** @param words of entries, all 0 for one that is not there, and of objects */
  constructor(
    readonly numbering: Numbering,
    readonly words: Int32Array,
    /** Their sum. */
    public sumLow: number,
    public sumHigh: number,
  ) {}

  /** The same of another state, to be changed. */
  copy(): Form {
    const { numbering, words, sumLow, sumHigh } = this;
    return new Form(numbering, words.slice(), sumLow, sumHigh);
  }

  /** Becomes the form of a state in which one of its objects is otherwise. */
  setObject(number: number, low: number, high: number): void {
    const { words } = this;
    const at = objectAt(number);
    this.sumLow = (this.sumLow - words[at]! + low) | 0;
    this.sumHigh = (this.sumHigh - words[at + 1]! + high) | 0;
    words[at] = low;
    words[at + 1] = high;
  }

  /** The same of an entry. */
  setEntry(entry: number, low: number, high: number, count: number): void {
    const { words } = this;
    const at = entryAt(entry);
    const [a, b, n] = [words[at]!, words[at + 1]!, words[at + 2]!];
    this.sumLow = (this.sumLow - lowOf(a, b, n) + lowOf(low, high, count)) | 0;
    this.sumHigh = (this.sumHigh - highOf(a, b, n) + highOf(low, high, count)) | 0;
    words[at] = low;
    words[at + 1] = high;
    words[at + 2] = count;
  }

  /** Becomes the form of a state that differs from its own by that. */
  apply({ objects, entries }: Patch): void {
    for (let i = 0; i < objects.length; i += 3) {
      this.setObject(objects[i]!, objects[i + 1]!, objects[i + 2]!);
    }
    for (let i = 0; i < entries.length; i += 4) {
      this.setEntry(entries[i]!, entries[i + 1]!, entries[i + 2]!, entries[i + 3]!);
    }
  }
}

/** In what a form differs from another. */
export class Patch {
  /** Of each object: its number, and the halves of its hash. */
  readonly objects: number[] = [];
  /** Of each entry: its number, the halves of the hash of what it is, and of how many it counts. */
  readonly entries: number[] = [];

  clear(): void {
    this.objects.length = 0;
    this.entries.length = 0;
  }
}
