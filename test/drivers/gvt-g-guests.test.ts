import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { CallObject } from '../../schemas/calls.ts';
import { GENERATIONS } from '../../src/kernel/generations/index.ts';
import { b1, bugOf, CoreRig } from '../harness/core-rig.ts';
import { hostFrom, textOf } from '../snapshot/restored.ts';

const MIB = 0x100000;
const VERSIONS = GENERATIONS.map(({ version }) => version);
const LATER = VERSIONS.filter((version) => version !== '5.10');
const GVT = { type: 'gvt-g' };

/** One open vGPU as the kernel has it, and [0, 2 MiB) mapped. */
function gvtRig(version: string): CoreRig {
  const rig = new CoreRig(version, { gpu: GVT });
  rig.map(0, 2 * MIB);
  return rig;
}

const mapPage = (rig: CoreRig, gfn: number, device = 'gpu') =>
  rig.do('gvt-map-page', { device, gfn, size: '4K' });
const setGuest = (rig: CoreRig, guest: unknown, more: object = {}, device = 'gpu') =>
  rig.do('gvt-set-guest', { device, guest, ...more });
const runWork = (rig: CoreRig) => rig.do('gvt-run-work', { device: 'gpu' });
const keys = (rig: CoreRig) => rig.pins().map(([key]) => key);
const state = (rig: CoreRig, device = 'gpu') =>
  rig.host.machine.device(device).driver.state!(256) as { guest: unknown; gtt: object[]; cache: object[] };

describe.each(VERSIONS)('the guest of a vGPU: %s', (version) => {
  test('a device has a guest of its own unless another is named', () => {
    const rig = gvtRig(version);
    expect(state(rig).guest).toBe('gpu');
    rig.do('close-device', { device: 'gpu' });
    expect(state(rig).guest).toBe(null);
  });

  test('without a guest it does not open: ESRCH', () => {
    const rig = new CoreRig(version, {});
    rig.create('gpu', GVT);
    setGuest(rig, null);
    expect(rig.errno('open-device', { device: 'gpu' })).toBe('ESRCH');
    setGuest(rig, 7);
    rig.do('open-device', { device: 'gpu' });
    expect(state(rig).guest).toBe(7);
  });

  test('a second vGPU of the same guest does not open: EEXIST, until the first is closed', () => {
    const rig = gvtRig(version);
    rig.create('other', GVT);
    setGuest(rig, 'gpu', {}, 'other');
    expect(rig.errno('open-device', { device: 'other' })).toBe('EEXIST');
    rig.do('close-device', { device: 'gpu' });
    rig.do('open-device', { device: 'other' });
    expect(rig.errno('open-device', { device: 'gpu' })).toBe('EEXIST');
  });

  test('attach and open-device may name the guest', () => {
    const rig = gvtRig(version);
    rig.do('create-device', { device: 'other', driver: GVT });
    const { body } = rig.reply('attach', { container: 'c0', device: 'other', guest: 'gpu' });
    expect(body.errno).toBe('EEXIST');
    expect(rig.errno('open-device', { device: 'other', guest: null })).toBe('ESRCH');
    rig.do('open-device', { device: 'other', guest: 7 });
    expect(state(rig, 'other').guest).toBe(7);
  });

  test('a vGPU that did not open is notified of no unmap', () => {
    const rig = gvtRig(version);
    rig.create('other', GVT);
    setGuest(rig, 'gpu', {}, 'other');
    rig.errno('open-device', { device: 'other' });
    mapPage(rig, 5);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toEqual([
      { device: 'gpu', iova: '0x0', length: '0x200000' },
    ]);
  });

  test('no work is to be run of a vGPU that has its guest', () => {
    expect(runWork(gvtRig(version))).toEqual({ ran: false });
  });
});

describe.each(LATER)('the guest goes while the file is open: %s', (version) => {
  test('nothing happens: the vGPU keeps what it has', () => {
    const rig = gvtRig(version);
    mapPage(rig, 5);
    expect(setGuest(rig, null)).toEqual({});
    expect(keys(rig)).toEqual(['0x5000']);
    mapPage(rig, 6);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toHaveLength(1);
    expect(keys(rig)).toEqual([]);
  });

  test('a release that is late is none: 400', () => {
    expect(() => setGuest(gvtRig(version), null, { release: 'late' })).toThrow('driver of 5.10');
  });
});

describe('the guest goes while the file is open: 5.10', () => {
  test('every page is released, and nothing can be mapped any more', () => {
    const rig = gvtRig('5.10');
    const { dmaAddr } = mapPage(rig, 5);
    rig.do('gvt-map-page', { device: 'gpu', gfn: 0x100, size: '4K' });
    setGuest(rig, null);
    expect(keys(rig)).toEqual([]);
    expect(state(rig).guest).toBe(null);
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 6, size: '4K' })).toBe('EINVAL');
    expect(rig.errno('gvt-pin-page', { device: 'gpu', dmaAddr })).toBe('ENODEV');
    expect(rig.do('gvt-unmap-page', { device: 'gpu', gfn: 5 })).toEqual({ found: false, ref: 0 });
    expect(rig.do('gvt-reset', { device: 'gpu' })).toEqual({});
  });

  test('its notifier is gone, so it is notified of no unmap', () => {
    const rig = gvtRig('5.10');
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.do('pin-pages', { device: 'd', iova: 0x9000, npage: 1, prot: 3 });
    setGuest(rig, null);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toEqual([
      { device: 'd', iova: '0x0', length: '0x200000' },
    ]);
  });

  test('a guest that comes back is not noticed; the last close says nothing, and the next open is as the first', () => {
    const rig = gvtRig('5.10');
    setGuest(rig, null);
    setGuest(rig, 3);
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 6, size: '4K' })).toBe('EINVAL');
    expect(rig.do('close-device', { device: 'gpu' })).not.toHaveProperty('log');
    rig.do('open-device', { device: 'gpu' });
    expect(state(rig).guest).toBe(3);
    mapPage(rig, 6);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toHaveLength(1);
  });

  test('its removal waits until its file has gone', () => {
    const rig = gvtRig('5.10');
    const removal = rig.start('remove-device', { device: 'gpu' });
    expect(removal.answer).toBeNull();
    rig.do('close-device', { device: 'gpu' });
    rig.do('close-group', { device: 'gpu' });
    expect(toReply(removal.answer!).status).toBeLessThan(300);
  });

  test('another guest in its place changes nothing', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, 9);
    expect(keys(rig)).toEqual(['0x5000']);
    expect(state(rig).guest).toBe('gpu');
  });

  test('the work may be late: until it runs all is as before', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'late' });
    mapPage(rig, 6);
    expect(keys(rig)).toEqual(['0x5000', '0x6000']);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toHaveLength(1);
    expect(runWork(rig)).toEqual({ ran: true });
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 6, size: '4K' })).toBe('EINVAL');
    expect(runWork(rig)).toEqual({ ran: false });
  });

  test('a late work is done when the process sleeps', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'late' });
    rig.do('sleep', { milliseconds: 1 });
    expect(keys(rig)).toEqual([]);
    expect(state(rig).guest).toBe(null);
  });

  test('a snapshot keeps the guest, and how far a release has come', () => {
    const rig = gvtRig('5.10');
    rig.create('other', GVT);
    setGuest(rig, 'gpu', {}, 'other');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'begun' });
    const host = hostFrom(textOf(rig.host));
    expect(textOf(host)).toBe(textOf(rig.host));
    const end = (call: object) => host.start(call as CallObject).answer?.end;
    expect(end({ call: 'open-device', device: 'other' })).toMatchObject({ value: 'EEXIST' });
    expect(end({ call: 'gvt-run-work', device: 'gpu' })).toMatchObject({ value: { ran: true } });
    expect(end({ call: 'open-device', device: 'other' })).toMatchObject({ value: {} });
  });

  test('a close overtakes a work that is late', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'late' });
    rig.do('close-device', { device: 'gpu' });
    expect(keys(rig)).toEqual([]);
    expect(runWork(rig)).toEqual({ ran: false });
  });

  test('begun and not ended: the notifier is gone and the pins are not, so an unmap is the BUG_ON', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'begun' });
    expect(keys(rig)).toEqual(['0x5000']);
    expect(bugOf(rig.unmap(0, 2 * MIB))).toEqual(b1(0));
  });

  test('begun, and ended in time: nothing is left', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'begun' });
    setGuest(rig, null);
    expect(keys(rig)).toEqual(['0x5000']);
    expect(runWork(rig)).toEqual({ ran: true });
    expect(keys(rig)).toEqual([]);
    expect(rig.unmap(0, 2 * MIB)).toMatchObject({ status: 200, body: { invalidations: [] } });
  });

  test.each([undefined, 'late'] as const)(
    'release %s: the notifier goes after the round of an unmap that is under way',
    (release) => {
      const rig = gvtRig('5.10');
      rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true });
      rig.do('pin-pages', { device: 'd', iova: 0x9000, npage: 1, prot: 3 });
      if (release) setGuest(rig, null, { release });
      const unmap = rig.start('unmap-dma', { iova: 0, size: 2 * MIB });
      const work = release
        ? rig.start('gvt-run-work', { device: 'gpu' })
        : rig.start('gvt-set-guest', { device: 'gpu', guest: null });
      expect([unmap.answer, work.answer]).toEqual([null, null]);
      rig.do('resume-callbacks', { device: 'd' });
      expect([unmap.answer, work.answer]).not.toContain(null);
      expect(state(rig).guest).toBe(null);
    },
  );

  test('begun: the rest waits for no round, its notifier has gone', () => {
    const rig = gvtRig('5.10');
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true });
    rig.map(4 * MIB, 0x1000);
    rig.do('pin-pages', { device: 'd', iova: 4 * MIB, npage: 1, prot: 3 });
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'begun' });
    const unmap = rig.start('unmap-dma', { iova: 4 * MIB, size: 0x1000 });
    expect(unmap.answer).toBeNull();
    expect(runWork(rig)).toEqual({ ran: true });
    expect(keys(rig)).toEqual(['0x400000']);
    rig.do('resume-callbacks', { device: 'd' });
    expect(unmap.answer).not.toBeNull();
  });

  test('begun, and its file closed: it is not removed before the work has ended: EBUSY', () => {
    const rig = gvtRig('5.10');
    setGuest(rig, null, { release: 'begun' });
    rig.do('close-device', { device: 'gpu' });
    rig.do('close-group', { device: 'gpu' });
    expect(rig.errno('remove-device', { device: 'gpu' })).toBe('EBUSY');
    expect(rig.host.kernel.devices.has('gpu')).toBe(true);
    expect(runWork(rig)).toEqual({ ran: true });
    rig.do('remove-device', { device: 'gpu' });
    expect(rig.host.kernel.devices.has('gpu')).toBe(false);
  });

  test('how far a release has come is shown where there is one', () => {
    const rig = gvtRig('5.10');
    expect(state(rig)).not.toHaveProperty('release');
    expect(state(rig)).not.toHaveProperty('hasGroup');
    setGuest(rig, null, { release: 'late' });
    expect(state(rig)).toMatchObject({ hasGroup: true, release: 'late' });
    runWork(rig);
    expect(state(rig)).not.toHaveProperty('release');
    const other = gvtRig('5.10');
    other.errno('open-device', { device: 'gpu' });
    expect(state(other)).toMatchObject({ hasGroup: false, release: null });
  });

  test('begun: the last close leaves the rest to the work', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    setGuest(rig, null, { release: 'begun' });
    rig.do('close-device', { device: 'gpu' });
    expect(keys(rig)).toEqual(['0x5000']);
    expect(runWork(rig)).toEqual({ ran: true });
    expect(keys(rig)).toEqual([]);
  });
});

describe('a second file of an open vGPU', () => {
  test('5.10: EEXIST, and what the first open has done is undone', () => {
    const rig = gvtRig('5.10');
    mapPage(rig, 5);
    const { body } = rig.reply('open-device', { device: 'gpu' });
    expect(body.errno).toBe('EEXIST');
    expect(body.advisories).toMatchObject([{ kind: 'KERNEL_BUG:gvt-opened-twice', devices: ['gpu'] }]);
    expect(rig.errno('gvt-map-page', { device: 'gpu', gfn: 6, size: '4K' })).toBe('EINVAL');
    // It has no group to unpin through.
    const { log } = rig.do('gvt-unmap-page', { device: 'gpu', gfn: 5 });
    expect(log).toMatchObject([{ function: 'gvt_unpin_guest_page', condition: 'ret != 1' }]);
    expect(bugOf(rig.unmap(0, 2 * MIB))).toEqual(b1(0));
  });

  test('5.10: opened anew after its close it is as before', () => {
    const rig = gvtRig('5.10');
    rig.errno('open-device', { device: 'gpu' });
    rig.do('close-device', { device: 'gpu' });
    rig.do('open-device', { device: 'gpu' });
    mapPage(rig, 5);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toHaveLength(1);
    expect(keys(rig)).toEqual([]);
  });

  test('5.10: once its guest has gone a second file takes it up again', () => {
    const rig = gvtRig('5.10');
    setGuest(rig, null);
    setGuest(rig, 4);
    rig.do('open-device', { device: 'gpu' });
    expect(state(rig).guest).toBe(4);
    mapPage(rig, 5);
    expect(rig.unmap(0, 2 * MIB).body.invalidations).toHaveLength(1);
    // The first of the two to be closed releases it.
    rig.map(0, 2 * MIB);
    mapPage(rig, 5);
    rig.do('close-device', { device: 'gpu' });
    expect(keys(rig)).toEqual([]);
    expect(rig.do('close-device', { device: 'gpu' })).not.toHaveProperty('log');
  });

  test.each(LATER)('%s: only counts up', (version) => {
    const rig = gvtRig(version);
    mapPage(rig, 5);
    expect(rig.do('open-device', { device: 'gpu' })).toEqual({});
    rig.do('close-device', { device: 'gpu' });
    expect(keys(rig)).toEqual(['0x5000']);
    rig.do('close-device', { device: 'gpu' });
    expect(keys(rig)).toEqual([]);
  });
});

test('5.10: the notifier goes before the pins, after the round that is under way', () => {
  const rig = gvtRig('5.10');
  rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true });
  rig.map(4 * MIB, 0x1000);
  rig.do('pin-pages', { device: 'd', iova: 4 * MIB, npage: 1, prot: 3 });
  mapPage(rig, 5);
  const unmap = rig.start('unmap-dma', { iova: 4 * MIB, size: 0x1000 });
  const close = rig.start('close-device', { device: 'gpu' });
  expect([unmap.answer, close.answer]).toEqual([null, null]);
  expect(keys(rig)).toEqual(['0x5000', '0x400000']);
  rig.do('resume-callbacks', { device: 'd' });
  expect([unmap.answer, close.answer]).not.toContain(null);
  expect(keys(rig)).toEqual([]);
});
