import { expect, test } from 'vitest';
import { Budget } from '../../src/budget.ts';
import { EmulatedMemory } from '../../src/kernel/emulated-memory.ts';
import { isNeverWritten, zeroPagesIn } from '../../src/kernel/memory-region.ts';
import { barFrame, isBarFrame, Mm, ZERO_PFN } from '../../src/kernel/mm.ts';
import { PageStore } from '../../src/kernel/page-store.ts';
import {
  addressOf,
  exact,
  hexAddress,
  PAGE_SIZE,
  pageOf,
  TOP,
  TOP_PAGE,
  wrapPage,
} from '../../src/kernel/pages.ts';

const bytes = (pages: number) => BigInt(pages) * BigInt(PAGE_SIZE);
const memory = () => new EmulatedMemory(16, 16);

test('each memory has page frames of its own, side by side, apart from the zero page and from those of BARs', () => {
  const mms = [0, 1, 5].map((number) => new Mm(number, memory()));
  expect(mms.map((mm) => mm.pfnOf(3))).toEqual([0x100003, 0x100003 + 2 ** 36, 0x100003 + 5 * 2 ** 36]);
  const lowest = mms.map((mm) => mm.pfnOf(0));
  const last = mms.map((mm) => mm.pfnOf(0) + 2 ** 36 - 1);
  const has = (pfn: number) => mms.map((mm) => mm.hasFrame(pfn));
  expect([has(lowest[0]!), has(last[0]!), has(lowest[1]!), has(last[1]!)]).toEqual([
    [true, false, false],
    [true, false, false],
    [false, true, false],
    [false, true, false],
  ]);
  expect([has(lowest[0]! - 1), has(last[1]! + 1), has(lowest[2]! - 1), has(ZERO_PFN)]).toEqual(
    Array(4).fill([false, false, false]),
  );
});

test('page frames of BARs: 256 a device, below those of memory, and the first ones again after the last', () => {
  expect([barFrame(0, 0), barFrame(0, 255), barFrame(1, 0)]).toEqual([0x80000, 0x800ff, 0x80100]);
  expect([barFrame(2047, 255), barFrame(2048, 0)]).toEqual([0xfffff, 0x80000]);
  expect([0x7ffff, 0x80000, 0xfffff, 0x100000].map(isBarFrame)).toEqual([false, true, true, false]);
});

test('how many bytes a copy reaches: up to a hole, to its own end, or to 2^64', () => {
  const mapped = memory();
  const region = { prot: 3, kind: 'anonymous', neverWritten: false } as const;
  mapped.map(bytes(4), bytes(2), region);
  mapped.map(TOP - bytes(2), bytes(2), region);
  const mm = new Mm(0, mapped);
  const reached = (address: bigint, length: number) => mm.accessibleBytes(address, length, 2);
  expect([
    reached(bytes(4) + 8n, 16),
    reached(bytes(4) + 8n, 8192),
    reached(bytes(6) - 1n, 1),
    reached(bytes(6) - 1n, 2),
    reached(bytes(3) + 4088n, 16),
    reached(TOP - 8n, 8),
    reached(TOP - 8n, 5000),
    reached(bytes(4), 0),
  ]).toEqual([16, 8184, 1, 1, 0, 8, 8, 0]);
});

test('where every address is memory a copy reaches up to 2^64', () => {
  const mm = new Mm(0, memory());
  expect([mm.accessibleBytes(TOP - 8n, 8, 2), mm.accessibleBytes(TOP - 8n, 9, 2)]).toEqual([8, 8]);
});

test('what was never written is faulted in where bytes are written, and nothing where none are', () => {
  const mapped = memory();
  mapped.map(0n, bytes(6), { prot: 1, kind: 'anonymous', neverWritten: true });
  const mm = new Mm(0, mapped);
  const left = (change: () => void) => {
    change();
    return [0, 1, 2, 3, 4, 5].filter((page) => mm.isZeroPage(page)).join('');
  };
  expect(left(() => mm.write(bytes(2) + 8n, new Uint8Array(0)))).toBe('012345');
  expect(left(() => mm.write(bytes(2) - 1n, new Uint8Array(2)))).toBe('0345');
  expect(left(() => mm.fill(bytes(5), PAGE_SIZE, 1))).toBe('034');
  expect(left(() => mm.fill(bytes(3) + 4095n, 1, 1))).toBe('04');
  expect([...mm.read(bytes(3) + 4094n, 2)]).toEqual([0, 1]);
});

test('a memory that its last process has left is not alive', () => {
  const mm = new Mm(0, memory());
  expect(mm.alive).toBe(true);
  mm.drop();
  expect(mm.alive).toBe(false);
});

// Within an aligned 2 MiB, 512 pages, they are one huge zero page, which counts as memory.
test.each([
  [0, 511, 0, 511, 511],
  [0, 512, 0, 512, 0],
  [0, 513, 0, 513, 1],
  [1, 1022, 0, 2000, 1022],
  [1, 1023, 0, 2000, 511],
  [1, 1024, 0, 2000, 512],
  [511, 514, 0, 2000, 2],
  [511, 514, 511, 512, 1],
  [511, 514, 600, 610, 0],
  [511, 514, 1020, 1025, 1],
  [0, 10, 20, 30, 0],
])('of [%i, +%i) within [%i, %i) %i pages are the zero page', (start, size, from, to, zero) => {
  const store = new PageStore(new Budget(1));
  const region = { start, size, prot: 1, kind: 'anonymous', store, base: 0, bar: null } as const;
  const flags = { isShared: false, readOnlyFile: false };
  expect(zeroPagesIn({ ...region, ...flags, neverWritten: true }, from, to)).toBe(zero);
  expect(zeroPagesIn({ ...region, ...flags, neverWritten: false }, from, to)).toBe(0);
});

test('only anonymous memory that cannot be written was never written', () => {
  expect(
    (['anonymous', 'shared', 'file'] as const).map((kind) =>
      [0, 1, 2, 3].map((prot) => isNeverWritten(kind, prot)),
    ),
  ).toEqual([
    [true, true, false, false],
    [false, false, false, false],
    [false, false, false, false],
  ]);
});

test.each([
  [0n, 0, '0x0'],
  [4096n, 1, '0x1000'],
  [(1n << 32n) - 4096n, 2 ** 20 - 1, '0xfffff000'],
  [1n << 32n, 2 ** 20, '0x100000000'],
  [(1n << 53n) - 4096n, 2 ** 41 - 1, '0x1ffffffffff000'],
  [1n << 53n, 2 ** 41, '0x20000000000000'],
  [(1n << 53n) + 4096n, 2 ** 41 + 1, '0x20000000001000'],
  [TOP - 4096n, TOP_PAGE - 1, '0xfffffffffffff000'],
  [TOP, TOP_PAGE, '0x10000000000000000'],
])('the address %i is that of page %i, in words %s', (address, page, words) => {
  expect([pageOf(address), addressOf(page), hexAddress(page)]).toEqual([page, address, words]);
  expect([pageOf(address + 4095n), addressOf(page, 4095), hexAddress(page, 4095)]).toEqual([
    page,
    address + 4095n,
    `0x${(address + 4095n).toString(16)}`,
  ]);
});

test('page numbers wrap at 2^52, either way', () => {
  const pages = [-1, 0, 1, TOP_PAGE - 1, TOP_PAGE, TOP_PAGE + 1];
  expect(pages.map(wrapPage)).toEqual([TOP_PAGE - 1, 0, 1, TOP_PAGE - 1, 0, 1]);
  expect([0, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1].map(exact)).toEqual([
    0n,
    0xffffffffn,
    1n << 32n,
    (1n << 53n) - 1n,
  ]);
});
