import { describe, expect, test } from 'vitest';
import { Budget } from '../../src/budget.ts';
import { EmulatedMemory } from '../../src/kernel/emulated-memory.ts';
import { PageStore } from '../../src/kernel/page-store.ts';
import { PAGE_SIZE, TOP_PAGE } from '../../src/kernel/pages.ts';
import { PAUSE } from '../../src/pause.ts';
import { through } from '../harness/through.ts';

const RW = 3;
const bytes = (pages: number) => BigInt(pages) * BigInt(PAGE_SIZE);
const anonymous = { prot: RW, kind: 'anonymous', neverWritten: false } as const;

describe('a page store', () => {
  test('a page costs one while it has contents of its own, however it comes to have none', () => {
    const budget = new Budget(8);
    const store = new PageStore(budget, 7);
    const costs = (change: () => void) => {
      change();
      return [store.size, budget.used];
    };
    expect(costs(() => store.set(3, 1))).toEqual([1, 1]);
    expect(costs(() => store.set(3, 2))).toEqual([1, 1]);
    expect(costs(() => store.own(4))).toEqual([2, 2]);
    expect(costs(() => store.set(3, 7))).toEqual([1, 1]);
    expect(costs(() => store.delete(9))).toEqual([1, 1]);
    expect(costs(() => store.delete(4))).toEqual([0, 0]);
    for (const page of [1, 2, 3]) store.set(page, 1);
    expect(costs(() => store.clear())).toEqual([0, 0]);
  });

  test('the bytes of a page are those it was full of, and stay the same array', () => {
    const store = new PageStore(new Budget(8), 7);
    const own = store.own(0);
    expect([own.length, own[0], own.at(-1)]).toEqual([PAGE_SIZE, 7, 7]);
    own[1] = 9;
    expect(store.own(0)).toBe(own);
    store.set(1, 5);
    expect(store.own(1)[PAGE_SIZE - 1]).toBe(5);
    const out = new Uint8Array(4);
    store.read(0, 0, 2, out, 1);
    expect([...out]).toEqual([0, 7, 9, 0]);
    store.read(8, 4090, 3, out, 0);
    expect([...out]).toEqual([7, 7, 7, 0]);
  });

  // Fewer pages than there are contents, as many, more: it is gone through either way.
  test.each([
    [1, 3, [0, 3, 4]],
    [1, 5, [0]],
    [1, 50, [0]],
    [0, 1, [1, 2, 3, 4]],
    [5, 90, [0, 1, 2, 3, 4]],
    [4, 4, [0, 1, 2, 3, 4]],
  ])('of the pages 0 to 4 those from %i up to %i go', (from, to, left) => {
    const budget = new Budget(8);
    const store = new PageStore(budget);
    for (const page of [2, 0, 4, 1, 3]) store.set(page, 1);
    store.deleteRange(from, to);
    expect(store.resident().map(([page]) => page)).toEqual(left);
    expect(budget.used).toBe(left.length);
  });

  test('whoever goes through pages may pause after every 64 whose bytes were looked at, be they shown or not', () => {
    const store = new PageStore(new Budget(1000));
    for (let page = 0; page < 200; page++) store.own(page);
    expect([...store.eachResident()]).toEqual([PAUSE, PAUSE, PAUSE]);
    for (let page = 0; page < 64; page++) store.own(page).fill(1);
    const shown = [...store.eachResident()];
    expect(shown.map((one) => one === PAUSE).indexOf(true)).toBe(64);
    expect(shown).toHaveLength(64 + 3);
  });

  test('what is shown is in order, a byte for a page that is full of it, and nothing for one full of the background', () => {
    const store = new PageStore(new Budget(16), 7);
    for (const page of [10, 9, 2]) store.set(page, 1);
    store.own(3).fill(4);
    store.own(1).set([1], 4095);
    store.own(5);
    expect(
      store.resident().map(([page, content]) => [page, typeof content === 'number' ? content : '…']),
    ).toEqual([
      [1, '…'],
      [2, 1],
      [3, 4],
      [9, 1],
      [10, 1],
    ]);
    expect([store.has(5), store.has(6)]).toEqual([true, false]);
  });

  test('a copy is its own, at the cost of its own budget, and stops once in 256 pages', () => {
    const budget = new Budget(600);
    const store = new PageStore(budget, 7);
    for (let page = 0; page < 511; page++) store.set(page, 1);
    store.own(300)[5] = 2;
    const cost = new Budget(600);
    const { stops, value: copy } = through(store.copy(cost));
    expect([stops, cost.used, budget.used, copy.background]).toEqual([1, 511, 511, 7]);
    store.own(300)[5] = 3;
    store.set(1, 9);
    expect([copy.own(300)[5], copy.own(1)[0]]).toEqual([2, 1]);
    store.set(511, 1);
    expect(through(store.copy(new Budget(600))).stops).toBe(2);
  });
});

describe('an emulated memory', () => {
  test('a fork copies what is in regions too, once, at the cost of as many pages again', () => {
    const all = new Budget(100);
    const memory = new EmulatedMemory(16, 16, all);
    memory.map(0n, bytes(2), anonymous);
    memory.map(bytes(4), bytes(2), anonymous);
    const store = memory.newStore();
    for (const base of [8, 10]) {
      memory.map(bytes(base), bytes(1), { ...anonymous, kind: 'file', store, base });
    }
    for (const page of [0, 4, 8]) memory.fill(bytes(page), 1, 5);
    expect(all.used).toBe(3);
    const { value: child } = through(memory.fork());
    expect(all.used).toBe(6);
    expect(child.residentPages().map(([page]) => page)).toEqual([0, 4]);
    child.fill(bytes(0), 1, 6);
    child.fill(bytes(10), 1, 6);
    const first = (of: EmulatedMemory) => [0, 4, 8, 10].map((page) => of.read(bytes(page), 1)[0]);
    // Page 0 of the file is mapped twice: in each memory what is written to one is seen in the other.
    expect([first(memory), first(child)]).toEqual([
      [5, 5, 5, 5],
      [6, 5, 6, 6],
    ]);
    expect(child.regions.map(({ store: of }) => child.isAnonymous(of))).toEqual([true, true, false, false]);
  });

  test('one that is released gives back what is its own, and leaves what it shares', () => {
    const all = new Budget(100);
    const memory = new EmulatedMemory(16, 16, all);
    memory.map(0n, bytes(1), anonymous);
    const shared = memory.newStore();
    memory.map(bytes(2), bytes(1), { ...anonymous, kind: 'shared', isShared: true, store: shared, base: 2 });
    memory.map(bytes(4), bytes(1), { ...anonymous, kind: 'file', store: memory.newStore(), base: 4 });
    for (const page of [0, 2, 4]) memory.fill(bytes(page), 1, 5);
    memory.release();
    expect([all.used, shared.size]).toEqual([1, 1]);
  });

  test('whether a copy fits beside it: within what all may have, and always where nobody counts', () => {
    const fits = (most: number | null, used: number) => {
      const memory = new EmulatedMemory(16, 16, most === null ? null : new Budget(most));
      for (let page = 0; page < used; page++) memory.fill(bytes(page), 1, 1);
      return memory.fitsTwice;
    };
    expect([fits(null, 16), fits(8, 4), fits(8, 5)]).toEqual([true, true, false]);
  });

  test('up to 2^64, but not beyond: unmap and protect', () => {
    const memory = new EmulatedMemory(8, 16);
    const last = bytes(TOP_PAGE - 1);
    expect([memory.protect(last, bytes(1), 1), memory.protect(last, bytes(2), 1)]).toEqual([null, 'ENOMEM']);
    expect([memory.unmap(last, bytes(1)), memory.unmap(last, bytes(2))]).toEqual([null, 'EINVAL']);
    expect(memory.regions.map(({ start, size }) => start + size)).toEqual([TOP_PAGE - 1]);
  });

  test('a protect beyond 2^64 changes nothing, and what is mapped may be written from then on', () => {
    const memory = new EmulatedMemory(8, 16);
    const last = bytes(TOP_PAGE - 1);
    memory.map(last, bytes(1), { ...anonymous, prot: 1 });
    expect(memory.protect(last, bytes(2), 3)).toBe('ENOMEM');
    expect(memory.regions.map(({ prot }) => prot)).toEqual([1]);
    expect(memory.protect(last, bytes(1), 3)).toBeNull();
    expect(memory.regions.map(({ prot }) => prot)).toEqual([3]);
  });

  test('how many pages can be used in a row: over regions side by side, up to a gap or one that may not', () => {
    const memory = new EmulatedMemory(8, 16);
    memory.map(bytes(2), bytes(2), anonymous);
    memory.map(bytes(4), bytes(2), anonymous);
    memory.map(bytes(6), bytes(2), { ...anonymous, prot: 1 });
    memory.map(bytes(9), bytes(1), anonymous);
    const row = (page: number, count: number, anyOf: number) => memory.accessiblePages(page, count, anyOf);
    expect([
      row(3, 1, 2),
      row(3, 3, 2),
      row(3, 9, 2),
      row(3, 9, 1),
      row(1, 9, 1),
      row(8, 1, 1),
      row(9, 2, 1),
    ]).toEqual([1, 3, 3, 5, 0, 0, 1]);
  });

  test('contents of regions with contents of their own are where their base says, those around them elsewhere', () => {
    const memory = new EmulatedMemory(8, 16);
    const store = memory.newStore(1);
    memory.map(bytes(4), bytes(4), anonymous);
    memory.map(bytes(5), bytes(2), { ...anonymous, kind: 'file', store, base: 3 });
    memory.write(bytes(4) + 4095n, Uint8Array.of(10, 11));
    memory.write(bytes(6) + 4095n, Uint8Array.of(12, 13));
    expect(store.resident().map(([page]) => page)).toEqual([2, 3]);
    expect(memory.residentPages().map(([page]) => page)).toEqual([4, 7]);
    expect([...memory.read(bytes(5), 2), ...memory.read(bytes(6) + 4094n, 3)]).toEqual([11, 1, 1, 12, 13]);
    expect([memory.noRoomFor(bytes(4), 4 * PAGE_SIZE), memory.noRoomFor(bytes(100), 5 * PAGE_SIZE)]).toEqual([
      null,
      'ENOMEM',
    ]);
  });

  test('memory that was never written is split where it is written: at either end, in the middle, over two regions', () => {
    const unwritten = { prot: 1, kind: 'anonymous', neverWritten: true } as const;
    const regionsAfter = (page: number, count: number) => {
      const memory = new EmulatedMemory(8, 16);
      memory.map(0n, bytes(4), unwritten);
      memory.map(bytes(6), bytes(4), unwritten);
      memory.faultToWrite(page, count);
      return memory.regions.map(
        ({ start, size, neverWritten }) => `${start}+${size}${neverWritten ? '' : 'w'}`,
      );
    };
    expect(regionsAfter(0, 1)).toEqual(['0+1w', '1+3', '6+4']);
    expect(regionsAfter(3, 1)).toEqual(['0+3', '3+1w', '6+4']);
    expect(regionsAfter(1, 2)).toEqual(['0+1', '1+2w', '3+1', '6+4']);
    expect(regionsAfter(2, 5)).toEqual(['0+2', '2+2w', '6+1w', '7+3']);
    expect(regionsAfter(4, 2)).toEqual(['0+4', '6+4']);
    expect(regionsAfter(9, 0)).toEqual(['0+4', '6+4']);
  });
});
