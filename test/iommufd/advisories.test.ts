import { expect, test } from 'vitest';
import { advisoriesOf, CoreRig } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const VERSION = '6.12-iommufd';

function rigOf(drivers: Record<string, object>): CoreRig {
  const rig = new CoreRig(VERSION, drivers);
  rig.map(0x10000, 0x8000);
  return rig;
}

const unpin = (rig: CoreRig, device: string, iova: number, npage = 1) =>
  rig.do('unpin-pages', { device, iova, npage });

test('UNPIN_NOT_AS_PINNED when pages pinned together are unpinned one by one, or the other way round', () => {
  const rig = rigOf({ d: synthetic('ignore') });
  rig.pin(0x10000, 'd', 3);
  expect(advisoriesOf(unpin(rig, 'd', 0x11000))).toEqual(['UNPIN_NOT_AS_PINNED d 0x11000 ×1']);
  expect(advisoriesOf(unpin(rig, 'd', 0x10000, 4))).toEqual(['UNPIN_NOT_AS_PINNED d 0x10000 ×1']);
  expect(advisoriesOf(unpin(rig, 'd', 0x10000, 3))).toEqual([]);
});

test('UNPIN_NOT_PINNED when none of the pages is pinned', () => {
  const rig = rigOf({ d: synthetic('ignore') });
  rig.pin(0x10000, 'd', 2);
  expect(advisoriesOf(unpin(rig, 'd', 0x12000, 2))).toEqual(['UNPIN_NOT_PINNED d 0x12000 ×1']);
});

test('FOREIGN_UNPIN when a device takes another one’s pin of the same pages; USE_AFTER_UNPIN when that one uses them', () => {
  const rig = rigOf({ d: synthetic('ignore'), e: synthetic('ignore') });
  rig.pin(0x10000, 'd', 2);
  expect(advisoriesOf(unpin(rig, 'e', 0x10000, 2))).toEqual(['FOREIGN_UNPIN e,d 0x10000 ×1']);
  const read = rig.do('dma-rw', { device: 'd', iova: 0x11800, write: false, length: 16 });
  expect(advisoriesOf(read)).toEqual(['USE_AFTER_UNPIN d 0x10000 ×1']);
  rig.pin(0x10000, 'd', 2);
  expect(rig.do('dma-rw', { device: 'd', iova: 0x11800, write: false, length: 16 })).not.toHaveProperty(
    'advisories',
  );
});

test('RANGE_CLOSED and IGNORED_INVALIDATION when an unmap gives up after 101 rounds', () => {
  const rig = rigOf({ d: synthetic('ignore') });
  rig.pin(0x12000, 'd');
  const { body } = rig.unmap(0x10000, 0x8000);
  expect(body).toMatchObject({ errno: 'EDEADLK', size: '0x0' });
  expect(body.invalidations).toHaveLength(101);
  expect(advisoriesOf(body)).toEqual(['IGNORED_INVALIDATION d 0x12000 ×101', 'RANGE_CLOSED d 0x10000 ×1']);
});

test('START_ONLY_CHECK when a device unpins the first page and keeps another', () => {
  const rig = rigOf({ d: synthetic('unpin-first-page') });
  rig.pin(0x10000, 'd');
  rig.pin(0x12000, 'd');
  const { body } = rig.unmap(0x10000, 0x8000);
  expect(advisoriesOf(body)).toContain('START_ONLY_CHECK d 0x12000 ×101');
});

test('PIN_LEAKED_AT_CLOSE when a device is closed with pins, FOREIGN_UNPIN when its last callback takes a page 0', () => {
  const rig = new CoreRig(VERSION, { d: synthetic('unpin-first-page'), e: synthetic('ignore') });
  rig.map(0, 0x4000);
  rig.pin(0, 'e');
  rig.pin(0x1000, 'd');
  const closed = rig.do('close-device', { device: 'd' });
  expect(closed.invalidations).toEqual([{ device: 'd', iova: '0x0', length: '0xffffffffffffffff' }]);
  expect(advisoriesOf(closed)).toEqual(['PIN_LEAKED_AT_CLOSE d 0x1000 ×1', 'FOREIGN_UNPIN d,e 0x0 ×1']);
});

test('CLOSE_WAITS when a device is closed while its callback runs; the close ends after the unmap', () => {
  const rig = rigOf({ d: { type: 'manual' }, e: synthetic('unpin-range') });
  rig.pin(0x10000, 'd');
  rig.pin(0x11000, 'e');
  const unmap = rig.start('unmap-dma', { iova: 0x10000, size: 0x8000 });
  const close = rig.start('close-device', { device: 'd' });
  expect([unmap.answer, close.answer]).toEqual([null, null]);
  rig.do('complete-callback', { device: 'd' });
  // The unmap goes on without d, whose pin is left: 101 rounds of e alone.
  expect(unmap.answer?.end).toEqual({ how: 'returned', value: 'EDEADLK' });
  expect(unmap.delivered().map(({ device }) => device)).toEqual(['d', ...new Array(101).fill('e')]);
  expect(close.answer).toBeNull();
  rig.do('complete-callback', { device: 'd' });
  expect(close.answer).toMatchObject({ end: { how: 'returned', value: {} } });
  expect(close.answer?.advisories.map(({ kind }) => kind)).toEqual(['PIN_LEAKED_AT_CLOSE', 'CLOSE_WAITS']);
});
