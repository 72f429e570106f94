import { describe, expect, test } from 'vitest';
import { atOnce } from '../../src/turns.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig, through } from '../harness/type1-rig.ts';

const rigOf = () => new Type1Rig('6.1', { d0: synthetic('ignore'), d1: synthetic('ignore') });

/** How often something stops on its way. */
const stopsOf = (work: Generator<void, unknown>) => Array.from(work).length;

describe('the mappings and pins of a container, part by part', () => {
  /** Mappings of four pages at 0, 4, 8 …, with pins in the first, second and fourth. */
  const some = () => {
    const rig = rigOf();
    rig.mapMany(5, 4);
    for (const [page, count] of [
      [1, 2],
      [4, 1],
      [12, 3],
    ] as const)
      rig.pinMany(count, page);
    return rig.iommu.view;
  };

  test.each([
    [0, 2, [0, 4]],
    [3, 9, [12, 16]],
    [5, 1, []],
    [1, 0, []],
  ])('mappings: behind %i, %i of them', (skip, count, pages) => {
    const found = atOnce(some().mappingPage(skip, count));
    expect(found.map(({ iova }) => Number(iova) / 4096)).toEqual(pages);
  });

  test.each([
    [0, 9, [1, 2, 4, 12, 13, 14]],
    [1, 1, [2]],
    [1, 2, [2, 4]],
    [2, 2, [4, 12]],
    [3, 1, [12]],
    [5, 9, [14]],
    [6, 9, []],
    [99, 1, []],
  ])('pins: behind %i, %i of them', (skip, count, pages) => {
    const found = atOnce(some().pinPage(skip, count));
    expect(found.map(({ iova }) => Number(iova) / 4096)).toEqual(pages);
  });

  test('what a mapping is shown as', () => {
    const rig = rigOf();
    rig.map(0x1000, 0x2000, { vaddr: 0x5000, flags: ['read'] });
    rig.do('pin-pages', { device: 'd1', iova: 0x2000, npage: 1, prot: ['read'] });
    rig.do('pin-pages', { device: 'd0', iova: 0x2000, npage: 1, prot: ['read'] });
    const [mapping] = rig.iommu.view.mappings();
    const { owner, pins, lockedPages, ...plain } = mapping!;
    expect(plain).toEqual({
      iova: 0x1000n,
      size: 0x2000n,
      vaddr: 0x5000n,
      prot: 1,
      vaddrInvalid: false,
      iommuMapped: false,
      closed: false,
      pinned: 1,
    });
    expect([owner.id, lockedPages(), Array.from(pins())]).toEqual([
      'p0',
      1,
      [
        {
          iova: 0x2000n,
          pfn: 0x100006,
          refCount: 2,
          devices: [
            { device: 'd1', count: 1 },
            { device: 'd0', count: 1 },
          ],
        },
      ],
    ]);
    const { type, mappingCount, pinCount, dmaAvail, attempts, devices, dirtyTracking, wedgedBy } =
      rig.iommu.view;
    expect([type, mappingCount, pinCount, dmaAvail, attempts]).toEqual([3, 1, 1, 65534, 11]);
    expect([devices, dirtyTracking, wedgedBy]).toEqual([['d1', 'd0'], false, null]);
  });

  test('stops after each 4096 that are passed over', () => {
    const rig = rigOf();
    rig.mapMany(4096);
    const { view } = rig.iommu;
    // One more is looked at only where there is one.
    expect([4094, 4095].map((skip) => stopsOf(view.mappingPage(skip, 1)))).toEqual([0, 1]);
    rig.pinMany(1, 4094);
    expect([stopsOf(view.pinPage(0, 1)), stopsOf(view.pinPage(1, 1))]).toEqual([0, 1]);
  });
});

describe('a device that is closed with pins', () => {
  test('the lowest of its own is named, in whatever mapping, and all its references are counted', () => {
    const rig = rigOf();
    rig.mapMany(3, 4);
    rig.pinMany(2, 0, 'd1');
    rig.pinMany(1, 1);
    for (let i = 0; i < 3; i++) rig.pinMany(1, 9);
    const { body } = rig.reply('close-device', { device: 'd0' });
    expect(body.advisories).toMatchObject([
      {
        kind: 'PIN_LEAKED_AT_CLOSE',
        devices: ['d0'],
        iova: '0x1000',
        text: 'd0 was closed holding 4 references to pages',
      },
    ]);
  });

  test('that were stolen: it believes in them no more', () => {
    const rig = rigOf();
    rig.mapMany(1, 4);
    rig.pin(0x1000);
    rig.do('unpin-pages', { device: 'd1', iova: 0x1000, npage: 1 });
    const rw = () =>
      rig.reply('dma-rw', { device: 'd0', iova: 0x1000, write: false, length: 1 }).body.advisories;
    expect(rw()).toMatchObject([
      { kind: 'USE_AFTER_UNPIN', text: 'd0 uses 0x1000, which another device unpinned under it' },
    ]);
    expect(rig.iommu.holders()).toEqual(new Set([rig.device('d0').number]));
    rig.do('close-device', { device: 'd0' });
    rig.do('open-device', { device: 'd0' });
    expect(rw()).toBeUndefined();
    expect(rig.iommu.holders()).toEqual(new Set());
  });
});

describe('whether a driver looks only at the start of what is unmapped', () => {
  test.each<[string, [page: number, npage?: number][], boolean]>([
    ['it unpinned the first page', [[4]], true],
    ['it did so again', [[4], [4]], true],
    ['it unpinned another page too', [[4], [6]], false],
    ['it unpinned another page twice', [[6], [6], [4]], false],
    ['it unpinned the first pages at once', [[4, 2]], false],
    ['it unpinned nothing', [], false],
  ])('%s', (_, unpins, expected) => {
    const rig = rigOf();
    rig.mapMany(1, 8);
    rig.pinMany(1, 7);
    const { iommu } = rig;
    const [task, d0] = [rig.task(), rig.device('d0')];
    iommu.shadow.callbackStarts(d0, 4);
    for (const [page, npage] of unpins) iommu.shadow.unpinned(d0, page, npage);
    iommu.shadow.callbackEnds(task, iommu, d0, iommu.mappings.find(0, 1));
    expect(task.advisories.map(({ kind }) => kind)).toEqual([
      'IGNORED_INVALIDATION',
      ...(expected ? ['START_ONLY_CHECK'] : []),
    ]);
    // It is over with the callback.
    iommu.shadow.unpinned(d0, 4);
    iommu.shadow.callbackEnds(task, iommu, d0, iommu.mappings.find(0, 1));
    expect(task.advisories.every(({ count }) => count === 1)).toBe(true);
  });
});

test('of pins that were taken from a device 65536 are remembered', () => {
  const rig = rigOf();
  rig.mapMany(1, 65_537);
  rig.pinMany(65_537);
  rig.pinMany(1, 0, 'd1');
  const { iommu } = rig;
  through(iommu.unpinPages(rig.task(), rig.device('d1'), 0n, 1));
  expect(iommu.shadow.stolenPins()).toEqual([]);
  through(iommu.unpinPages(rig.task(), rig.device('d1'), 0n, 65_537));
  const stolen = iommu.shadow.stolenPins();
  expect([stolen.length, stolen[0]?.page, stolen.at(-1)?.page]).toEqual([65_536, 0, 65_535]);
  expect(iommu.pins.count).toBe(0);
});

describe('what an advisory says', () => {
  const textOf = (body: Record<string, unknown>) =>
    (body.advisories as { text: string }[]).map(({ text }) => text);

  test('of a pin that another one holds, and of one that nobody has', () => {
    const rig = rigOf();
    rig.mapMany(1, 16);
    rig.pinMany(1, 3, 'd1');
    const unpin = (page: number) =>
      textOf(rig.reply('unpin-pages', { device: 'd0', iova: page * 4096, npage: 1 }).body);
    expect(unpin(5)).toEqual(['d0 unpinned 0x5000, which is not pinned']);
    expect(unpin(3)).toEqual(['d0 unpinned 0x3000, which only d1 holds']);
    rig.pinMany(1, 7);
    expect(unpin(5)).toEqual(['d0 unpinned 0x5000, which is not pinned; d0 holds 0x7000']);
  });

  test('of a driver that returns with its pins still there', () => {
    const rig = new Type1Rig('6.1', { d0: synthetic('unpin-first-page') });
    rig.mapMany(1, 4);
    for (const page of [0, 2]) rig.pin(page * 4096);
    expect(textOf(rig.unmap(0, 0x4000).body)).toEqual([
      'd0 returned from dma_unmap of 0x0+0x4000 with its pin at 0x2000 still there',
      'd0 unpinned only in the first page of 0x0+0x4000, but holds 0x2000',
      'd0 unpinned 0x0, which is not pinned; d0 holds 0x2000',
    ]);
  });

  test('of a key below the mapping it lands in', () => {
    const rig = new Type1Rig('6.1', { d0: synthetic('ignore') });
    rig.map(0x1000, 0x1000);
    expect(textOf(rig.reply('pin-pages', { device: 'd0', iova: 8, npage: 1, prot: 3 }).body)).toEqual([
      'the pin at 0x8 starts below the mapping 0x1000+0x1000 it lands in',
    ]);
  });
});

test('what a device holds near a page is looked for among 16384 pins and mappings', () => {
  const near = (mappings: number) => {
    const rig = rigOf();
    rig.mapMany(mappings);
    rig.pinMany(1, 0, 'd1');
    rig.pinMany(1, mappings - 1);
    return rig.iommu.shadow.heldNear(rig.iommu, rig.device('d0'), 0);
  };
  // The pin of another one, and the mapping it is in, are two of them.
  expect(near(16_383)).toBe('d0 holds 0x3ffe000');
  expect(near(16_384)).toBe('');
});
