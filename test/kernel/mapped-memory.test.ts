import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { rigAfter } from '../harness/core-rig.ts';
import { PCI, V2 } from '../refusals/refusals.ts';

const PAGE = 4096;
const region = (start: number, more: object = {}): CallObject => ({
  ...{ call: 'add-memory-region', process: 'p0', start, size: PAGE, prot: 3 },
  ...more,
});
const file = { kind: 'file', openedForWrite: true };
const bar = { kind: 'device', device: 'd0' };
const read = (vaddr: number, process = 'p0') => ({ call: 'read-memory', process, vaddr, length: 1 });
const fill = (vaddr: number, byte: number, process = 'p0') => ({
  call: 'fill-memory',
  process,
  vaddr,
  length: 1,
  byte,
});

test.each<[string, object, unknown, string?]>([
  ['of huge pages at a multiple of 2 MiB', { start: 0x200000, kind: 'hugetlb' }, undefined],
  ['of huge pages elsewhere', { start: 0x201000, kind: 'hugetlb' }, 'EINVAL', 'a multiple of 2 MiB'],
  ['misaligned', { start: 0x800 }, 'EINVAL', 'not multiples of 4096'],
  [
    'of a file for reading, to be written',
    { ...file, openedForWrite: false },
    'EACCES',
    'was not opened for writing',
  ],
  ['of a file for reading, to be read', { ...file, openedForWrite: false, prot: 1 }, undefined],
  ['of a file for reading, private', { ...file, openedForWrite: false, private: true }, undefined],
  ['of a file for writing', { ...file, openedForWrite: true }, undefined],
  ['of a BAR, all of it', { ...bar, size: 256 * PAGE }, undefined],
  ['of a BAR, a page more', { ...bar, size: 257 * PAGE }, 'EINVAL', 'beyond the BAR'],
  ['of the last page of a BAR', { ...bar, offset: 255 * PAGE }, undefined],
  [
    'of the last page of a BAR and one more',
    { ...bar, offset: 255 * PAGE, size: 2 * PAGE },
    'EINVAL',
    'beyond the BAR',
  ],
  ['of a BAR from within a page on', { ...bar, offset: 8 }, 'EINVAL', 'beyond the BAR'],
])('memory %s', (_, more, errno, words = '') => {
  const { body } = rigAfter('6.1', PCI).ask(region(0, more));
  expect(body.errno).toBe(errno);
  if (errno) expect(body.detail).toContain(words);
});

test('an mdev maps no memory; nobody maps that of a device he has not got open', () => {
  expect(rigAfter('6.1', V2).ask(region(0, bar)).body).toMatchObject({ errno: 'EINVAL' });
  const closed = rigAfter('6.1', [...PCI, { call: 'close-device', device: 'd0' }]);
  expect(closed.ask(region(0, bar)).body).toMatchObject({ errno: 'EBADF' });
});

test('as many regions as a process may have: one more is ENOMEM, in words', () => {
  const rig = rigAfter('6.1', []);
  Object.assign(rig.host.kernel, { limits: { ...rig.host.kernel.limits, regions: 2 } });
  rig.inTurn([{ call: 'create-process', process: 'p9' }]);
  const ask = (start: number) => rig.ask(region(start, { process: 'p9' })).body;
  expect([ask(0).errno, ask(0x10000).errno]).toEqual([undefined, undefined]);
  expect(ask(0x20000)).toMatchObject({
    errno: 'ENOMEM',
    detail: expect.stringContaining('as many memory regions'),
  });
});

test('a BAR has one contents, wherever and in which process it is mapped; a file each mapping its own', () => {
  const at = (start: number, page: number) => region(start, { ...bar, offset: page * PAGE });
  const rig = rigAfter('6.1', [
    ...PCI,
    at(0x10000, 2),
    at(0x20000, 2),
    at(0x30000, 3),
    region(0x40000, file),
  ]);
  rig.inTurn([
    fill(0x10000, 7),
    fill(0x30000, 9),
    { call: 'fork-process', process: 'p0', child: 'p1' },
    fill(0x20000, 8, 'p1'),
  ]);
  const shown = (process: string) =>
    [0x10000, 0x20000, 0x30000, 0x40000].map((vaddr) => rig.ask(read(vaddr, process)).body.data);
  const [eight, nine, ofFile] = ['CA==', 'CQ==', 'Wg=='];
  expect([shown('p0'), shown('p1')]).toEqual([
    [eight, eight, nine, ofFile],
    [eight, eight, nine, ofFile],
  ]);
});

test('a child of a fork has a shared file’s memory as well, a private one’s for itself', () => {
  const rig = rigAfter('6.1', [
    region(0, file),
    region(0x10000, { ...file, private: true }),
    { call: 'fork-process', process: 'p0', child: 'p1' },
  ]);
  rig.inTurn([fill(0, 1, 'p1'), fill(0x10000, 1, 'p1')]);
  expect([rig.ask(read(0)).body.data, rig.ask(read(0x10000)).body.data]).toEqual(['AQ==', 'Wg==']);
});

/** A vfio-pci device d0 whose file is closed, and that a process and its child have mapped twice. */
const HELD = [
  ...PCI,
  region(0x10000, bar),
  region(0x20000, bar),
  { call: 'fork-process', process: 'p0', child: 'p1' },
  { call: 'close-device', device: 'd0', process: 'p0' },
  { call: 'close-device', device: 'd0', process: 'p1' },
];
const unmapped = (start: number, process: string) => ({
  call: 'remove-memory-region',
  process,
  start,
  size: PAGE,
});

test.each<[string, CallObject[], CallObject]>([
  ['munmap', [unmapped(0x10000, 'p0'), { call: 'exit-process', process: 'p1' }], unmapped(0x20000, 'p0')],
  ['mmap over it', [{ call: 'exec-process', process: 'p1' }, unmapped(0x10000, 'p0')], region(0x20000)],
  ['exec', [{ call: 'exit-process', process: 'p0' }], { call: 'exec-process', process: 'p1' }],
  ['exit', [{ call: 'exec-process', process: 'p0' }], { call: 'exit-process', process: 'p1' }],
])('a device that is mapped stays open until the last mapping of it goes: %s', (_, before, last) => {
  const rig = rigAfter('6.1', HELD);
  const openCount = () => rig.host.machine.device('d0').openCount;
  for (const call of before) {
    rig.inTurn([call]);
    expect(openCount()).toBe(1);
  }
  rig.inTurn([last]);
  expect(openCount()).toBe(0);
});

test('a region that is not made changes nothing, nor does it hold the device', () => {
  const rig = rigAfter('6.1', PCI);
  const { file: held } = { file: rig.host.machine.device('d0').files[0]! };
  expect(held.users).toBe(1);
  rig.ask(region(1, bar));
  expect(held.users).toBe(1);
  rig.inTurn([region(0, bar)]);
  expect(held.users).toBe(2);
  rig.inTurn([region(0x10000, bar)]);
  expect(held.users).toBe(2);
});

test('a pin of a page of a BAR is of its page frame, as far from the first as in the BAR', () => {
  const rig = rigAfter('5.10', V2);
  rig.inTurn([
    { call: 'create-device', device: 'pci', kind: 'vfio-pci' },
    { call: 'open-group', device: 'pci' },
    { call: 'set-container', device: 'pci', container: 'c0' },
    { call: 'open-device', device: 'pci' },
    region(0x10000, { kind: 'device', device: 'pci', offset: 5 * PAGE, size: 2 * PAGE }),
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0x10000, size: 2 * PAGE, flags: 3 },
  ]);
  rig.pin(0, 'd0', 2);
  const [mapping] = rig.host.machine.container('c0').view!.mappings();
  expect(Array.from(mapping!.pins(), ({ pfn }) => pfn)).toEqual([0x80105, 0x80106]);
  expect(rig.host.machine.process('p0').lockedVm).toBe(0);
});
