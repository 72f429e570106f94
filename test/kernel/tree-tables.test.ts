import { expect, test } from 'vitest';
import { NIL } from '../../src/kernel/rb-links.ts';
import { treeSteps } from '../../src/kernel/tree-shape.ts';
import { MappingTable } from '../../src/kernel/type1/mapping-table.ts';
import { PinTable } from '../../src/kernel/type1/pin-table.ts';
import { through } from '../harness/through.ts';
import { checkTree } from '../harness/tree-rules.ts';

/** A table with mappings of a page each, at every second page from 0 on. */
function tableOf(count: number): { table: MappingTable; slots: number[] } {
  const table = new MappingTable(true);
  return { table, slots: Array.from({ length: count }, (_, i) => table.add(2 * i, 1, i, 3, i % 2 === 1)) };
}

test('what was freed last is taken first, before room is made; once all is free a table begins anew', () => {
  const { table, slots } = tableOf(15);
  expect([slots, table.capacity]).toEqual([Array.from({ length: 15 }, (_, i) => i + 1), 16]);
  for (const slot of [4, 9]) table.remove(slot);
  expect([table.count, table.add(100, 1, 0, 3, false), table.add(101, 1, 0, 3, false)]).toEqual([13, 9, 4]);
  expect(table.capacity).toBe(16);
  expect([table.add(102, 1, 0, 3, false), table.capacity]).toEqual([16, 24]);
  checkTree(table, table.root);
  for (const slot of [...table.inOrder()]) table.remove(slot);
  expect([table.count, table.root]).toEqual([0, NIL]);
  expect([table.add(5, 1, 0, 3, false), table.add(3, 1, 0, 3, false)]).toEqual([1, 2]);
  expect([...table.inOrder()]).toEqual([2, 1]);
  checkTree(table, table.root);
});

test('a table that grows keeps every column of what it has', () => {
  const { table, slots } = tableOf(40);
  for (const slot of slots) {
    const i = slot - 1;
    expect([table.iova[slot], table.size[slot], table.vaddr[slot], table.prot[slot]]).toEqual([
      2 * i,
      1,
      i,
      3,
    ]);
    expect([table.lockCap(slot), table.hasPins(slot), table.pinCount[slot]]).toEqual([i % 2 === 1, false, 0]);
  }
  expect([...table.inOrder()]).toEqual(slots);
});

test('a slot that is taken again has nothing of the mapping before it', () => {
  const { table } = tableOf(2);
  table.setIommuMapped(2, true);
  table.setVaddrInvalid(2, true);
  table.pins[2] = 7;
  table.pinCount[2] = 3;
  table.remove(2);
  const slot = table.add(50, 1, 0, 1, false);
  expect(slot).toBe(2);
  expect([table.iommuMapped(2), table.vaddrInvalid(2), table.lockCap(2)]).toEqual([false, false, false]);
  expect([table.pinTree(2), table.pinCount[2], table.prot[2]]).toEqual([NIL, 0, 1]);
});

// Removing from either side, and from the middle, turns the tree every way round.
test.each([
  ['lowest first', (slots: number[]) => slots],
  ['highest first', (slots: number[]) => slots.toReversed()],
  ['every third, again and again', (slots: number[]) => slots.toSorted((a, b) => (a % 3) - (b % 3) || a - b)],
  ['from the middle', (slots: number[]) => slots.toSorted((a, b) => Math.abs(a - 20) - Math.abs(b - 20))],
])('mappings that go %s leave a tree', (_, order) => {
  for (const ascending of [true, false]) {
    const table = new MappingTable(true);
    const pages = Array.from({ length: 40 }, (_unused, i) => (ascending ? i : 39 - i));
    const slots = pages.map((page) => table.add(page, 1, 0, 3, false));
    const left = new Set(slots);
    for (const slot of order(slots)) {
      table.remove(slot);
      left.delete(slot);
      checkTree(table, table.root);
      const there = [...table.inOrder()];
      expect(new Set(there)).toEqual(left);
      expect(there.map((one) => table.iova[one])).toEqual(
        [...left].map((one) => table.iova[one]!).sort((a, b) => a - b),
      );
    }
  }
});

test('a restored table has the tree and the fields that were saved, and goes on as the one before', () => {
  const { table } = tableOf(100);
  for (const slot of [30, 31, 50]) table.remove(slot);
  const slots = [...table.inOrder()];
  table.setVaddrInvalid(slots[5]!, true);
  table.setIommuMapped(slots[6]!, true);
  const fields = slots.map((slot) => ({
    iova: table.iova[slot]!,
    size: table.size[slot]!,
    vaddr: table.vaddr[slot]!,
    prot: table.prot[slot]!,
    iommuMapped: table.iommuMapped(slot),
    vaddrInvalid: table.vaddrInvalid(slot),
    lockCap: table.lockCap(slot),
  }));
  const places = slots.map((slot) => ({ depth: table.depthOf(slot), red: table.isRed(slot) }));
  const restored = new MappingTable(true);
  through(restored.restore(fields, through(treeSteps(places)).value));
  const shown = (of: MappingTable) =>
    [...of.inOrder()].map((slot) => [
      of.iova[slot],
      of.size[slot],
      of.vaddr[slot],
      of.prot[slot],
      of.iommuMapped(slot),
      of.vaddrInvalid(slot),
      of.lockCap(slot),
      of.depthOf(slot),
      of.isRed(slot),
    ]);
  expect(shown(restored)).toEqual(shown(table));
  checkTree(restored, restored.root);
  for (const page of [0, 50, 51, 120]) {
    for (const of of [table, restored]) {
      const there = of.find(page, page + 1);
      if (there === NIL) of.add(page, 1, 0, 3, false);
      else of.remove(there);
    }
    expect(shown(restored)).toEqual(shown(table));
    checkTree(restored, restored.root);
  }
});

test('a table is filled 512 mappings at a time, and its tree 1024 at a time', () => {
  const stops = (count: number) => {
    const { table } = tableOf(count);
    const slots = [...table.inOrder()];
    const places = slots.map((slot) => ({ depth: table.depthOf(slot), red: table.isRed(slot) }));
    const field = { size: 1, vaddr: 0, prot: 3, iommuMapped: false, vaddrInvalid: false, lockCap: false };
    const shape = through(treeSteps(places));
    const fields = slots.map((slot) => ({ ...field, iova: table.iova[slot]! }));
    return [shape.stops, through(new MappingTable(true).restore(fields, shape.value)).stops];
  };
  // Each node of a tree is gone through once in order, and twice from the root: on the way down and up.
  expect([stops(511), stops(512), stops(1023), stops(1024)]).toEqual([
    [0, 1],
    [1, 2],
    [1, 2],
    [3, 3],
  ]);
});

test('of a run of pages each pin is found after the one before it, also past a gap and at the end', () => {
  const table = new PinTable();
  let root: number = NIL;
  for (const page of [10, 11, 12, 14, 20]) root = table.add(root, page, 0, page, 1);
  root = table.add(root, 12, 8, 99, 1);
  const pfn = (slot: number) => (slot === NIL ? null : table.pfn[slot]);
  expect(pfn(table.find(root, 10, 0))).toBe(10);
  const next = (page: number, offset = 0) => pfn(table.findNext(root, page, offset));
  expect([next(11), next(12), next(12, 8), next(13), next(14), next(20), next(21), next(22)]).toEqual([
    11,
    12,
    99,
    null,
    14,
    20,
    null,
    null,
  ]);
  // One that was just added is the one before.
  table.find(root, 13, 0);
  root = table.addMissing(root, 13, 0, 13, 1);
  expect([next(14), next(19)]).toEqual([14, null]);
  checkTree(table, root);
});

test('pins go as many at a time as are asked for, until none is left', () => {
  const table = new PinTable();
  let root: number = NIL;
  for (let page = 0; page < 10; page++) root = table.add(root, page, 0, page, 1);
  root = table.drop(root, 4);
  expect([root === NIL, table.count]).toEqual([false, 6]);
  root = table.drop(root, 5);
  expect([root === NIL, table.count]).toEqual([false, 1]);
  expect([table.drop(root, 5), table.count]).toEqual([NIL, 0]);
  expect(table.drop(NIL, 5)).toBe(NIL);
});
