import { expect, test } from 'vitest';
import { COPIED_AT_ONCE, TOP } from '../../src/kernel/pages.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig, through } from '../harness/type1-rig.ts';

const PAGE = 4096;

/** Mappings of pages 0 and 1 at vaddr page 100, 2 at 50, 3 at 70 that cannot be written, 4 that cannot be read; none of 5. */
function rigOf(version = '6.1') {
  const rig = new Type1Rig(version, { d0: synthetic('ignore') });
  const map = (page: number, pages: number, vaddr: number, flags: number) =>
    rig.map(page * PAGE, pages * PAGE, { vaddr: vaddr * PAGE, flags });
  map(0, 2, 100, 3);
  map(2, 1, 50, 3);
  map(3, 1, 70, 1);
  map(4, 1, 80, 2);
  return rig;
}
const memoryOf = (rig: Type1Rig) => rig.host.machine.process('p0').mm;

function rw(rig: Type1Rig, iova: number | bigint, access: { read: number } | { write: Uint8Array }) {
  const { stops, value } = through(rig.iommu.dmaRw(rig.task(), rig.device('d0'), BigInt(iova), access));
  return { stops, answer: typeof value === 'string' ? value : [...value] };
}
const bytes = (...list: number[]) => ({ write: Uint8Array.from(list) });

test('bytes go where the mapping’s memory is, over the ends of pages and mappings', () => {
  const rig = rigOf();
  expect(rw(rig, 2 * PAGE - 3, bytes(1, 2, 3, 4, 5)).answer).toEqual([]);
  expect([...memoryOf(rig).read(BigInt(102 * PAGE - 4), 5)]).toEqual([0, 1, 2, 3, 0]);
  expect([...memoryOf(rig).read(BigInt(50 * PAGE), 3)]).toEqual([4, 5, 0]);
  expect(rw(rig, 2 * PAGE - 4, { read: 7 }).answer).toEqual([0, 1, 2, 3, 4, 5, 0]);
  rw(rig, PAGE - 1, bytes(8, 9));
  expect([...memoryOf(rig).read(BigInt(101 * PAGE - 1), 2)]).toEqual([8, 9]);
});

test.each<[string, number, { read: number } | { write: Uint8Array }, string | number]>([
  ['a read of the last byte of a mapping', 4 * PAGE - 1, { read: 1 }, 1],
  ['a read into one that cannot be read', 4 * PAGE - 1, { read: 2 }, 'EPERM'],
  ['a write to one that cannot be written', 3 * PAGE, bytes(1), 'EPERM'],
  ['a write to one that cannot be read', 4 * PAGE, bytes(1), 'EPERM'],
  ['a write beyond the last mapping', 5 * PAGE, bytes(1), 'EINVAL'],
  ['a read beyond the last mapping', 5 * PAGE + 7, { read: 1 }, 'EINVAL'],
])('%s', (_, iova, access, answer) => {
  const got = rw(rigOf(), iova, access).answer;
  expect(typeof got === 'string' ? got : got.length).toBe(answer);
});

test('what was written before an error stays', () => {
  const rig = rigOf();
  expect(rw(rig, 3 * PAGE - 2, bytes(1, 2, 3)).answer).toBe('EPERM');
  expect([...memoryOf(rig).read(BigInt(51 * PAGE - 3), 4)]).toEqual([0, 1, 2, 0]);
});

test('memory that is not there is EFAULT, and what lies before it is written', () => {
  const rig = rigOf();
  rig.do('add-memory-region', { process: 'p0', start: 100 * PAGE, size: PAGE, prot: 3 });
  expect(rw(rig, PAGE - 2, bytes(1, 2)).answer).toEqual([]);
  expect(rw(rig, PAGE - 2, bytes(3, 4, 5)).answer).toBe('EFAULT');
  expect(rw(rig, PAGE - 2, { read: 2 }).answer).toEqual([3, 4]);
  expect([rw(rig, PAGE - 2, { read: 3 }).answer, rw(rig, PAGE, { read: 1 }).answer]).toEqual([
    'EFAULT',
    'EFAULT',
  ]);
  rig.do('protect-memory-region', { process: 'p0', start: 100 * PAGE, size: PAGE, prot: 1 });
  expect([rw(rig, 0, { read: 1 }).answer, rw(rig, 0, bytes(1)).answer]).toEqual([[0], 'EFAULT']);
});

test('only a caller with the mapping’s memory reaches it; a kernel thread does', () => {
  const rig = rigOf();
  rig.do('fork-process', { process: 'p0', child: 'p1' });
  const as = (process: string | null) => {
    const task = rig.task();
    task.process = process === null ? null : rig.host.machine.process(process);
    const { value } = through(rig.iommu.dmaRw(task, rig.device('d0'), 0n, { read: 1 }));
    return typeof value === 'string' ? value : 'ok';
  };
  expect([as('p0'), as('p1'), as(null)]).toEqual(['ok', 'EFAULT', 'ok']);
  rig.do('exit-process', { process: 'p0' });
  expect(as('p1')).toBe('EPERM');
});

test('pages that are written are dirty, those that are read are not', () => {
  const rig = new Type1Rig('6.1', { d0: synthetic('ignore') });
  rig.mapMany(1, 16);
  rig.do('dirty-start');
  rw(rig, 1, { read: 100 });
  rw(rig, PAGE + 4095, bytes(1, 2));
  const dirty = () => rig.do('dirty-get', { iova: 0, size: 16 * PAGE, pageSize: PAGE }).dirtyRanges;
  expect(dirty()).toEqual([[1, 2]]);
  expect(dirty()).toEqual([]);
  rw(rig, 4095, bytes(1));
  expect(dirty()).toEqual([[0, 1]]);
});

test('much is copied a piece at a time', () => {
  const rig = new Type1Rig('6.1', { d0: synthetic('ignore') });
  rig.mapMany(1, 256);
  const stops = (read: number) => rw(rig, 0, { read }).stops;
  expect([stops(COPIED_AT_ONCE), stops(COPIED_AT_ONCE + 1), stops(3 * COPIED_AT_ONCE)]).toEqual([0, 2, 3]);
});

test('an access over 2^64 goes on at 0', () => {
  const rig = new Type1Rig('7.2', { d0: synthetic('ignore') });
  rig.map(`0x${(TOP - 4096n).toString(16)}`, PAGE, { vaddr: 200 * PAGE });
  rig.map(0, PAGE, { vaddr: 300 * PAGE });
  expect(rw(rig, TOP - 2n, bytes(1, 2, 3)).answer).toEqual([]);
  expect([
    ...memoryOf(rig).read(BigInt(201 * PAGE - 2), 2),
    ...memoryOf(rig).read(BigInt(300 * PAGE), 2),
  ]).toEqual([1, 2, 3, 0]);
});
