import type { Budget } from '../budget.ts';

/** Things of one kind that a host holds, each of which takes so many bytes of what it may take for all that it holds. */
export class Counted {
  count = 0;

  /**
   * @param what they are, in words
   * @param bytesEach what one takes in this process, about
   */
  constructor(
    private readonly what: string,
    private readonly bytesEach: number,
    private readonly objects: Budget,
  ) {}

  /** One more, or so many more; a negative number: so many less. */
  add(count = 1): void {
    this.count += count;
    this.objects.take(count * this.bytesEach);
  }

  /** Why so many more are too many, in words; null: they are not. */
  refuse(count: number): string | null {
    const { objects } = this;
    if (objects.has(count * this.bytesEach)) return null;
    return `there would be more ${this.what} than this host holds: ${tooMuch(objects)}`;
  }
}

/** What is by itself: nobody counts it. */
export const UNCOUNTED: Pick<Counted, 'add' | 'refuse'> = { add: () => {}, refuse: () => null };

/** What a host may take for what it holds, in words. */
export function tooMuch(objects: Budget): string {
  return `its mappings, pins, memory regions and open files take more than ${objects.inWords}`;
}
