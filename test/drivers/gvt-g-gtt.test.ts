import { expect, test, vi } from 'vitest';
import { Gtt } from '../../src/drivers/gvt-g/gtt.ts';

/** Page tables with these entries, written in this order. */
function gttOf(...entries: [gfn: number, size: '4K' | '2M', pfn: number][]): Gtt {
  const gtt = new Gtt();
  for (const [gfn, size, pfn] of entries) gtt.add({ gfn, size, pfn });
  return gtt;
}

const shown = (gtt: Gtt) =>
  [...gtt.all()].map(({ gfn, size, pfn, times }) => `${gfn} ${size} ${pfn} x${times}`);

test('an entry is cleared by its DMA address without a look at all the others', () => {
  const gtt = gttOf([1, '4K', 10], [2, '4K', 20], [3, '4K', 30]);
  const all = vi.spyOn(gtt, 'all');
  gtt.clearAddress(20);
  gtt.clearAddress(99);
  expect(all).not.toHaveBeenCalled();
  expect(shown(gtt)).toEqual(['1 4K 10 x1', '3 4K 30 x1']);
  expect(gtt.count).toBe(2);
});

test('of two guest pages with one DMA address the one that had an entry first loses it', () => {
  const gtt = gttOf([1, '4K', 10], [2, '4K', 20], [1, '4K', 20], [1, '4K', 20]);
  gtt.clearAddress(20);
  expect(shown(gtt)).toEqual(['1 4K 10 x1', '1 4K 20 x1', '2 4K 20 x1']);
  gtt.clearAddress(20);
  gtt.clearAddress(20);
  expect(shown(gtt)).toEqual(['1 4K 10 x1']);
  gtt.clearAddress(20);
  expect(gtt.count).toBe(1);
});

test('entries of both sizes with one DMA address are cleared one after the other', () => {
  const gtt = gttOf([0, '2M', 10], [0, '4K', 10]);
  gtt.clearAddress(10);
  expect(shown(gtt)).toEqual(['0 4K 10 x1']);
  gtt.clearAddress(10);
  expect(gtt.count).toBe(0);
});

test('by its page the entry goes that was written last', () => {
  const gtt = gttOf([5, '4K', 10], [5, '4K', 20], [5, '4K', 10]);
  expect(shown(gtt)).toEqual(['5 4K 20 x1', '5 4K 10 x2']);
  expect(gtt.clearPage(5)?.pfn).toBe(10);
  expect(gtt.clearPage(5)?.pfn).toBe(10);
  expect(gtt.clearPage(5)?.pfn).toBe(20);
  expect(gtt.clearPage(5)).toBeNull();
  gtt.add({ gfn: 5, size: '4K', pfn: 10 });
  gtt.reset();
  gtt.clearAddress(10);
  expect([gtt.count, shown(gtt)]).toEqual([0, []]);
});
