import { type Counted, UNCOUNTED } from './counted.ts';
import { growColumn, RbLinks } from './rb-links.ts';
import type { Holders } from './saved/holders.ts';

/** `holder` of a node whose references belong to more than one device; see HeldNodes.holdersOf. */
const SHARED = -1;

/**
 * Nodes with references that devices hold: the pins of an engine.
 *
 * `holder` is a shadow: the kernel does not know who holds a reference, and nothing it does depends on it.
 * It is kept so that a log line, a listing or an advisory can say whose pin it is.
 */
export class HeldNodes extends RbLinks {
  /** @param references counts those of every node, and of the other tables that count there */
  constructor(private readonly references: Pick<Counted, 'add'> = UNCOUNTED) {
    super();
  }

  /** Number of references, by slot. */
  refCount: Int32Array = new Int32Array(this.capacity);
  private holder: Int32Array = new Int32Array(this.capacity);
  private readonly shared = new Map<number, Map<number, number>>();

  protected override grow(capacity: number): void {
    super.grow(capacity);
    this.refCount = growColumn(this.refCount, capacity);
    this.holder = growColumn(this.holder, capacity);
  }

  protected override release(slot: number): void {
    this.references.add(-this.refCount[slot]!);
    this.refCount[slot] = 0;
    this.shared.delete(slot);
    super.release(slot);
  }

  /** A new node: one reference, of `device`. */
  protected holdFirst(slot: number, device: number): void {
    this.references.add();
    this.refCount[slot] = 1;
    this.holder[slot] = device;
  }

  /** One more reference, of `device`. */
  get(slot: number, device: number): void {
    this.references.add();
    this.refCount[slot]!++;
    if (this.holder[slot] === device) return;
    const holders = this.holdersOf(slot, this.refCount[slot]! - 1);
    holders.set(device, (holders.get(device) ?? 0) + 1);
    this.holder[slot] = SHARED;
    this.shared.set(slot, holders);
  }

  /**
   * One reference less, dropped by `device`.
   *
   * @returns the number of the device whose reference it was: `device` where it holds one, otherwise the
   *   earliest other holder, whose reference the kernel has just dropped silently
   */
  put(slot: number, device: number): number {
    this.references.add(-1);
    this.refCount[slot]!--;
    const sole = this.holder[slot]!;
    if (sole !== SHARED) return sole;
    const holders = this.shared.get(slot)!;
    const owner = holders.has(device) ? device : holders.keys().next().value!;
    const left = holders.get(owner)! - 1;
    if (left > 0) holders.set(owner, left);
    else holders.delete(owner);
    if (holders.size === 1) {
      this.holder[slot] = holders.keys().next().value!;
      this.shared.delete(slot);
    }
    return owner;
  }

  /** Sets who holds a node, and so its reference count. The holders are the node's from then on. */
  restoreHolders(slot: number, { counts, total }: Holders): void {
    this.references.add(total - this.refCount[slot]!);
    this.refCount[slot] = total;
    const [first] = counts.keys();
    this.holder[slot] = counts.size === 1 ? first! : SHARED;
    if (counts.size > 1) this.shared.set(slot, counts);
  }

  /** Numbers of the devices that hold any of the nodes. A million are gone through in one go. */
  holders(): Set<number> {
    const { refCount, holder, shared, used } = this;
    const numbers = new Set<number>();
    let last = SHARED;
    for (let slot = 1; slot < used; slot++) {
      if (refCount[slot] === 0 || holder[slot] === last) continue;
      last = holder[slot]!;
      if (last !== SHARED) numbers.add(last);
    }
    for (const holders of shared.values()) for (const number of holders.keys()) numbers.add(number);
    return numbers;
  }

  /** References by device number, earliest holder first. */
  holdersOf(slot: number, total: number = this.refCount[slot]!): Map<number, number> {
    const sole = this.holder[slot]!;
    return sole === SHARED ? this.shared.get(slot)! : new Map([[sole, total]]);
  }

  /** The same as a list. */
  holderList(slot: number): { device: number; count: number }[] {
    const sole = this.holder[slot]!;
    if (sole !== SHARED) return [{ device: sole, count: this.refCount[slot]! }];
    return Array.from(this.shared.get(slot)!, ([device, count]) => ({ device, count }));
  }

  /** References that `device` holds on a node. */
  heldBy(slot: number, device: number): number {
    const sole = this.holder[slot]!;
    if (sole === device) return this.refCount[slot]!;
    return sole === SHARED ? (this.shared.get(slot)!.get(device) ?? 0) : 0;
  }
}
