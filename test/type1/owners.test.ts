import { expect, test } from 'vitest';
import { splatReport } from '../../src/kernel/splat-report.ts';
import { DirtyBitmap, UserBitmap } from '../../src/kernel/type1/dirty-bitmap.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig, through } from '../harness/type1-rig.ts';

const rigOf = () => new Type1Rig('6.1', { d0: synthetic('ignore') });
const pci = (id: string) => [
  { call: 'create-device', device: id, kind: 'vfio-pci' },
  { call: 'open-group', device: id },
];
const join = (device: string) => ({ call: 'set-container', device, container: 'c0' });

test('whose the mappings of a container are: its opener’s, and of others while they have any', () => {
  const rig = rigOf();
  rig.do('fork-process', { process: 'p0', child: 'p1' });
  const owners = () => rig.iommu.owners().map(({ process }) => process.id);
  expect(owners()).toEqual(['p0']);
  for (const [iova, process] of [
    [0, 'p0'],
    [0x1000, 'p1'],
    [0x2000, 'p0'],
  ] as const)
    rig.map(iova, 0x1000, { process });
  expect(owners()).toEqual(['p0', 'p1']);
  const [first, second] = rig.iommu.view.mappings();
  expect([first!.owner.id, second!.owner.id]).toEqual(['p0', 'p1']);
  rig.unmap(0, 0x1000);
  expect(owners()).toEqual(['p0', 'p1']);
  rig.unmap(0x1000, 0x1000);
  expect(owners()).toEqual(['p0']);
});

test('what was charged is given back although the limit is below it by now', () => {
  const rig = rigOf();
  rig.inTurn([...pci('pci'), join('pci'), { call: 'set-memlock', process: 'p0', bytes: 0x8000 }]);
  rig.map(0, 0x4000);
  rig.map(0x4000, 0x4000);
  rig.do('set-memlock', { process: 'p0', bytes: 0x1000 });
  const { mm } = rig.host.machine.process('p0');
  expect(mm.lockedVm).toBe(8);
  rig.unmap(0, 0x4000);
  expect(mm.lockedVm).toBe(4);
  rig.unmap(0x4000, 0x4000);
  expect(mm.lockedVm).toBe(0);
});

test('a mapping up to 2^64 is told of to the first group behind an IOMMU that joins, not to one like it', () => {
  const rig = rigOf();
  rig.map('0xfffffffffffff000', 0x1000, { vaddr: 0 });
  rig.inTurn([...pci('a'), ...pci('b')]);
  const told = (device: string) =>
    (
      (rig.reply('set-container', { device, container: 'c0' }).body.advisories ?? []) as { kind: string }[]
    ).map(({ kind }) => kind);
  expect([told('a'), told('b')]).toEqual([['KERNEL_BUG:top-of-address-space'], []]);
});

test('an unpin warns of the first page that is in no mapping, with all that was asked for', () => {
  const rig = rigOf();
  rig.mapMany(2);
  rig.pinMany(2);
  const task = rig.task('unpin-pages');
  through(rig.iommu.unpinPages(task, rig.device('d0'), 0n, 5));
  expect(task.splats.map(splatReport)).toMatchObject([
    { kind: 'WARN_ON', device: 'd0', iova: '0x2000', size: '0x5000' },
  ]);
  expect(task.advisories).toMatchObject([{ kind: 'UNPIN_NOT_PINNED', devices: ['d0'], iova: 0x2000n }]);
  expect(rig.pins()).toEqual([]);
});

test('the bytes of a bitmap are those of its words, the lowest bit first', () => {
  const bitmap = new DirtyBitmap(64 * 6);
  for (let page = 64; page < 192; page++) bitmap.set(page);
  for (const page of [0, 9, 224, 255, 320]) bitmap.set(page);
  const user = new UserBitmap(64 * 6);
  for (const _ of bitmap.copyTo(user, 0));
  const words = Array.from({ length: 6 }, (_, i) => [...user.bytes().subarray(8 * i, 8 * i + 8)]);
  expect([user.size, ...words]).toEqual([
    48,
    [1, 2, 0, 0, 0, 0, 0, 0],
    Array(8).fill(255),
    Array(8).fill(255),
    [0, 0, 0, 0, 1, 0, 0, 128],
    Array(8).fill(0),
    [1, 0, 0, 0, 0, 0, 0, 0],
  ]);
});

test.each([31, 32, 33, 63, 64, 65, 96])(
  'a bitmap of %i pages is set and cleared up to its last page',
  (pages) => {
    const bitmap = new DirtyBitmap(pages);
    bitmap.setAll();
    expect([[...bitmap.ranges()], bitmap.hasStrayBits()]).toEqual([[[0, pages]], false]);
    bitmap.set(pages);
    expect(bitmap.hasStrayBits()).toBe(true);
    bitmap.clear();
    expect([...bitmap.ranges()]).toEqual([[pages, 1]]);
  },
);
