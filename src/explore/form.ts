/** The number of what is no part of the state, and of what is part of several numbered objects. */
export const NOBODY = -1;
export const SHARED = -2;

/**
 * What a canonical form is made of: numbered objects, each with a hash of its content. The form is their sum, so that
 * one that differs in what a few objects hold is had from theirs.
 */
export class Form {
  /** Numbers of the objects that have one. */
  readonly numbers: Map<object, number> = new Map();
  /** Of objects without: the number of the one that each is part of. */
  readonly parts: WeakMap<object, number> = new WeakMap();
  readonly objects: object[] = [];
  /** Which objects the content of each refers to, of those that are met after it. */
  readonly references: number[][] = [];
  /** How many objects are numbered before any of them is looked into. */
  fixed = 0;
  low: number[] = [];
  high: number[] = [];
  /** Their sum. */
  sumLow = 0;
  sumHigh = 0;

  /** @param like one of the same objects, which refer to the same */
  constructor(like?: Form) {
    if (!like) return;
    this.numbers = like.numbers;
    this.parts = like.parts;
    this.objects = like.objects;
    this.references = like.references;
    this.fixed = like.fixed;
    this.low = like.low.slice();
    this.high = like.high.slice();
    this.sumLow = like.sumLow;
    this.sumHigh = like.sumHigh;
  }

  /** Becomes the form of a state that differs from its own by that. */
  apply({ numbers, low, high, sumLow, sumHigh }: Patch): void {
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i]!;
      this.low[number] = low[i]!;
      this.high[number] = high[i]!;
    }
    this.sumLow = sumLow;
    this.sumHigh = sumHigh;
  }
}

/** In which of its objects a form differs from another: what those hash to, and the sums. */
export class Patch {
  readonly low: number[] = [];
  readonly high: number[] = [];
  sumLow = 0;
  sumHigh = 0;

  constructor(readonly numbers: readonly number[]) {}
}
