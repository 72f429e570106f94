import { describe, expect, test } from 'vitest';
import { CC, ccw, poke, READ, SUSPEND } from '../drivers/channel-programs.ts';
import { CoreRig } from '../harness/core-rig.ts';

const VERSION = '6.12-iommufd';
const EVERYTHING = { iova: '0x0', length: '0xffffffffffffffff' };
const conditions = ({ log = [] }: Record<string, unknown>) =>
  (log as { condition: string }[]).map(({ condition }) => condition);

describe('vfio-ap of 6.12', () => {
  test.each([0x10000, 0x14008])('releases a notification byte at %i in one round', (nib) => {
    const rig = new CoreRig(VERSION, { ap: { type: 'vfio-ap' } });
    rig.map(0x10000, 0x10000);
    rig.do('ap-enable-interrupt', { device: 'ap', apqn: 1, nib, isc: 3 });
    const { body } = rig.unmap(0x10000, 0x10000);
    expect(body).toMatchObject({ size: '0x10000', invalidations: [{ device: 'ap', iova: '0x10000' }] });
    expect(rig.pins()).toEqual([]);
  });

  test('resets its queues at close, so that the callback after it finds nothing', () => {
    const rig = new CoreRig(VERSION, { ap: { type: 'vfio-ap' } });
    rig.map(0, 0x10000);
    rig.do('ap-enable-interrupt', { device: 'ap', apqn: 1, nib: 8, isc: 3 });
    const closed = rig.do('close-device', { device: 'ap' });
    expect(closed).toMatchObject({ invalidations: [{ device: 'ap', ...EVERYTHING }] });
    expect(closed).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });

  test('as it was in 6.0 and 6.1 it unpins iova 0 after close: another one’s page there is gone, or a warning', () => {
    const rig = new CoreRig(VERSION, { ap: { type: 'vfio-ap', variant: 'callback' }, d: { type: 'manual' } });
    rig.map(0, 0x4000);
    rig.do('pin-pages', { device: 'd', iova: 0, npage: 1, prot: 3 });
    const first = rig.do('close-device', { device: 'ap' });
    expect(first.advisories).toMatchObject([{ kind: 'FOREIGN_UNPIN', devices: ['ap', 'd'] }]);
    expect(rig.pins()).toEqual([]);
    rig.do('open-device', { device: 'ap' });
    expect(conditions(rig.do('close-device', { device: 'ap' }))).toEqual(['!access']);
  });
});

describe('vfio-ccw of 6.12', () => {
  const PROGRAM = 0x40000;
  const running = (...data: [number, number][]) => {
    const rig = new CoreRig(VERSION, { ccw: { type: 'vfio-ccw' } });
    rig.map(0, 0x20000);
    rig.map(PROGRAM, 0x1000);
    const last = data.length - 1;
    poke(
      rig,
      PROGRAM,
      ...data.map(([cda, count], i) => ccw(READ, (i < last ? CC : 0) | SUSPEND, count, cda)),
    );
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    return rig;
  };

  test('pins in runs and unpins the same runs: nothing is left, nothing warns', () => {
    const rig = running([0x14000, 0x3000], [0x18000, 0x10]);
    expect(rig.pins()).toEqual([
      ['0x14000', 1],
      ['0x18000', 1],
    ]);
    const { body } = rig.unmap(0, 0x20000);
    expect(body).toMatchObject({ size: '0x20000' });
    expect(body).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });

  test('frees its program at close, so that the callback after it finds nothing', () => {
    const rig = running([0x14, 0x10]);
    const closed = rig.do('close-device', { device: 'ccw' });
    expect(closed).toMatchObject({ invalidations: [{ device: 'ccw', ...EVERYTHING }] });
    expect(closed).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });
});

describe('GVT-g of 6.12', () => {
  const MIB2 = 0x200000;
  const gvtRig = () => {
    const rig = new CoreRig(VERSION, { gpu: { type: 'gvt-g' } });
    rig.map(0, 2 * MIB2);
    return rig;
  };

  test('releases its pages of 4 KiB in one round', () => {
    const rig = gvtRig();
    for (const gfn of [0, 5, 9]) rig.do('gvt-map-page', { device: 'gpu', gfn, size: '4K' });
    const { body } = rig.unmap(0, 2 * MIB2);
    expect(body).toMatchObject({ size: '0x400000', invalidations: [{ device: 'gpu' }] });
  });

  test('pins a page of 2 MiB page by page and unpins it in one: !access, EDEADLK, and it stays pinned', () => {
    const rig = gvtRig();
    rig.do('gvt-map-page', { device: 'gpu', gfn: 0, size: '2M' });
    expect(rig.pins()).toHaveLength(512);
    const { body } = rig.unmap(0, 2 * MIB2);
    expect(body).toMatchObject({ errno: 'EDEADLK', size: '0x0' });
    expect(conditions(body)).toEqual(['!access', 'tries > 100']);
    expect(body.advisories).toContainEqual(expect.objectContaining({ kind: 'UNPIN_NOT_AS_PINNED' }));
    expect(rig.pins()).toHaveLength(512);
  });

  test('walks every page frame of the last callback’s range: the close would not return for months', () => {
    const rig = gvtRig();
    rig.do('gvt-map-page', { device: 'gpu', gfn: 3, size: '4K' });
    const closed = rig.do('close-device', { device: 'gpu' });
    expect(closed).toMatchObject({
      invalidations: [{ device: 'gpu', ...EVERYTHING }],
      advisories: [{ kind: 'KERNEL_BUG:gvt-walks-everything', devices: ['gpu'] }],
    });
    expect(rig.pins()).toEqual([]);
  });
});
