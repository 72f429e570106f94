import { describe, expect, test } from 'vitest';
import { TOP } from '../../src/kernel/pages.ts';
import { MAPPINGS_MAX } from '../../src/kernel/type1/map-dma.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig, through } from '../harness/type1-rig.ts';

const PAGE = 4096n;
const rigOf = (version = '6.1', driver = 'ignore') => new Type1Rig(version, { d0: synthetic(driver) });

/** What a map is answered. */
const mapped = (rig: Type1Rig, iova: bigint, size = PAGE, vaddr = 0n, flags = 3) =>
  through(rig.iommu.mapDma(rig.task(), { iova, vaddr, size, flags })).value;
/** What an unmap is answered: how many bytes went. */
const unmapped = (rig: Type1Rig, iova: bigint, size: bigint, flags = 0, more: object = {}) => {
  const { value } = through(rig.iommu.unmapDma(rig.task(), { iova, size, flags, ...more }));
  return typeof value === 'string' ? value : Number(value.size / PAGE);
};
const ranges = (rig: Type1Rig) =>
  Array.from(rig.iommu.view.mappings(), ({ iova, size }) => `${iova / PAGE}+${size / PAGE}`);

describe.each(TYPE1_VERSIONS)('Linux %s', (version) => {
  const wraps = version !== '7.2';
  const overflow = wraps ? 'EINVAL' : 'EOVERFLOW';
  const hasFlags = version !== '5.10';

  test('a map up to 2^64, by its IOVA and by its vaddr, and a page beyond', () => {
    const answers = (iova: bigint, vaddr: bigint, size: bigint) => mapped(rigOf(version), iova, size, vaddr);
    expect([answers(TOP - PAGE, 0n, PAGE), answers(0n, TOP - PAGE, PAGE)]).toEqual([null, null]);
    expect([answers(TOP - PAGE, 0n, 2n * PAGE), answers(0n, TOP - PAGE, 2n * PAGE)]).toEqual([
      overflow,
      overflow,
    ]);
    const rig = rigOf(version);
    mapped(rig, TOP - PAGE);
    expect(rig.iommu.overlapPossible).toBe(wraps);
    const before = rigOf(version);
    mapped(before, TOP - 2n * PAGE);
    expect(before.iommu.overlapPossible).toBe(false);
  });

  test('a map of nothing, one that is misaligned, and each combination of flags', () => {
    const rig = rigOf(version);
    expect(mapped(rig, 0n, 0n)).toBe('EINVAL');
    expect([mapped(rig, 1n), mapped(rig, 0n, 1n), mapped(rig, 0n, PAGE, 1n)]).toEqual(
      Array(3).fill('EINVAL'),
    );
    const flags = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11].map((each) => mapped(rigOf(version), 0n, PAGE, 0n, each));
    expect(flags.map((errno) => errno ?? 'ok')).toEqual([
      ...['EINVAL', 'ok', 'ok', 'ok'],
      ...[hasFlags ? 'ENOENT' : 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL'],
      ...['EINVAL', 'EINVAL'],
    ]);
  });

  test('a map beside another one, and over either end of it', () => {
    const rig = rigOf(version);
    mapped(rig, 4n * PAGE, 4n * PAGE);
    const at = (page: bigint, pages: bigint) => mapped(rig, page * PAGE, pages * PAGE);
    expect([at(3n, 2n), at(7n, 1n), at(0n, 20n), at(5n, 1n)]).toEqual(Array(4).fill('EEXIST'));
    expect([at(0n, 4n), at(8n, 1n)]).toEqual([null, null]);
  });

  test('an unmap up to 2^64 and beyond, of nothing, misaligned, and with each combination of flags', () => {
    const rig = rigOf(version);
    expect([unmapped(rig, TOP - PAGE, PAGE), unmapped(rig, TOP - PAGE, 2n * PAGE)]).toEqual([0, overflow]);
    expect([unmapped(rig, 0n, 0n), unmapped(rig, 1n, PAGE), unmapped(rig, 0n, 1n)]).toEqual(
      Array(3).fill('EINVAL'),
    );
    const ask = (flags: number, size = PAGE) => unmapped(rig, 0n, size, flags);
    // The flag for dirty pages wants a bitmap; all and vaddr came with 5.12.
    expect([ask(1), ask(3), ask(5), ask(7), ask(8), ask(16)]).toEqual(Array(6).fill('EINVAL'));
    expect([ask(2), ask(2, 0n), ask(4), ask(6, 0n)]).toEqual(
      hasFlags ? ['EINVAL', 0, 'EBUSY', 'EBUSY'] : Array(4).fill('EINVAL'),
    );
    expect(unmapped(rig, PAGE, 0n, 2)).toBe('EINVAL');
  });

  test('an unmap of type1v2 takes whole mappings: over either end of one it is refused, and takes none', () => {
    const rig = rigOf(version);
    for (const page of [4n, 8n]) mapped(rig, page * PAGE, 4n * PAGE);
    const at = (page: bigint, pages: bigint) => unmapped(rig, page * PAGE, pages * PAGE);
    expect([at(5n, 3n), at(4n, 3n), at(5n, 1n), at(3n, 8n), at(6n, 6n)]).toEqual(Array(5).fill('EINVAL'));
    expect(ranges(rig)).toEqual(['4+4', '8+4']);
    expect([at(0n, 4n), at(12n, 4n), at(3n, 6n)]).toEqual([0, 0, 'EINVAL']);
    expect([at(3n, 5n), at(3n, 10n)]).toEqual([4, 4]);
  });

  test('what is dirty: up to 2^64 on kernels whose ends do not wrap, of whole mappings and pages', () => {
    const rig = rigOf(version);
    mapped(rig, 4n * PAGE, 4n * PAGE);
    rig.do('dirty-start');
    const asked = (iova: bigint, size: bigint, pageSize = PAGE) => {
      const range = { iova, size, pageSize, bitmapSize: undefined };
      const { value } = through(rig.iommu.dirtyPages(rig.task(), 4, range as never));
      return typeof value === 'string' ? value : 'ok';
    };
    expect([asked(TOP - 2n * PAGE, PAGE), asked(TOP - PAGE, PAGE), asked(TOP - PAGE, 2n * PAGE)]).toEqual([
      'ok',
      wraps ? 'EINVAL' : 'ok',
      overflow,
    ]);
    expect([asked(4n * PAGE, 4n * PAGE), asked(0n, 16n * PAGE), asked(8n * PAGE, PAGE)]).toEqual(
      Array(3).fill('ok'),
    );
    expect([asked(5n * PAGE, 3n * PAGE), asked(4n * PAGE, 3n * PAGE), asked(3n * PAGE, 2n * PAGE)]).toEqual(
      Array(3).fill('EINVAL'),
    );
    expect([
      asked(0n, PAGE, 0n),
      asked(0n, 8192n, 8192n),
      asked(0n, PAGE, 2048n),
      asked(1n, PAGE),
      asked(0n, 0n),
    ]).toEqual(Array(5).fill('EINVAL'));
    const flags = [0, 1, 2, 3, 4, 5, 6, 8].map(
      (each) => through(rig.iommu.dirtyPages(rig.task(), each, null)).value,
    );
    expect(flags).toEqual(['EINVAL', null, null, 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL']);
  });

  test('a bitmap of the size of the pages and no smaller', () => {
    const rig = rigOf(version);
    rig.do('dirty-start');
    const asked = (pages: bigint, bitmapSize: bigint) => {
      const { value } = through(
        rig.iommu.dirtyPages(rig.task(), 4, { iova: 0n, size: pages * PAGE, pageSize: PAGE, bitmapSize }),
      );
      return typeof value === 'string' ? value : 'ok';
    };
    expect([asked(64n, 8n), asked(65n, 8n), asked(65n, 16n), asked(1n, 7n)]).toEqual([
      'ok',
      'EINVAL',
      'ok',
      'EINVAL',
    ]);
    expect([asked(1n, 2n ** 28n), asked(1n, 2n ** 28n + 1n)]).toEqual(['ok', 'EINVAL']);
  });
});

describe('dirty pages', () => {
  /** What an unmap of the pages [4, 8) and the rest of 4 to 12 reports. */
  const unmap = (rig: Type1Rig, pages: bigint, more: object) => {
    const args = { iova: 4n * PAGE, size: pages * PAGE, flags: 1, ...more };
    const { value } = through(rig.iommu.unmapDma(rig.task(), args as never));
    return typeof value === 'string' ? value : [Number(value.size / PAGE), [...value.bitmap!.ranges()]];
  };
  function tracked() {
    const rig = rigOf('6.1', 'unpin-range');
    rig.do('dirty-start');
    // One that is made while dirty pages are tracked has a bitmap as well.
    for (const page of [4n, 8n]) mapped(rig, page * PAGE, 4n * PAGE);
    for (const page of [5, 8, 9]) rig.pin(page * 4096);
    for (const page of [5, 8, 9]) rig.do('unpin-pages', { device: 'd0', iova: page * 4096, npage: 1 });
    return rig;
  }

  test('of mappings that go are reported from the beginning of the range on', () => {
    const rig = tracked();
    expect(unmap(rig, 8n, { pageSize: PAGE })).toEqual([
      8,
      [
        [1, 1],
        [4, 2],
      ],
    ]);
    expect(ranges(rig)).toEqual([]);
  });

  test('are reported where there is a bitmap for them, of pages of 4096, while they are tracked', () => {
    const rig = tracked();
    const answers = [
      {},
      { pageSize: 0n },
      { pageSize: 8192n },
      { pageSize: 2048n },
      { pageSize: PAGE, bitmapSize: 7n },
    ];
    expect(answers.map((more) => unmap(rig, 4n, more))).toEqual(Array(5).fill('EINVAL'));
    rig.do('dirty-stop');
    expect(unmap(rig, 4n, { pageSize: PAGE })).toBe('EINVAL');
    expect(ranges(rig)).toEqual(['4+4', '8+4']);
    rig.do('dirty-start');
    expect(unmap(rig, 4n, { pageSize: PAGE, bitmapSize: 8n })).toEqual([4, []]);
  });

  test('are no more once they were got, but for those that are pinned', () => {
    const rig = rigOf('6.1', 'unpin-range');
    mapped(rig, 0n, 16n * PAGE);
    rig.do('dirty-start');
    for (const page of [5, 8, 9, 10]) rig.pin(page * 4096);
    for (const page of [5, 8, 9]) rig.do('unpin-pages', { device: 'd0', iova: page * 4096, npage: 1 });
    const get = () => {
      const range = { iova: 0n, size: 16n * PAGE, pageSize: PAGE, bitmapSize: undefined };
      const { value } = through(rig.iommu.dirtyPages(rig.task(), 4, range as never));
      return typeof value === 'object' && value ? [...value.ranges()] : value;
    };
    expect([get(), get()]).toEqual([
      [
        [5, 1],
        [8, 3],
      ],
      [[10, 1]],
    ]);
  });
});

test.each([
  ['0xfedff000', null],
  ['0xfedff000', 'EINVAL', 2n],
  ['0xfee00000', 'EINVAL'],
  ['0xfeeff000', 'EINVAL'],
  ['0xfef00000', null],
  ['0x7ffffff000', null],
  ['0x7ffffff000', 'EINVAL', 2n],
  ['0x8000000000', 'EINVAL'],
] as [string, string | null, bigint?][])(
  'behind an IOMMU of 39 bits a map at %s is answered %s',
  (iova, errno, pages = 1n) => {
    const rig = rigOf();
    rig.inTurn([
      { call: 'create-device', device: 'pci', kind: 'vfio-pci' },
      { call: 'open-group', device: 'pci' },
      { call: 'set-container', device: 'pci', container: 'c0' },
    ]);
    expect(mapped(rig, BigInt(iova), pages * PAGE)).toBe(errno);
    expect([rig.iommu.mappings.count, rig.host.machine.process('p0').lockedVm]).toEqual(
      errno ? [0, 0] : [1, 1],
    );
  },
);

test('of the mappings that end at 2^64 nothing is left: others do not overlap any more', () => {
  const rig = rigOf();
  mapped(rig, TOP - PAGE);
  mapped(rig, 0n);
  expect(rig.iommu.overlapPossible).toBe(true);
  unmapped(rig, 0n, PAGE);
  expect(rig.iommu.overlapPossible).toBe(true);
  rig.do('close-device', { device: 'd0' });
  rig.do('unset-container', { device: 'd0' });
  rig.do('set-container', { device: 'd0', container: 'c0' });
  rig.do('set-iommu', { type: 'type1v2' });
  const iommu = rig.host.machine.container('c0').iommu as typeof rig.iommu;
  expect(iommu.overlapPossible).toBe(false);
});

test('as many mappings as dma_entry_limit allows, and never more than this host holds', () => {
  const rig = rigOf();
  rig.iommu.dmaAvail = 1;
  expect([mapped(rig, 0n), mapped(rig, PAGE)]).toEqual([null, 'ENOSPC']);
  expect(unmapped(rig, 0n, PAGE)).toBe(1);
  expect([rig.iommu.dmaAvail, mapped(rig, PAGE)]).toEqual([1, null]);
  rig.iommu.dmaAvail = 2;
  rig.iommu.mappings.count = MAPPINGS_MAX - 1;
  expect([mapped(rig, 2n * PAGE), mapped(rig, 3n * PAGE)]).toEqual([null, 'ENOMEM']);
});

test.each([
  ['NOTIFY_OK', 2],
  ['NOTIFY_BAD', 1],
  ['NOTIFY_STOP', 1],
])('on 5.10 a driver that says %s: %i drivers are called', (notify, called) => {
  const outside = { type: 'manual' };
  const rig = new Type1Rig('5.10', { d0: outside, d1: outside });
  rig.mapMany(1, 2);
  for (const device of ['d0', 'd1']) rig.pin(0, device);
  rig.start('unmap-dma', { iova: 0, size: 0x2000 });
  const pending = () => rig.host.kernel.scheduler.pending[0]!;
  const seen = () => pending().invalidations.map(({ device, round }) => `${device} ${round}`);
  expect(seen()).toEqual(['d0 1']);
  rig.do('complete-callback', { device: 'd0', ...(notify === 'NOTIFY_OK' ? {} : { notify }) });
  expect(seen().filter((text) => text.endsWith(' 1'))).toHaveLength(called);
});

test('on 5.10 an unmap, which looks from the root of the tree each time, ends at a mapping of another process', () => {
  const rig = rigOf('5.10');
  rig.do('fork-process', { process: 'p0', child: 'p1' });
  const map = (page: number, process: string) =>
    rig.do('map-dma', { iova: page * 4096, vaddr: 0, size: 4096, flags: 3, process });
  for (const [page, process] of [
    [1, 'p0'],
    [0, 'p0'],
    [2, 'p1'],
  ] as const)
    map(page, process);
  const size = () => rig.reply('unmap-dma', { iova: 0, size: 0x3000, process: 'p0' }).body.size;
  expect([size(), ranges(rig)]).toEqual(['0x1000', ['0+1', '2+1']]);
  expect([size(), rig.reply('unmap-dma', { iova: 0, size: 0x3000, process: 'p1' }).body.size]).toEqual([
    '0x0',
    '0x1000',
  ]);
});

describe('a vaddr that an unmap takes, beside an mdev, on 5.15', () => {
  const VADDR = 4;
  function invalid() {
    const rig = rigOf('5.15');
    for (const page of [0n, 4n, 8n]) mapped(rig, page * PAGE, 2n * PAGE, page * PAGE);
    expect(unmapped(rig, 0n, 6n * PAGE, VADDR)).toBe(4);
    return rig;
  }
  const state = (rig: Type1Rig) => [
    rig.iommu.vaddrInvalidCount,
    ...Array.from(rig.iommu.view.mappings(), ({ vaddr, vaddrInvalid }) =>
      vaddrInvalid ? '-' : Number(vaddr / PAGE),
    ),
  ];

  test('is gone once: a second time is refused, and gives back what it had taken on its way', () => {
    const rig = invalid();
    expect(state(rig)).toEqual([2, '-', '-', 8]);
    expect(unmapped(rig, 4n * PAGE, 6n * PAGE, VADDR)).toBe('EINVAL');
    expect(state(rig)).toEqual([2, '-', '-', 8]);
    mapped(rig, 0n, 2n * PAGE, 20n * PAGE, VADDR);
    expect(unmapped(rig, 0n, 6n * PAGE, VADDR)).toBe('EINVAL');
    expect(state(rig)).toEqual([1, 20, '-', 8]);
  });

  test('is given back by a map of exactly that mapping', () => {
    const rig = invalid();
    const give = (page: bigint, pages: bigint) => mapped(rig, page * PAGE, pages * PAGE, 30n * PAGE, VADDR);
    expect([give(0n, 1n), give(1n, 1n), give(0n, 3n), give(8n, 2n)]).toEqual(Array(4).fill('EINVAL'));
    expect(give(2n, 2n)).toBe('ENOENT');
    expect([give(0n, 2n), state(rig)]).toEqual([null, [1, 30, '-', 8]]);
    expect(give(0n, 2n)).toBe('EINVAL');
  });

  test('goes with its mapping, as far as it was taken', () => {
    const rig = invalid();
    expect([unmapped(rig, 0n, 2n * PAGE), state(rig)]).toEqual([2, [1, '-', 8]]);
    expect([unmapped(rig, 8n * PAGE, 2n * PAGE), state(rig)]).toEqual([2, [1, '-']]);
    expect(unmapped(rig, 0n, 0n, 2)).toBe(2);
    expect(rig.iommu.vaddrInvalidCount).toBe(0);
  });
});
