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
