/** Keys that a device has pinned, in the order of the pins: one that is pinned twice is there twice. */
export class PinnedKeys implements Iterable<bigint> {
  private readonly byNumber = new Map<number, bigint>();
  /** The numbers of a key, in order. */
  private readonly numbers = new Map<bigint, number[]>();
  private count = 0;

  add(key: bigint): void {
    const number = this.count++;
    this.byNumber.set(number, key);
    const known = this.numbers.get(key);
    if (known) known.push(number);
    else this.numbers.set(key, [number]);
  }

  /** Takes the earliest of a key out; whether there is one. */
  take(key: bigint): boolean {
    const numbers = this.numbers.get(key);
    if (!numbers) return false;
    this.byNumber.delete(numbers.shift()!);
    if (numbers.length === 0) this.numbers.delete(key);
    return true;
  }

  [Symbol.iterator](): Iterator<bigint> {
    return this.byNumber.values();
  }
}
