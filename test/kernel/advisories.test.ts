import { beforeEach, expect, test } from 'vitest';
import { nearest } from '../../src/kernel/pin-shadow.ts';
import type { Device } from '../../src/kernel/vfio/device.ts';
import { CoreRig, advisoriesOf as of } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

let rig: CoreRig;

/** What a call says, however it ends. */
const advisoriesOf = (call: string, args: object) => of(rig.reply(call, { ...args }).body);
const device = (id: string, onDmaUnmap: string, more: object = {}) =>
  rig.attach(id, synthetic(onDmaUnmap, more));

const map = (iova: number, size: number) => of(rig.map(iova, size, { vaddr: '0x10000000' }));
const unmap = (iova: number, size: number) => of(rig.unmap(iova, size).body);
const pin = (id: string, iova: number) => advisoriesOf('pin-pages', { device: id, iova, npage: 1, prot: 3 });
const unpin = (id: string, iova: number) => advisoriesOf('unpin-pages', { device: id, iova, npage: 1 });

beforeEach(() => {
  rig = new CoreRig('6.1', {});
});

test('FOREIGN_UNPIN when a device unpins a page that only another one holds', () => {
  device('d0', 'unpin-range');
  device('d1', 'unpin-range');
  map(0, 0x4000);
  pin('d0', 0x1000);
  expect(unpin('d1', 0x1000)).toEqual(['FOREIGN_UNPIN d1,d0 0x1000 ×1']);
});

test('one call’s findings about different devices are different, 64 of them at most', () => {
  const others = Array.from({ length: 65 }, (_, i) => `d${i + 1}`);
  for (const id of ['d0', ...others]) device(id, 'unpin-range');
  map(0, 0x100000);
  others.forEach((id, i) => {
    pin(id, i * 0x1000);
  });
  expect(advisoriesOf('unpin-pages', { device: 'd0', iova: 0, npage: 65 })).toEqual(
    others.slice(0, 64).map((id, i) => `FOREIGN_UNPIN d0,${id} 0x${(i * 0x1000).toString(16)} ×1`),
  );
});

test('no advisory when a device drops its own reference of a shared page', () => {
  device('d0', 'unpin-range');
  device('d1', 'unpin-range');
  map(0, 0x4000);
  pin('d0', 0x1000);
  pin('d1', 0x1000);
  expect(unpin('d1', 0x1000)).toEqual([]);
  expect(unpin('d0', 0x1000)).toEqual([]);
});

test('nor when each of three devices does', () => {
  const devices = ['d0', 'd1', 'd2'];
  for (const id of devices) device(id, 'unpin-range');
  map(0, 0x4000);
  for (const id of devices) pin(id, 0x1000);
  for (const id of devices) expect(unpin(id, 0x1000)).toEqual([]);
  expect(rig.pins()).toEqual([]);
});

test('UNPIN_NOT_PINNED when the page of a mapping is not pinned, one entry with a count', () => {
  device('d0', 'unpin-range');
  map(0, 0x4000);
  expect(advisoriesOf('unpin-pages', { device: 'd0', iova: 0, npage: 4 })).toEqual([
    'UNPIN_NOT_PINNED d0 0x0 ×4',
  ]);
});

test('PIN_LEAKED_AT_CLOSE at the last close with references left, not at the first of two', () => {
  device('d0', 'unpin-range');
  map(0, 0x4000);
  pin('d0', 0x2000);
  pin('d0', 0x2000);
  advisoriesOf('open-device', { device: 'd0' });
  expect(advisoriesOf('close-device', { device: 'd0' })).toEqual([]);
  expect(advisoriesOf('close-device', { device: 'd0' })).toEqual(['PIN_LEAKED_AT_CLOSE d0 0x2000 ×1']);
});

test('no PIN_LEAKED_AT_CLOSE for a driver that unpins on close', () => {
  device('d0', 'unpin-range', { unpinOnClose: true });
  map(0, 0x4000);
  pin('d0', 0x2000);
  expect(advisoriesOf('close-device', { device: 'd0' })).toEqual([]);
});

test('IGNORED_INVALIDATION for each callback that returned with own pins in range', () => {
  device('d0', 'ignore');
  device('d1', 'unpin-range');
  map(0, 0x4000);
  pin('d0', 0x1000);
  pin('d1', 0x2000);
  expect(unmap(0, 0x4000)).toEqual(['IGNORED_INVALIDATION d0 0x1000 ×11']);
});

test('START_ONLY_CHECK for a driver that unpins its page at the start and keeps the others', () => {
  device('d0', 'unpin-first-page');
  map(0, 0x4000);
  pin('d0', 0);
  pin('d0', 0x3000);
  expect(unmap(0, 0x4000)).toEqual([
    'IGNORED_INVALIDATION d0 0x3000 ×11',
    'START_ONLY_CHECK d0 0x3000 ×11',
    'UNPIN_NOT_PINNED d0 0x0 ×10',
  ]);
});

test('no START_ONLY_CHECK for a driver that unpins one page a callback, wherever it is', () => {
  device('d0', 'unpin-one');
  map(0, 0x4000);
  pin('d0', 0);
  pin('d0', 0x3000);
  pin('d0', 0x2000);
  expect(unmap(0, 0x4000).filter((text) => text.startsWith('START_ONLY'))).toEqual([
    'START_ONLY_CHECK d0 0x2000 ×1',
  ]);
});

test('MISALIGNED_PIN for a key below the mapping it lands in', () => {
  device('d0', 'unpin-range');
  advisoriesOf('map-dma', { container: 'c0', iova: 0x1000, vaddr: '0x10001000', size: 0x1000, flags: 3 });
  expect(pin('d0', 0x8)).toEqual(['MISALIGNED_PIN d0 0x8 ×1']);
  expect(pin('d0', 0x1008)).toEqual([]);
});

test('USE_AFTER_UNPIN when a device uses a page that was unpinned under it, until it pins it again', () => {
  device('d0', 'unpin-range');
  device('d1', 'unpin-range');
  map(0, 0x4000);
  pin('d0', 0x1000);
  unpin('d1', 0x1000);
  const rw = (iova: number) =>
    advisoriesOf('dma-rw', { device: 'd0', iova, write: true, length: 8, fill: 1 });
  expect(rw(0x2000)).toEqual([]);
  expect(rw(0x1ff8)).toEqual(['USE_AFTER_UNPIN d0 0x1000 ×1']);
  pin('d0', 0x1000);
  expect(rw(0x1ff8)).toEqual([]);
});

test.each<[page: number, pins: number[], words: string]>([
  [5, [], ''],
  [5, [9], 'd0 holds 0x9000'],
  [5, [1, 5, 7, 9], 'd0 holds 0x5000 and 0x7000'],
  [5, [1, 3, 9, 12], 'd0 holds 0x3000 and 0x9000'],
  // A frame number that was taken for an address, and an address that was shifted twice.
  [8192, [2, 5000, 9000], 'd0 holds 0x2000 and 0x1388000 and 0x2328000'],
  [2, [1, 3, 4, 8192, 9000], 'd0 holds 0x1000 and 0x3000 and 0x2000000'],
])('near page %i of the pins %j are named: %s', (page, pins, words) => {
  const keys = pins.map((at) => ({ page: at, offset: 0, npage: 1 }));
  expect(nearest({ id: 'd0' } as Device, page, keys)).toBe(words);
});

test('a pin of several pages is named with their number, one within its page by its address', () => {
  const pins = [
    { page: 1, offset: 8, npage: 1 },
    { page: 9, offset: 0, npage: 4 },
  ];
  expect(nearest({ id: 'd0' } as Device, 5, pins)).toBe('d0 holds 0x1008 and 0x9000 (4 pages)');
});
