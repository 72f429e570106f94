import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { rigAfter } from '../harness/core-rig.ts';
import { CONTAINER, map, opened, pin, START, V2 } from '../refusals/refusals.ts';

const PAGE = 0x1000;
const TIB = 2 ** 40;

const at = (iova: number, size: number): CallObject => ({ ...map(iova, size), vaddr: 0x10000000 });
const get = (iova: number, size: number, more: object = {}): CallObject => ({
  ...{ call: 'dirty-get', container: 'c0', iova, size, pageSize: PAGE },
  ...more,
});

describe.for(['5.10', '6.1', '6.12', '7.2'])('dirty bitmaps on %s', (version) => {
  test('of 320 GiB in two mappings: the pinned pages as ranges and one by one, no bitmap', () => {
    const two = [at(0, TIB / 4), at(TIB / 4, TIB / 16)];
    const rig = rigAfter(version, [...V2, ...two, START, pin(0x5000, 3), pin(TIB / 4, 1)]);
    const { dirtyRanges, dirtyPages, bitmap } = rig.ask(get(0, TIB / 4 + TIB / 16)).body;
    const second = TIB / 4 / PAGE;
    expect(dirtyRanges).toEqual([
      [5, 3],
      [second, 1],
    ]);
    expect(dirtyPages).toEqual([5, 6, 7, second]);
    expect(bitmap).toBeUndefined();
  });

  test('a small one is a bitmap as well', () => {
    const rig = rigAfter(version, [...V2, at(0, 0x4000), START, pin(0x1000, 2)]);
    expect(rig.ask(get(0, 0x4000)).body).toEqual({
      dirtyRanges: [[1, 2]],
      dirtyPages: [1, 2],
      bitmap: 'BgAAAAAAAAA=',
    });
  });

  test('above 4096 dirty pages they are ranges only', () => {
    const rig = rigAfter(version, [...CONTAINER, ...opened('d0', 3, null), at(0, 0x2000000), START]);
    expect(rig.ask(get(0, 0x2000000)).body).toMatchObject({ dirtyRanges: [[0, 0x2000]] });
    expect(rig.ask(get(0, 0x2000000)).body).not.toHaveProperty('dirtyPages');
  });

  test('the kernel’s own limit: 2^31 pages can be asked for, one more is EINVAL', () => {
    const rig = rigAfter(version, [...V2, at(0, 0x4000), START, pin(0x1000)]);
    expect(rig.ask(get(0, 8 * TIB)).body).toMatchObject({ dirtyRanges: [[1, 1]] });
    expect(rig.ask(get(0, 8 * TIB + PAGE)).body).toMatchObject({
      errno: 'EINVAL',
      detail: expect.stringContaining('more than 268435456'),
    });
  });

  test('a mapping of 2^31 pages cannot be tracked, one of a page less can', () => {
    const most = rigAfter(version, [...V2, at(0, 8 * TIB - PAGE), START, pin(0x1000)]);
    expect(most.ask(get(0, 8 * TIB)).body).toMatchObject({ dirtyRanges: [[1, 1]] });
    const more = rigAfter(version, [...V2, at(0, 8 * TIB)]);
    expect(more.ask(START).body).toMatchObject({
      errno: 'EINVAL',
      detail:
        'dirty-start: the mapping 0x0+0x80000000000 has more pages than a dirty bitmap covers (2147483647)',
    });
  });

  test('all of a mapping of 256 GiB behind an IOMMU is one range', () => {
    const rig = rigAfter(version, [...CONTAINER, ...opened('d0', 3, null), at(2 ** 32, TIB / 4), START]);
    // A long bitmap is made text as it goes out.
    const { body } = rig.ask(get(2 ** 32, TIB / 4));
    expect(JSON.parse(JSON.stringify(body))).toEqual({
      dirtyRanges: [[0, TIB / 4 / PAGE]],
      bitmap: expect.any(String),
    });
  });

  test('unmap with get-dirty-bitmap takes as much', () => {
    const rig = rigAfter(version, [
      ...V2,
      at(0, TIB),
      START,
      pin(0x3000),
      { call: 'unpin-pages', device: 'd0', iova: 0x3000, npage: 1 },
    ]);
    const unmap = { call: 'unmap-dma', container: 'c0', iova: 0, size: TIB, flags: 1, pageSize: PAGE };
    expect(rig.ask(unmap).body).toMatchObject({
      size: '0x10000000000',
      dirtyRanges: [[3, 1]],
      dirtyPages: [3],
    });
  });

  test('bitmapSize: too small for the pages is EINVAL, larger is not', () => {
    const rig = rigAfter(version, [...V2, at(0, 0x41000), START, pin(0x40000)]);
    const short = {
      errno: 'EINVAL',
      detail: expect.stringContaining('needs a bitmap of 16 bytes, and bitmapSize is 15'),
    };
    const unmap = { call: 'unmap-dma', container: 'c0', iova: 0, size: 0x41000, flags: 1, pageSize: PAGE };
    expect(rig.ask(get(0, 0x41000, { bitmapSize: 15 })).body).toMatchObject(short);
    expect(rig.ask({ ...unmap, bitmapSize: 15 }).body).toMatchObject(short);
    expect(rig.ask(get(0, 0x41000, { bitmapSize: 16 })).body).toMatchObject({ dirtyRanges: [[0x40, 1]] });
    expect(rig.ask(get(0, 0x41000, { bitmapSize: 4096 })).body).toMatchObject({
      dirtyRanges: [[0x40, 1]],
    });
    rig.ask({ call: 'unpin-pages', device: 'd0', iova: 0x40000, npage: 1 }).body;
    expect(rig.ask({ ...unmap, bitmapSize: 16 }).body).toMatchObject({
      size: '0x41000',
      dirtyRanges: [[0x40, 1]],
    });
  });
});
