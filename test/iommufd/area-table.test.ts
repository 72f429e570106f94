import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AreaTable } from '../../src/kernel/iommufd/area-table.ts';
import { IoptPages } from '../../src/kernel/iommufd/iopt-pages.ts';
import { at } from '../../src/kernel/iommufd/map.ts';
import { fuzz } from '../harness/fuzz.ts';

const PAGES = new IoptPages(null as never, true, false);

/** An area of [first, last], bytes. */
function insert(table: AreaTable, first: number, last: number): number {
  const [from, to] = [at(BigInt(first)), at(BigInt(last))];
  return table.insert({ first: from, last: to, vaddr: at(0x200010n), prot: 1, pages: PAGES });
}
const shown = (table: AreaTable, slot: number) =>
  slot === 0 ? null : [Number(table.iova(slot)), Number(table.lastIova(slot))];
const find = (table: AreaTable, byte: number) =>
  shown(table, table.find(Math.floor(byte / 4096), byte % 4096));
const first = (table: AreaTable, from: number, to: number) =>
  shown(table, table.iterFirst(at(BigInt(from)), at(BigInt(to))));

test('areas that share a page are told apart by their bytes', () => {
  const table = new AreaTable();
  const a = insert(table, 0x1000, 0x13ff);
  const b = insert(table, 0x1800, 0x2fff);
  expect(
    [0xfff, 0x1000, 0x13ff, 0x1400, 0x17ff, 0x1800, 0x2fff, 0x3000].map((byte) => find(table, byte)),
  ).toEqual([
    ...[null, [0x1000, 0x13ff], [0x1000, 0x13ff], null, null, [0x1800, 0x2fff], [0x1800, 0x2fff], null],
  ]);
  expect(first(table, 0x1400, 0x17ff)).toBeNull();
  expect(first(table, 0x1400, 0x1800)).toEqual([0x1800, 0x2fff]);
  expect(first(table, 0x13ff, 0x1800)).toEqual([0x1000, 0x13ff]);
  expect([table.describe(a), table.describe(b)]).toEqual(['0x1000+0x400', '0x1800+0x1800']);
  expect([table.length(a), table.length(b)]).toEqual([0x400n, 0x1800n]);
});

test('areas that were inserted and removed in any order are found by every byte', () => {
  const run = fc.record({ first: fc.nat({ max: 0x40 }), units: fc.integer({ min: 1, max: 8 }) });
  fc.assert(
    fc.property(fc.array(run, { maxLength: 40, size: 'max' }), (runs) => {
      const table = new AreaTable();
      const there = new Map<string, { slot: number; first: number; last: number }>();
      // Four to a page, so that many begin and end within one.
      for (const { first: unit, units } of runs) {
        const [from, to] = [unit * 1024, (unit + units) * 1024 - 1];
        const over = [...there.values()].filter((area) => area.first <= to && area.last >= from);
        const lowest = over.sort((x, y) => x.first - y.first)[0];
        expect(first(table, from, to)).toEqual(lowest ? [lowest.first, lowest.last] : null);
        if (over.length === 0) {
          there.set(`${from}`, { slot: insert(table, from, to), first: from, last: to });
        } else {
          table.remove(lowest!.slot);
          there.delete(`${lowest!.first}`);
        }
        const sorted = [...there.values()].sort((x, y) => x.first - y.first);
        expect([...table.inOrder()].map((slot) => shown(table, slot))).toEqual(
          sorted.map((area) => [area.first, area.last]),
        );
        for (const byte of [from, from - 1, to, to + 1].filter((each) => each >= 0)) {
          const hit = sorted.find((area) => area.first <= byte && area.last >= byte);
          expect(find(table, byte)).toEqual(hit ? [hit.first, hit.last] : null);
        }
      }
    }),
    fuzz('area-table', 300),
  );
});
