/** The number of what is no part of the state, and of what is part of several numbered objects. */
export const NOBODY = -1;
export const SHARED = -2;

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

/**
 * What a canonical form is made of: numbered objects, each with a hash of its content. The form is their sum, so that
 * one that differs in what a few objects hold is had from theirs.
 */
export class Form {
  constructor(
    readonly numbering: Numbering,
    readonly low: number[],
    readonly high: number[],
    /** Their sum. */
    public sumLow: number,
    public sumHigh: number,
  ) {}

  /** The same of another state, to be changed. */
  copy(): Form {
    const { numbering, low, high, sumLow, sumHigh } = this;
    return new Form(numbering, low.slice(), high.slice(), sumLow, sumHigh);
  }

  /** Becomes the form of a state in which one of its objects is otherwise. */
  set(number: number, low: number, high: number): void {
    this.sumLow = (this.sumLow - this.low[number]! + low) | 0;
    this.sumHigh = (this.sumHigh - this.high[number]! + high) | 0;
    this.low[number] = low;
    this.high[number] = high;
  }

  /** Becomes the form of a state that differs from its own by that. */
  apply({ numbers, low, high }: Patch): void {
    for (let i = 0; i < numbers.length; i++) this.set(numbers[i]!, low[i]!, high[i]!);
  }
}

/** In which of its objects a form differs from another, and what those hash to. */
export class Patch {
  readonly numbers: number[] = [];
  readonly low: number[] = [];
  readonly high: number[] = [];
}
