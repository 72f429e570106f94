import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AccessTable } from '../../src/kernel/iommufd/access-table.ts';
import { IoptPages } from '../../src/kernel/iommufd/iopt-pages.ts';
import { fuzz } from '../harness/fuzz.ts';
import { checkTree } from '../harness/tree-rules.ts';

const run = fc.record({
  start: fc.nat({ max: 60 }),
  pages: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 })),
});

/** Runs of pages that are in none of these. */
function gapsNaively(there: readonly [number, number][], start: number, last: number): number[] {
  const free = (page: number) => !there.some(([from, to]) => page >= from && page <= to);
  const runs: number[] = [];
  for (let page = start; page <= last; page++) {
    if (!free(page)) continue;
    if (page > start && free(page - 1)) runs[runs.length - 1]!++;
    else runs.push(page, 1);
  }
  return runs;
}

test('pins are found by exactly their pages, by any page they have, and so are the gaps between them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(run, fc.boolean()), { maxLength: 80, size: 'max' }), (ops) => {
      const table = new AccessTable();
      const pages = new IoptPages(null as never, true, false);
      const there = new Map<string, [number, number]>();
      for (const [{ start, pages: count }, add] of ops) {
        const last = start + count - 1;
        const key = `${start} ${last}`;
        const exact = table.getExact(pages, start, last);
        expect(exact !== 0).toBe(there.has(key));
        if (add && exact === 0) {
          table.add(pages, start, last, 0);
          there.set(key, [start, last]);
        } else if (!add && exact !== 0) {
          table.remove(pages, exact);
          there.delete(key);
        }
        checkTree(table, pages.accesses);
        const sorted = [...there.values()].sort(([a, b], [c, d]) => a - c || b - d);
        const overlap = sorted.filter(([from, to]) => from <= last + 3 && to >= start);
        const found = table.overlapping(pages, start, last + 3);
        expect(found.map((slot) => [table.start[slot], table.last[slot]])).toEqual(overlap);
        expect(table.gaps(pages, start, last + 3)).toEqual(gapsNaively(sorted, start, last + 3));
      }
    }),
    fuzz('access-table', 2000),
  );
});

test('whichever of some pins is removed, the others are still found by each of their pages', () => {
  const runs = Array.from({ length: 15 }, (_, i): [number, number] => {
    const start = (i * 7) % 15;
    return [start, start + ((i * 5) % 11)];
  });
  for (const gone of runs.keys()) {
    const table = new AccessTable();
    const pages = new IoptPages(null as never, true, false);
    const slots = runs.map(([start, last], device) => table.add(pages, start, last, device));
    table.remove(pages, slots[gone]!);
    checkTree(table, pages.accesses);
    const left = runs.filter((_, i) => i !== gone).sort(([a, b], [c, d]) => a - c || b - d);
    for (let page = 0; page < 26; page++) {
      const found = table.overlapping(pages, page, page).map((slot) => [table.start[slot], table.last[slot]]);
      expect(found, `${gone} ${page}`).toEqual(left.filter(([from, to]) => from <= page && page <= to));
    }
  }
});
