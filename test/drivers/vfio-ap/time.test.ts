import { describe, expect, test } from 'vitest';
import { ApRig } from './rig.ts';

const BUSY = [5, 5, 5, 5, 5, 5];
const UNMAP = { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x10000' };

/** Two guests in two containers, each with a queue whose interrupts are on; d0's stays busy. */
function busy(version = '6.12'): ApRig {
  const rig = new ApRig(version, { d0: [0, 1] });
  rig.do('open-container', { container: 'e' });
  rig.do('create-device', { device: 'd1', driver: { type: 'vfio-ap', queues: [256, 257] } });
  for (const [call, args] of [
    ['open-group', {}],
    ['set-container', { container: 'e' }],
  ] as const) {
    rig.do(call, { device: 'd1', ...args });
  }
  rig.host.start({ call: 'set-iommu', container: 'e', type: 3 });
  rig.do('open-device', { device: 'd1' });
  rig.host.start({ call: 'map-dma', container: 'e', iova: 0x30000, vaddr: 0x30000, size: 0x10000, flags: 3 });
  rig.enable(0x10000);
  rig.enable(0x30008, 256, 'd1');
  rig.inject('aqic-disable', BUSY);
  return rig;
}

describe('M7: how long vfio-ap sleeps', () => {
  test('UNMAP takes 120 ms for one queue that stays busy, 240 ms for two', () => {
    expect(busy().unmap(0x10000, 0x10000).body).toMatchObject({ size: '0x10000', milliseconds: 120 });
    const two = busy();
    two.enable(0x11000, 1);
    two.inject('aqic-disable', BUSY, 1);
    expect(two.unmap(0x10000, 0x10000).body).toMatchObject({ milliseconds: 240 });
  });

  test('5.10 and 6.1 do not wait for the hardware in their callback', () => {
    for (const version of ['5.10', '6.1']) {
      expect(busy(version).unmap(0x10000, 0x10000).body).not.toHaveProperty('milliseconds');
    }
  });

  test('a disable that waits for the interrupt bit takes 20 ms for each look', () => {
    const rig = busy();
    rig.inject('tapq', new Array(3).fill({ response: 0, irqEnabled: true }), 256, 'd1');
    expect(rig.disable(256, 'd1')).toMatchObject({ milliseconds: 60 });
  });
});

describe('M7: one mdevs_lock for all AP devices of a host', () => {
  test.each([
    ['PQAP', 'ap-disable-interrupt', { device: 'd1', apqn: 256 }, 120],
    ['RESET', 'ap-reset', { device: 'd1' }, 140],
    ['close', 'close-device', { device: 'd1' }, 140],
    ['PQAP of its own guest', 'ap-disable-interrupt', { device: 'd0', apqn: 1 }, 120],
    ['close of the device itself', 'close-device', { device: 'd0' }, 140],
  ])('%s of another guest waits while an UNMAP sleeps in its callback', (_what, call, args, milliseconds) => {
    const rig = busy();
    const unmap = rig.background(UNMAP);
    expect(unmap.done).toBe(false);
    const answer = rig.do(call, args);
    expect(answer.milliseconds).toBe(milliseconds);
    // What the sleeper did meanwhile is shown as somebody else's.
    expect(ApRig.issued(answer).slice(0, 5)).toEqual(new Array(5).fill('aqic-disable 0: 5 work'));
    expect(unmap.done).toBe(true);
    expect(unmap.wait()).toMatchObject({ size: '0x10000' });
  });

  test('so does the UNMAP of another guest in another container', () => {
    const rig = busy();
    rig.background(UNMAP);
    const other = rig.host.start({ call: 'unmap-dma', container: 'e', iova: '0x30000', size: '0x10000' });
    expect(other.answer).toMatchObject({ milliseconds: 120 });
  });

  test('MAP, and UNMAP of another map without pins, in the same container do not', () => {
    const rig = busy();
    rig.map(0x50000, 0x10000);
    const unmap = rig.background(UNMAP);
    rig.map(0x70000, 0x10000);
    expect(rig.unmap(0x50000, 0x10000).status).toBe(200);
    expect(unmap.done).toBe(false);
    expect(unmap.wait()).toMatchObject({ size: '0x10000', milliseconds: 120 });
  });
});

test('a snapshot has no place for a call that sleeps', () => {
  const rig = busy();
  rig.background(UNMAP);
  expect(() => rig.host.snapshot(false)).toThrow('unmap-dma sleeps');
});
