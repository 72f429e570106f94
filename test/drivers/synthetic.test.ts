import { expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';
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
