import { SyntheticDriver } from '../drivers/synthetic/driver.ts';
import { OwnPins } from '../drivers/synthetic/own-pins.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { offsetInPage, PAGE_SIZE, pageOf } from '../kernel/pages.ts';
import { Iommu } from '../kernel/type1/iommu.ts';
import { PinTable } from '../kernel/type1/pin-table.ts';
import { ANY_TREE } from './entries.ts';
import type { Watch } from './watch.ts';

const ALL = Number.POSITIVE_INFINITY;

/** A table of a state whose entries are parts of their own: few calls look at more than one or two of them. */
export interface WatchedTable {
  readonly table: object;
  /** Has it tell what is seen of its entries. */
  watch(by: TableWatch): void;
}

/** The key of an entry: its IOVA, bytes. Beyond 2^53 several have the same. */
export function keyOf(page: number, offset: number): number {
  return page * PAGE_SIZE + offset;
}

function keyOfIova(iova: bigint): number {
  return keyOf(pageOf(iova), offsetInPage(iova));
}

/** The pins of every container, and what drivers know of theirs. */
export function tablesOf({ containers, devices }: Kernel): WatchedTable[] {
  const tables: WatchedTable[] = [];
  for (const { iommu } of containers.values()) {
    if (iommu instanceof Iommu) tables.push({ table: iommu.pins, watch: (by) => watchPins(iommu, by) });
  }
  for (const { driver } of devices.values()) {
    if (!(driver instanceof SyntheticDriver)) continue;
    const { pins } = driver;
    tables.push({ table: pins, watch: (by) => watchOwnPins(pins, by) });
  }
  return tables;
}

/** What a call sees of one table's entries. */
export class TableWatch {
  /** By key: how many the call has taken from what an entry counts. */
  private readonly taken = new Map<number, number>();
  private calls = 0;

  constructor(
    private readonly watch: Watch,
    private readonly number: number,
  ) {}

  get isOn(): boolean {
    return this.watch.isWatching;
  }

  /** Whether there is an entry. */
  isThere(key: number): void {
    this.watch.lookIn(this.number, ANY_TREE, key, key, 1);
  }

  /** Which entries there are from one key up to another. */
  areThere(from: number, to: number, tree = ANY_TREE): void {
    this.watch.lookIn(this.number, tree, from, to, 1);
  }

  /** All of an entry. */
  all(key: number): void {
    this.watch.lookIn(this.number, ANY_TREE, key, key, ALL);
  }

  /** An entry that is there counts one more. */
  countsMore(key: number): void {
    if (this.isOn) this.taken.set(key, this.takenFrom(key) - 1);
  }

  /** An entry that is there counts one less, and goes with the last one: that is all that is asked of how many there are. */
  countsLess(key: number): void {
    if (!this.isOn) return;
    const taken = this.takenFrom(key) + 1;
    this.taken.set(key, taken);
    // Is it exactly as many as have been taken, or more?
    if (taken > 0) this.watch.lookIn(this.number, ANY_TREE, key, key, taken + 1);
  }

  private takenFrom(key: number): number {
    if (this.calls !== this.watch.calls) this.taken.clear();
    this.calls = this.watch.calls;
    return this.taken.get(key) ?? 0;
  }
}

/** Puts methods of an object's own in the place of its class's. */
function replace<T extends object>(object: T, methods: Partial<T>): void {
  for (const [name, value] of Object.entries(methods)) Object.defineProperty(object, name, { value });
}

/**
 * Whoever gets at a pin looks for it by its key, or walks the tree of a mapping, or asks whether there is any. How many references there are is asked for when one is dropped; otherwise it is for words.
 */
function watchPins(iommu: Iommu, by: TableWatch): void {
  const { pins, mappings } = iommu;
  const { prototype } = PinTable;
  const { pinTree } = mappings;
  const keyOfPin = (pin: number) => keyOf(pins.page[pin]!, pins.offset[pin]!);
  const isSole = (pin: number, device: number) => pins.heldBy(pin, device) === pins.refCount[pin];
  replace(mappings, {
    pinTree(slot) {
      if (by.isOn) by.areThere(0, ALL, iommu.overlapPossible ? ANY_TREE : mappings.iova[slot]!);
      return pinTree.call(mappings, slot);
    },
  });
  replace(pins, {
    find(root, page, offset) {
      by.isThere(keyOf(page, offset));
      return prototype.find.call(pins, root, page, offset);
    },
    findNext(root, page, offset) {
      by.isThere(keyOf(page, offset));
      return prototype.findNext.call(pins, root, page, offset);
    },
    get(pin, device) {
      if (isSole(pin, device)) by.countsMore(keyOfPin(pin));
      else by.all(keyOfPin(pin));
      prototype.get.call(pins, pin, device);
    },
    put(pin, device) {
      if (isSole(pin, device)) by.countsLess(keyOfPin(pin));
      else by.all(keyOfPin(pin));
      return prototype.put.call(pins, pin, device);
    },
    holders() {
      by.areThere(0, ALL);
      return prototype.holders.call(pins);
    },
  });
}

function watchOwnPins(pins: OwnPins, by: TableWatch): void {
  const { prototype } = OwnPins;
  const lowestSlot = Object.getOwnPropertyDescriptor(prototype, 'lowestSlot')!;
  replace(pins, {
    add(iova, times = 1) {
      const key = keyOfIova(iova);
      by.isThere(key);
      for (let i = 0; i < times; i++) by.countsMore(key);
      prototype.add.call(pins, iova, times);
    },
    delete(iova) {
      const key = keyOfIova(iova);
      by.isThere(key);
      const isThere = prototype.delete.call(pins, iova);
      if (isThere) by.countsLess(key);
      return isThere;
    },
    lowestIn(iova, length) {
      by.areThere(keyOfIova(iova), Number(iova + length - 1n));
      return prototype.lowestIn.call(pins, iova, length);
    },
    clear() {
      by.areThere(0, ALL);
      prototype.clear.call(pins);
    },
  });
  // Whoever begins at the lowest one goes on as he likes.
  Object.defineProperty(pins, 'lowestSlot', {
    get() {
      by.areThere(0, ALL);
      return lowestSlot.get!.call(pins);
    },
  });
}
