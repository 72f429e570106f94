import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type GuestPage, PageTree } from '../../src/drivers/gvt-g/page-tree.ts';
import { treeSteps } from '../../src/kernel/tree-shape.ts';
import { fuzz } from '../harness/fuzz.ts';

const page = (gfn: number, pfn = gfn): GuestPage => ({ gfn, size: '4K', pfn, ref: 1 });

function treeOf(...pages: GuestPage[]): PageTree {
  const tree = new PageTree('pfn');
  for (const one of pages) tree.add(one);
  return tree;
}

const shown = (tree: PageTree) => [...tree.inOrder()].map(({ page: { gfn, pfn } }) => `${gfn}@${pfn}`);

test('pages are found by their frame, and from a frame on', () => {
  const tree = treeOf(page(4), page(2), page(6), page(1), page(3), page(7));
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8].map((frame) => tree.find(frame)?.gfn ?? null)).toEqual([
    ...[null, 1, 2, 3, 4, null, 6, 7, null],
  ]);
  expect([0, 1, 5, 7, 8].map((frame) => tree.lowestFrom(frame)?.gfn ?? null)).toEqual([1, 1, 6, 7, null]);
});

test('of pages with one frame the next comes to the right, and the one that is meant is removed', () => {
  const [a, b, c] = [page(1, 9), page(2, 9), page(3, 9)];
  const tree = treeOf(a, b, c, page(4, 5));
  expect(shown(tree)).toEqual(['4@5', '1@9', '2@9', '3@9']);
  tree.remove(b);
  expect(shown(tree)).toEqual(['4@5', '1@9', '3@9']);
  tree.remove(c);
  expect(shown(tree)).toEqual(['4@5', '1@9']);
  expect(tree.find(9)).toBe(a);
});

test('pages that were added and removed in any order are there in order, each with a place', () => {
  const step = fc.record({ add: fc.boolean(), gfn: fc.nat(40), pfn: fc.nat(12) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const tree = new PageTree('pfn');
      let there: GuestPage[] = [];
      for (const { add, gfn, pfn } of steps) {
        const known = there.find((one) => one.gfn === gfn);
        if (add && !known) {
          const one = page(gfn, pfn);
          tree.add(one);
          there.push(one);
        } else if (!add && known) {
          tree.remove(known);
          there = there.filter((one) => one !== known);
        }
        const sorted = [...there].sort((a, b) => a.pfn - b.pfn);
        expect([...tree.inOrder()].map((place) => place.page)).toEqual(sorted);
        expect(tree.count).toBe(there.length);
        expect(tree.find(pfn)?.pfn).toBe(there.find((one) => one.pfn === pfn)?.pfn);
        expect(tree.lowestFrom(pfn)).toBe(sorted.find((one) => one.pfn >= pfn) ?? null);
      }
      // A tree of the same shape shows the same places.
      const places = [...tree.inOrder()];
      const restored = new PageTree('pfn');
      const steps2 = treeSteps(places.map(({ depth, red }) => ({ depth, red })));
      let shape = steps2.next();
      while (!shape.done) shape = steps2.next();
      restored.restore(
        places.map((place) => place.page),
        shape.value,
      );
      expect([...restored.inOrder()]).toEqual(places);
    }),
    fuzz('page-tree', 300),
  );
});
