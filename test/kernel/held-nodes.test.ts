import { expect, test } from 'vitest';
import { Budget } from '../../src/budget.ts';
import { Counted } from '../../src/kernel/counted.ts';
import { NIL } from '../../src/kernel/rb-links.ts';
import { PinTable } from '../../src/kernel/type1/pin-table.ts';

/** A table with one pin, which device 7 holds once. */
function onePin(references = new Counted('pins', 64, new Budget(1000))) {
  const table = new PinTable(references);
  const root = table.add(NIL, 5, 0, 0x1000, 7);
  return { table, root, references };
}
const holdersOf = (table: PinTable, pin: number) => [...table.holdersOf(pin)];

test('references are counted by device, earliest holder first, and with those of all tables', () => {
  const { table, root: pin, references } = onePin();
  for (const device of [7, 9, 8, 9]) table.get(pin, device);
  expect(holdersOf(table, pin)).toEqual([
    [7, 2],
    [9, 2],
    [8, 1],
  ]);
  expect(table.holderList(pin)).toEqual([
    { device: 7, count: 2 },
    { device: 9, count: 2 },
    { device: 8, count: 1 },
  ]);
  expect([7, 8, 9, 10].map((device) => table.heldBy(pin, device))).toEqual([2, 1, 2, 0]);
  expect([table.refCount[pin], references.count]).toEqual([5, 5]);
});

test('a device drops a reference of its own where it has one, else that of the earliest holder', () => {
  const { table, root: pin, references } = onePin();
  for (const device of [8, 8, 9]) table.get(pin, device);
  expect(table.put(pin, 9)).toBe(9);
  expect(table.put(pin, 9)).toBe(7);
  // It is device 8's alone now.
  expect(holdersOf(table, pin)).toEqual([[8, 2]]);
  expect(table.holderList(pin)).toEqual([{ device: 8, count: 2 }]);
  expect(table.heldBy(pin, 7)).toBe(0);
  table.get(pin, 8);
  expect(holdersOf(table, pin)).toEqual([[8, 3]]);
  expect(table.put(pin, 7)).toBe(8);
  expect([table.refCount[pin], references.count]).toEqual([2, 2]);
});

test('a pin of one device is its alone, whoever else comes and goes', () => {
  const { table, root: pin } = onePin();
  table.get(pin, 7);
  expect(holdersOf(table, pin)).toEqual([[7, 2]]);
  table.get(pin, 8);
  table.put(pin, 8);
  expect(holdersOf(table, pin)).toEqual([[7, 2]]);
  table.get(pin, 7);
  expect(table.heldBy(pin, 7)).toBe(3);
});

test('who holds any pin: each device once, those of shared pins too, nobody of pins that are gone', () => {
  const { table, root: first } = onePin();
  let root = first;
  for (const [page, device] of [
    [6, 7],
    [7, 3],
    [8, 4],
    [9, 4],
  ] as const)
    root = table.add(root, page, 0, page, device);
  expect([...table.holders()].sort()).toEqual([3, 4, 7]);
  table.get(table.find(root, 7, 0), 11);
  expect([...table.holders()].sort((a, b) => a - b)).toEqual([3, 4, 7, 11]);
  for (const page of [8, 9]) root = table.remove(root, table.find(root, page, 0));
  expect([...table.holders()].sort((a, b) => a - b)).toEqual([3, 7, 11]);
  expect([...new PinTable().holders()]).toEqual([]);
});

test('restored holders are the pin’s from then on, and count', () => {
  const { table, root: pin, references } = onePin();
  table.restoreHolders(pin, { counts: new Map([[4, 3]]), total: 3 });
  expect([holdersOf(table, pin), references.count]).toEqual([[[4, 3]], 3]);
  expect(table.put(pin, 4)).toBe(4);
  const counts = new Map([
    [4, 1],
    [2, 1],
  ]);
  table.restoreHolders(pin, { counts, total: 2 });
  expect([table.holderList(pin), table.refCount[pin], references.count]).toEqual([
    [
      { device: 4, count: 1 },
      { device: 2, count: 1 },
    ],
    2,
    2,
  ]);
  expect(table.put(pin, 2)).toBe(2);
  expect(holdersOf(table, pin)).toEqual([[4, 1]]);
});

test('a pin that goes takes all its references along, and one in its place has none of them', () => {
  const { table, root: pin, references } = onePin();
  for (const device of [8, 9]) table.get(pin, device);
  const empty = table.remove(pin, pin);
  expect([empty, references.count]).toEqual([NIL, 0]);
  const next = table.add(empty, 1, 0, 0x2000, 3);
  expect([holdersOf(table, next), references.count]).toEqual([[[3, 1]], 1]);
});
