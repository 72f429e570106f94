import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OwnPins } from '../../src/drivers/synthetic/own-pins.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { fuzz } from '../harness/fuzz.ts';
import { TYPE1_GENERATIONS } from '../harness/kernels.ts';
import { synthetic } from '../harness/test-rig.ts';

const pin = (device: string, iova: number, npage = 1) => ({ device, iova, npage, prot: 3 });

/** What the driver believes it holds. */
function listOf(rig: CoreRig, device: string): unknown {
  const { driver } = rig.host.machine.device(device);
  return (driver.state!(256) as { pins: unknown }).pins;
}

test('a pin made while closed is on the list after the next open: 5.10', () => {
  const rig = new CoreRig('5.10', { listens: synthetic('ignore') });
  rig.create('d', synthetic('unpin-one'));
  rig.map(0x10000, 0x4000);
  rig.do('pin-pages', pin('d', 0x12000));
  rig.do('open-device', { device: 'd' });
  expect(listOf(rig, 'd')).toEqual([{ iova: '0x12000', times: 1 }]);
  const { status, body } = rig.unmap(0x10000, 0x4000);
  expect(status).toBe(200);
  expect(body.invalidations).toHaveLength(2);
});

for (const { version } of TYPE1_GENERATIONS) {
  test(`the list ends with the last close, and the pins stay: ${version}`, () => {
    const rig = new CoreRig(version, { d: synthetic('unpin-range') });
    rig.map(0x10000, 0x4000);
    rig.do('pin-pages', pin('d', 0x12000));
    rig.do('open-device', { device: 'd' });
    rig.do('close-device', { device: 'd' });
    expect(listOf(rig, 'd')).toEqual([{ iova: '0x12000', times: 1 }]);
    rig.do('close-device', { device: 'd' });
    expect(listOf(rig, 'd')).toEqual([]);
    expect(rig.pins()).toEqual([['0x12000', 1]]);
    rig.do('open-device', { device: 'd' });
    expect(rig.unmap(0x10000, 0x4000).body.killed).toBe(true);
  });

  test(`with unpinOnClose nothing stays pinned: ${version}`, () => {
    const rig = new CoreRig(version, { d: synthetic('ignore', { unpinOnClose: true }) });
    rig.map(0x10000, 0x4000);
    rig.do('pin-pages', pin('d', 0x11000, 3));
    rig.do('pin-pages', pin('d', 0x12000));
    expect(rig.do('close-device', { device: 'd' })).not.toHaveProperty('advisories');
    expect(rig.pins()).toEqual([]);
  });
}

test('the list has each IOVA with a count, in order, as a map has', () => {
  const iova = fc
    .tuple(fc.nat(7), fc.constantFrom(0n, 8n, 4095n))
    .map(([page, at]) => BigInt(page) * 4096n + at);
  const step = fc.tuple(
    fc.constantFrom('add', 'delete', 'lowestIn', 'clear'),
    iova,
    fc.integer({ min: 1, max: 3 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pins = new OwnPins();
      const model = new Map<bigint, number>();
      const entries = () => [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [what, at, times] of steps) {
        const there = model.get(at) ?? 0;
        if (what === 'clear' && times === 1) {
          pins.clear();
          model.clear();
        } else if (what === 'add') {
          pins.add(at, times);
          model.set(at, there + times);
        } else if (what === 'delete') {
          expect(pins.delete(at)).toBe(there > 0);
          if (there > 1) model.set(at, there - 1);
          else model.delete(at);
        } else {
          const length = BigInt(times) * 2048n;
          const lowest = entries().find(([key]) => key >= at && key < at + length);
          expect(pins.lowestIn(at, length)).toBe(lowest?.[0] ?? null);
        }
        expect([...pins.entries()]).toEqual(entries());
        expect(pins.count).toBe(model.size);
        expect(pins.lowest()).toBe(entries()[0]?.[0] ?? null);
      }
    }),
    fuzz('own-pins', 500),
  );
});

test('an unpin takes from the list what it names, at its offset and across 2^64, at most 512 pages of it', () => {
  const rig = new CoreRig('6.1', { d: synthetic('ignore') });
  const top = 0xffff_ffff_ffff_f000n;
  rig.map(0, 0x1000_0000);
  const at = (iova: bigint | number) => `0x${iova.toString(16)}`;
  for (const iova of [8n, 0x1008n, 0x1010n, BigInt(512 * 4096 + 8)])
    rig.do('pin-pages', { device: 'd', iova: at(iova), npage: 1, prot: 3 });
  const iovas = () => (listOf(rig, 'd') as { iova: string }[]).map(({ iova }) => iova);
  rig.reply('unpin-pages', { device: 'd', iova: at(8), npage: 0 });
  rig.reply('unpin-pages', { device: 'd', iova: at(8), npage: 513 });
  expect(iovas()).toHaveLength(4);
  rig.reply('unpin-pages', { device: 'd', iova: at(top + 8n), npage: 2 });
  expect(iovas()).toEqual(['0x1008', '0x1010', '0x200008']);
  rig.reply('unpin-pages', { device: 'd', iova: at(0x1008), npage: 512 });
  expect(iovas()).toEqual(['0x1010']);
});

test('a callback that is held is named; once it is resumed none is held any more', () => {
  const rig = new CoreRig('6.1', { d: synthetic('unpin-range', { holdCallbacks: true }) });
  rig.map(0x10000, 0x4000);
  const unmapPinned = () => {
    rig.pin(0x10000, 'd');
    return rig.start('unmap-dma', { iova: 0x10000, size: 0x4000 });
  };
  const held = () => rig.host.machine.device('d').driver.state!(1);
  const first = unmapPinned();
  expect(rig.host.kernel.scheduler.pending[0]!.callback).toMatchObject({ call: 'dma-unmap', mode: 'held' });
  expect(held()).toMatchObject({ holding: true, held: true });
  rig.do('resume-callbacks', { device: 'd' });
  expect(first.answer).not.toBeNull();
  expect(held()).toMatchObject({ holding: false, held: false });
  rig.map(0x10000, 0x4000);
  expect(unmapPinned().answer).not.toBeNull();
});
