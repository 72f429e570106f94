import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NIL } from '../../src/kernel/rb-links.ts';
import { MappingTable } from '../../src/kernel/type1/mapping-table.ts';
import { PinTable } from '../../src/kernel/type1/pin-table.ts';
import { fuzz } from '../harness/fuzz.ts';
import { checkTree } from '../harness/tree-rules.ts';
import { type ClrsNode, ClrsTree } from '../model/clrs-tree.ts';

/** The tables with the shape of their trees in sight, written as ClrsTree.shape writes it. */
class ShownMappings extends MappingTable {
  shape(node = this.root): string {
    if (node === NIL) return '';
    // The vaddr tells mappings of one IOVA apart.
    return `${this.vaddr[node]}(${this.shape(this.left[node])})(${this.shape(this.right[node])})`;
  }
}
class ShownPins extends PinTable {
  shape(node: number): string {
    if (node === NIL) return '';
    return `${this.pfn[node]}(${this.shape(this.left[node]!)})(${this.shape(this.right[node]!)})`;
  }
}

/** Compares without what vitest's matchers cost where nothing differs. */
function same(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual, what).toEqual(expected);
}

/** Sequences of all lengths alike: without fast-check's bias, which is towards short ones. */
function sequence<T>(step: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.noBias(fc.array(step, { maxLength: 150, size: 'max' }));
}

/** Mappings start at multiples of this, and are not larger: none overlap unless they start alike. */
const STRIDE = 4;

/** A mapping in the sorted array that the table is held against. */
interface Kept {
  id: number;
  iova: number;
  size: number;
  slot: number;
  node: ClrsNode<number>;
}

function checkMappings(table: ShownMappings, kept: readonly Kept[]): void {
  checkTree(table, table.root);
  same('count', table.count, kept.length);
  const slots = kept.map(({ slot }) => slot);
  same('order', [...table.inOrder()], slots);
  same(
    'columns',
    slots.map((slot) => [table.iova[slot], table.size[slot], table.vaddr[slot]]),
    kept.map(({ iova, size, id }) => [iova, size, id]),
  );
}

function checkSearch(table: ShownMappings, kept: readonly Kept[], page: number): void {
  same('lowerBound', table.lowerBound(page), kept.find(({ iova }) => iova >= page)?.slot ?? NIL);
  if (new Set(kept.map(({ iova }) => iova)).size < kept.length) return;
  const at = kept.find(({ iova, size }) => page >= iova && page < iova + size);
  same('find, one page', table.find(page, page + 1), at?.slot ?? NIL);
  const end = page + 3 * STRIDE;
  const overlapping = kept.filter(({ iova, size }) => page < iova + size && iova < end);
  same('findFirst', table.findFirst(page, end), overlapping[0]?.slot ?? NIL);
  const slots = overlapping.length > 0 ? overlapping.map(({ slot }) => slot) : [NIL];
  same('find finds one of those there', slots.includes(table.find(page, end)), true);
}

const mappingStep = fc.record({
  erase: fc.constantFrom(true, true, false, false, false),
  /** Which one to erase. */
  index: fc.nat({ max: 1000 }),
  key: fc.nat({ max: 40 }),
  size: fc.integer({ min: 1, max: STRIDE }),
});

test('MappingTable, random inserts and erases: in order, balanced, and of the shape of the textbook tree', () => {
  fc.assert(
    fc.property(sequence(mappingStep), fc.boolean(), (steps, alike) => {
      const table = new ShownMappings(true);
      const iovas: number[] = [];
      const clrs = new ClrsTree<number>((id, there) => iovas[id]! <= iovas[there]!);
      const kept: Kept[] = [];
      for (const { erase, index, key, size } of steps) {
        const iova = key * STRIDE;
        const at = kept.findIndex((one) => one.iova >= iova);
        if (erase && kept.length > 0) {
          const [gone] = kept.splice(index % kept.length, 1);
          table.remove(gone!.slot);
          clrs.delete(gone!.node);
        } else if (alike || kept[at]?.iova !== iova) {
          // The kernel puts one of the same IOVA (which only the wrap at 2^64 allows) before those there.
          const id = iovas.push(iova) - 1;
          const slot = table.add(iova, size, id, 3, false);
          kept.splice(at < 0 ? kept.length : at, 0, { id, iova, size, slot, node: clrs.insert(id) });
        }
        checkMappings(table, kept);
        checkSearch(table, kept, iova + (index % STRIDE));
        same('shape', table.shape(), clrs.shape());
      }
    }),
    fuzz('rb-links, mappings', 2000),
  );
});

/** A pin in the sorted array. */
interface KeptPin {
  page: number;
  offset: number;
  slot: number;
  /** The device of each reference. */
  refs: number[];
  node: ClrsNode<number>;
}

const DEVICES = [0, 1, 2];

/** References by device. */
function holders(refs: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const device of refs) counts.set(device, (counts.get(device) ?? 0) + 1);
  return counts;
}

function checkPins(table: ShownPins, root: number, kept: readonly KeptPin[]): void {
  checkTree(table, root);
  same(
    'order',
    [...table.nodesOf(root)],
    kept.map(({ slot }) => slot),
  );
  for (const { slot, refs } of kept) {
    same('references', table.refCount[slot], refs.length);
    const counts = holders(refs);
    same('holders', table.holdersOf(slot), counts);
    for (const device of DEVICES) same('held', table.heldBy(slot, device), counts.get(device) ?? 0);
  }
}

const pinStep = fc.record({
  what: fc.constantFrom('pin', 'pin', 'unpin', 'unpin', 'drop'),
  tree: fc.nat({ max: 2 }),
  page: fc.nat({ max: 12 }),
  offset: fc.constantFrom(0, 0, 8, 4095),
  device: fc.constantFrom(...DEVICES),
  /** A tree is dropped as a whole when this is 0. */
  drop: fc.nat({ max: 30 }),
});

test('PinTable, random pins in three trees: in order, balanced, counted, and of the shape of the textbook tree', () => {
  fc.assert(
    fc.property(sequence(pinStep), (steps) => {
      const table = new ShownPins();
      const keys: number[] = [];
      const newTree = () => new ClrsTree<number>((id, there) => keys[id]! < keys[there]!);
      const trees = [0, 1, 2].map(() => ({ root: NIL as number, clrs: newTree(), kept: [] as KeptPin[] }));
      for (const { what, tree, page, offset, device, drop } of steps) {
        const here = trees[tree]!;
        const { kept } = here;
        const at = kept.find((pin) => pin.page === page && pin.offset === offset);
        same('find', table.find(here.root, page, offset), at?.slot ?? NIL);
        if (what === 'pin' && at) {
          table.get(at.slot, device);
          at.refs.push(device);
        } else if (what === 'pin') {
          const id = keys.push(page * 4096 + offset) - 1;
          here.root = table.add(here.root, page, offset, id, device);
          const slot = table.find(here.root, page, offset);
          kept.push({ page, offset, slot, refs: [device], node: here.clrs.insert(id) });
          kept.sort((a, b) => a.page - b.page || a.offset - b.offset);
        } else if (what === 'unpin' && at) {
          // A device that holds none takes one of whoever has held the pin longest.
          const owner = at.refs.includes(device) ? device : at.refs[0]!;
          at.refs.splice(at.refs.lastIndexOf(owner), 1);
          same('owner', table.put(at.slot, device), owner);
          if (at.refs.length === 0) {
            here.root = table.remove(here.root, at.slot);
            here.clrs.delete(at.node);
            kept.splice(kept.indexOf(at), 1);
          }
        } else if (what === 'drop' && drop === 0) {
          // In two goes: what is left after the first is only good for the second.
          const rest = table.drop(here.root, Math.ceil(here.kept.length / 2));
          expect(table.drop(rest, here.kept.length)).toBe(NIL);
          Object.assign(here, { root: NIL, clrs: newTree(), kept: [] });
        }
        checkPins(table, here.root, here.kept);
        same(
          'count',
          table.count,
          trees.reduce((sum, one) => sum + one.kept.length, 0),
        );
        for (const { root, clrs } of trees) same('shape', table.shape(root), clrs.shape());
      }
      for (const { root, kept } of trees) checkPins(table, root, kept);
    }),
    fuzz('rb-links, pins', 2000),
  );
});
