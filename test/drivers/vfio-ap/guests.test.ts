import { describe, expect, test } from 'vitest';
import { b1, bugOf, logOf } from '../../harness/core-rig.ts';
import { ApRig, QUEUES } from './rig.ts';

const LATER = ['6.1', '6.12', '7.2'];
const SECOND = [256, 257];

/** A device in the container whose file is not open. */
function closed(version: string): ApRig {
  const rig = new ApRig(version, {});
  rig.attach('other', { type: 'synthetic', onDmaUnmap: 'ignore' });
  rig.create('d0', { type: 'vfio-ap', queues: QUEUES });
  rig.map(0x40000, 0x1000);
  return rig;
}

describe('M1: opening without a guest', () => {
  test.each(LATER)('%s refuses it: EINVAL; with one it opens', (version) => {
    const rig = closed(version);
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    expect(rig.errno('open-device', { device: 'd0' })).toBe('EINVAL');
    rig.do('ap-set-guest', { device: 'd0', guest: 5 });
    rig.do('open-device', { device: 'd0' });
    expect(rig.enable(0x40008)).toMatchObject({ response: 0, cc: 0 });
  });

  test('5.10 opens; KVM answers PQAP itself, in bits of GR1 where no guest looks', () => {
    const rig = closed('5.10');
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    rig.do('open-device', { device: 'd0' });
    expect(rig.enable(0x40008)).toEqual({ response: 0, cc: 3, gr1: '0x1000000000003' });
    expect(rig.disable()).toEqual({ response: 0, cc: 3, gr1: '0x1000000000000' });
  });
});

describe('M1: one guest for two matrix mdevs', () => {
  test.each(LATER)('%s refuses the second: EPERM, and its group stays where it is', (version) => {
    const rig = new ApRig(version);
    rig.do('create-device', { device: 'd1', driver: { type: 'vfio-ap', queues: SECOND } });
    const refused = rig.host.start({ call: 'attach', container: 'c0', device: 'd1', guest: 0 });
    expect(refused.answer!.end).toMatchObject({ value: 'EPERM' });
    // On that guest's vCPU the hook is d0's, which has no such queue.
    expect(rig.enable(0x14008, 256, 'd1')).toMatchObject({ response: 1, cc: 3 });
    rig.do('close-device', { device: 'd0' });
    rig.do('open-device', { device: 'd1' });
    expect(rig.enable(0x14008, 256, 'd1')).toMatchObject({ response: 0 });
  });

  test('5.10 opens it, but the guest stays the first one’s', () => {
    const rig = new ApRig('5.10');
    rig.do('create-device', { device: 'd1', driver: { type: 'vfio-ap', queues: SECOND } });
    const opened = rig.host.start({ call: 'attach', container: 'c0', device: 'd1', guest: 0 });
    expect(opened.answer!.end).toMatchObject({ how: 'returned', value: { device: 'd1' } });
    expect(rig.enable(0x14008, 256, 'd1')).toMatchObject({ response: 1, cc: 3 });
    expect(rig.guest(0)).toMatchObject({ adapters: [0], domains: [0, 1] });
  });
});

describe('M1: the guest goes while the device is open', () => {
  test.each(LATER)('%s: nothing changes, the device keeps it', (version) => {
    const rig = new ApRig(version);
    rig.enable();
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    expect(rig.disable()).toMatchObject({ response: 0 });
    expect(rig.pins()).toEqual([]);
  });

  test('5.10: disable and RESET warn and keep the ISC', () => {
    const rig = new ApRig('5.10');
    rig.enable();
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    expect(logOf(rig.disable())).toEqual(['vfio_ap_free_aqic_resources']);
    expect(rig.state().queues[0]).toMatchObject({ savedIova: null, savedIsc: 3 });
    expect(rig.do('ap-reset', { device: 'd0' }).log).toMatchObject([{ kind: 'WARN_ON', line: 121 }]);
  });

  test('5.10: close resets nothing, the pin leaks, and UNMAP is the BUG_ON without a callback', () => {
    const rig = new ApRig('5.10');
    rig.enable();
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    expect(rig.do('close-device', { device: 'd0' })).not.toHaveProperty('instructions');
    expect(rig.pins()).toEqual([['0x14000', 1]]);
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(0));
  });

  test('5.10: a guest that is back in time changes nothing', () => {
    const rig = new ApRig('5.10');
    rig.enable();
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    rig.do('ap-set-guest', { device: 'd0', guest: 0 });
    expect(rig.do('close-device', { device: 'd0' })).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });
});

describe('what a guest lacks', () => {
  test('memory slots: 06 without a pin, from 6.1 on; 5.10 does not ask', () => {
    for (const version of ['5.10', ...LATER]) {
      const rig = new ApRig(version);
      rig.do('ap-guest-memory-slots', { guest: 'd0', present: false });
      rig.do('ap-guest-memory-slots', { guest: 0, present: false });
      const { response, vfio } = rig.enable();
      if (version === '5.10') expect(response).toBe(0);
      else expect([response, vfio]).toEqual([6, undefined]);
    }
  });

  test('AIV: the hook leaves its PQAP to userspace', () => {
    const rig = new ApRig('6.12');
    rig.do('ap-guest-aiv', { guest: 0, present: false });
    expect(rig.enable()).toEqual({ intercept: 'EOPNOTSUPP' });
    rig.do('ap-guest-aiv', { guest: 0, present: true });
    expect(rig.enable()).toMatchObject({ response: 0, cc: 0 });
  });

  test('a CRYCB: opened without a hook from 6.1 on; 5.10 hooks in all the same', () => {
    for (const version of ['5.10', '6.1', '7.2']) {
      const rig = closed(version);
      rig.do('ap-guest-crycb', { guest: 0, present: false });
      rig.do('open-device', { device: 'd0' });
      const { gr1 } = rig.enable(0x40008);
      expect(gr1, version).toBe(version === '5.10' ? undefined : '0x1000000000003');
      expect(rig.guest(0), version).toMatchObject({ adapters: [], domains: [] });
    }
  });

  test('5.10: a CRYCB that came late has its masks from the next open on', () => {
    const rig = closed('5.10');
    rig.do('ap-guest-crycb', { guest: 0, present: false });
    rig.do('open-device', { device: 'd0' });
    rig.do('ap-guest-crycb', { guest: 0, present: true });
    expect(rig.guest(0).adapters).toEqual([]);
    rig.do('open-device', { device: 'd0' });
    expect(rig.guest(0)).toMatchObject({ adapters: [0], domains: [0, 1] });
  });
});

test('M8: a protected guest’s notification byte must be shared: 06 and no pin, from 6.12 on', () => {
  for (const version of ['6.12', '7.2']) {
    const rig = new ApRig(version);
    rig.do('ap-guest-protected', { guest: 0, present: true, nibShared: false });
    const answer = rig.enable();
    expect(answer).toMatchObject({ response: 6, cc: 3, vfio: [{ op: 'pin', ret: 1 }, { op: 'unpin' }] });
    expect(rig.pins()).toEqual([]);
    rig.do('ap-guest-protected', { guest: 0, present: true, nibShared: true });
    expect(rig.enable()).toMatchObject({ response: 0 });
  }
  const before = new ApRig('6.1');
  before.do('ap-guest-protected', { guest: 0, present: true, nibShared: false });
  expect(before.enable()).toMatchObject({ response: 0 });
});

test('5.10 opens and releases with each file: a second one registers the notifiers again, with two warnings', () => {
  const rig = new ApRig('5.10');
  rig.enable();
  expect(rig.do('open-device', { device: 'd0' }).log).toMatchObject([
    { kind: 'WARN_ON', file: 'kernel/notifier.c', line: 27 },
    { kind: 'WARN_ON', file: 'kernel/notifier.c', line: 27 },
  ]);
  // The first release resets the queues and unregisters; nobody is told of an unmap any more.
  rig.do('close-device', { device: 'd0' });
  expect(rig.pins()).toEqual([]);
  expect(rig.host.machine.device('d0').openCount).toBe(1);
  expect(rig.host.machine.container('c0').view!.devices).toEqual([]);
  rig.do('close-device', { device: 'd0' });
});

test.each(LATER)('%s: a second file only counts up', (version) => {
  const rig = new ApRig(version);
  rig.enable();
  expect(rig.do('open-device', { device: 'd0' })).toEqual({});
  rig.do('close-device', { device: 'd0' });
  expect(rig.pins()).toEqual([['0x14008', 1]]);
  rig.do('close-device', { device: 'd0' });
  expect(rig.pins()).toEqual([]);
});

describe('a device that goes', () => {
  test.each(['5.10', ...LATER])('%s: leaves the hooks of other guests', (version) => {
    const rig = new ApRig(version, { d0: [0, 1], d1: SECOND });
    for (const call of ['close-device', 'close-group', 'remove-device']) rig.do(call, { device: 'd0' });
    expect(rig.guest(1).hook).toBe(true);
    expect(rig.enable(0x14008, 256, 'd1')).toMatchObject({ response: 0, cc: 0 });
  });

  test('5.10: takes its own with it, also where its guest had gone before its file was closed', () => {
    const rig = new ApRig('5.10', { d0: [0, 1], d1: SECOND });
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    rig.do('close-device', { device: 'd0' });
    expect(rig.guest(0).hook).toBe(true);
    rig.do('close-group', { device: 'd0' });
    rig.do('remove-device', { device: 'd0' });
    expect(rig.guest(0).hook).toBe(false);
  });
});

test('5.10: a PQAP that waited while the device was closed finds no queue: 01', () => {
  const rig = new ApRig('5.10');
  rig.inject('zapq', [2, 2]);
  const reset = rig.background({ call: 'ap-reset', device: 'd0' });
  const close = rig.background({ call: 'close-device', device: 'd0' });
  const pqap = rig.background({ call: 'ap-enable-interrupt', device: 'd0', apqn: 0, nib: 0x14008, isc: 3 });
  expect([reset.done, close.done, pqap.done]).toEqual([false, false, false]);
  expect(pqap.wait()).toMatchObject({ response: 1, cc: 3 });
  expect([reset.done, close.done]).toEqual([true, true]);
  expect(rig.pins()).toEqual([]);
});
