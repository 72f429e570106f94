import { describe, expect, test } from 'vitest';
import { b1, bugOf } from '../../harness/core-rig.ts';
import { ApRig } from './rig.ts';

const { issued } = ApRig;
const LATER = ['6.1', '6.12', '7.2'];

describe('assign and unassign', () => {
  test('5.10: EBUSY while a guest is there', () => {
    const rig = new ApRig('5.10');
    expect(rig.errno('ap-assign', { device: 'd0', domain: 2 })).toBe('EBUSY');
    expect(rig.errno('ap-unassign', { device: 'd0', adapter: 0 })).toBe('EBUSY');
    rig.do('close-device', { device: 'd0' });
    rig.do('ap-assign', { device: 'd0', domain: 2 });
    expect(rig.state().domains).toEqual([0, 1, 2]);
  });

  test('5.10: a queue that is not bound to vfio_ap cannot be assigned', () => {
    const rig = new ApRig('5.10');
    rig.do('close-device', { device: 'd0' });
    rig.do('ap-unbind-queue', { apqn: 2 });
    expect(rig.errno('ap-assign', { device: 'd0', domain: 2 })).toBe('EADDRNOTAVAIL');
    expect(rig.state().domains).toEqual([0, 1]);
  });

  test.each(LATER)('%s: the guest gets what is assigned at once, and loses what is unassigned', (version) => {
    const rig = new ApRig(version);
    rig.do('ap-assign', { device: 'd0', domain: 2 });
    expect(rig.guest(0)).toMatchObject({ adapters: [0], domains: [0, 1, 2] });
    expect(rig.enable(0x14008, 2)).toMatchObject({ response: 0 });
    const answer = rig.do('ap-unassign', { device: 'd0', domain: 2 });
    expect(issued(answer)[0]).toBe('zapq 2: 0');
    expect(rig.pins()).toEqual([]);
    expect(rig.enable(0x14008, 2)).toMatchObject({ response: 1 });
  });

  test.each(['5.10', ...LATER])(
    '%s: a queue of another device is EADDRINUSE, a number above the highest ENODEV',
    (version) => {
      const rig = new ApRig(version, { d0: [0, 1], d1: [256, 257] });
      for (const device of ['d0', 'd1']) rig.do('close-device', { device });
      const taken = rig.answer('ap-assign', { device: 'd0', adapter: 1 });
      expect(taken.errno).toBe('EADDRINUSE');
      expect(rig.state().adapters).toEqual([0]);
      expect(rig.errno('ap-assign', { device: 'd0', domain: 9 })).toBe('ENODEV');
      expect(rig.errno('create-device', { device: 'd2', driver: { type: 'vfio-ap', queues: [0] } })).toBe(
        'EADDRINUSE',
      );
    },
  );

  test.each(LATER)('%s: domains are listed in their order, whichever came first', (version) => {
    const rig = new ApRig(version, { d0: [0, 1], d1: [256 + 12, 256 + 2] });
    expect(rig.state('d1').domains).toEqual([2, 12]);
    expect(rig.guest(1).domains).toEqual([2, 12]);
  });

  test.each(LATER)('%s: what is not assigned can be unassigned, and nothing happens', (version) => {
    const rig = new ApRig(version);
    rig.enable();
    expect(issued(rig.do('ap-unassign', { device: 'd0', domain: 2 }))).toEqual([]);
    expect(rig.guest(0)).toMatchObject({ adapters: [0], domains: [0, 1] });
    expect(rig.pins()).toHaveLength(1);
  });

  test.each(LATER)(
    '%s: an adapter that is assigned brings its queues, and takes them away again',
    (version) => {
      const rig = new ApRig(version, { d0: [0, 1], d1: [256, 257] });
      rig.do('close-device', { device: 'd1' });
      rig.do('ap-unassign', { device: 'd1', adapter: 1 });
      rig.do('ap-assign', { device: 'd0', adapter: 1 });
      expect(rig.guest(0)).toMatchObject({ adapters: [0, 1], domains: [0, 1] });
      expect(rig.enable(0x14008, 256)).toMatchObject({ response: 0 });
      expect(rig.pins()).toHaveLength(1);
      const resets = issued(rig.do('ap-unassign', { device: 'd0', adapter: 1 }));
      expect(resets).toEqual(expect.arrayContaining(['zapq 256: 0', 'zapq 257: 0']));
      expect(rig.pins()).toEqual([]);
      expect(rig.guest(0)).toMatchObject({ adapters: [0], domains: [0, 1] });
    },
  );

  test.each(LATER)('%s: the state shows a queue that came later while it holds something', (version) => {
    const rig = new ApRig(version);
    rig.do('ap-assign', { device: 'd0', domain: 2 });
    expect(rig.state()).not.toHaveProperty('otherQueues');
    rig.enable(0x14008, 2);
    expect(rig.state()).toMatchObject({ otherQueues: [{ apqn: 2, savedIova: '0x14008', savedIsc: 3 }] });
    rig.disable(2);
    expect(rig.state()).not.toHaveProperty('otherQueues');
  });

  test.each(LATER)('%s: the console names each queue that another device has', (version) => {
    const rig = new ApRig(version, { d0: [0, 10], d1: [0x1000, 0x100a] });
    const { log } = rig.answer('ap-assign', { device: 'd0', adapter: 16 });
    const text = (queue: string) =>
      `vfio_ap_mdev d0: Userspace may not assign queue ${queue} to mdev: already assigned to d1`;
    expect((log as { text: string }[]).map((line) => line.text)).toEqual([text('10.0000'), text('10.000a')]);
  });

  test('5.10: every queue that comes must be bound, not only one of them', () => {
    const rig = new ApRig('5.10', { d0: [0, 256] });
    rig.do('close-device', { device: 'd0' });
    rig.do('ap-unbind-queue', { apqn: 256 + 2 });
    expect(rig.errno('ap-assign', { device: 'd0', domain: 2 })).toBe('EADDRNOTAVAIL');
    rig.do('ap-bind-queue', { apqn: 256 + 2 });
    rig.do('ap-assign', { device: 'd0', domain: 2 });
  });

  test('5.10: with no adapter assigned one queue of the domain is enough, with no domain one of the adapter', () => {
    const rig = new ApRig('5.10');
    rig.do('close-device', { device: 'd0' });
    rig.do('ap-unassign', { device: 'd0', adapter: 0 });
    for (const apqn of [2, 256 + 2]) rig.do('ap-unbind-queue', { apqn });
    rig.do('ap-assign', { device: 'd0', domain: 2 });
    rig.do('ap-unbind-queue', { apqn: 512 + 2 });
    rig.do('ap-unassign', { device: 'd0', domain: 2 });
    expect(rig.errno('ap-assign', { device: 'd0', domain: 2 })).toBe('EADDRNOTAVAIL');
    for (const domain of [0, 1]) rig.do('ap-unassign', { device: 'd0', domain });
    rig.do('ap-assign', { device: 'd0', adapter: 2 });
    for (const domain of [0, 1, 3]) rig.do('ap-unbind-queue', { apqn: 256 + domain });
    expect(rig.errno('ap-assign', { device: 'd0', adapter: 1 })).toBe('EADDRNOTAVAIL');
  });

  test.each(['5.10', ...LATER])(
    '%s: a device that is refused its queues leaves nothing assigned',
    (version) => {
      const rig = new ApRig(version, { d0: [256] });
      const taken = { device: 'd1', driver: { type: 'vfio-ap', queues: [0, 256] } };
      expect(rig.errno('create-device', taken)).toBe('EADDRINUSE');
      rig.do('create-device', { device: 'd1', driver: { type: 'vfio-ap', queues: [0] } });
      expect(rig.state('d1')).toMatchObject({ adapters: [0], domains: [0] });
    },
  );

  test.each(['6.12', '7.2'])(
    '%s: an adapter that the guest did not have is not reset once more',
    (version) => {
      const rig = new ApRig(version);
      expect(issued(rig.do('ap-unbind-queue', { apqn: 1 }))).toContain('zapq 0: 0');
      expect(issued(rig.do('ap-assign', { device: 'd0', domain: 2 }))).toEqual([]);
      expect(rig.guest(0).domains).toEqual([0, 1, 2]);
    },
  );

  test('7.2: a guest that was asked to give its queues back gets none of them by what changes nothing', () => {
    const rig = new ApRig('7.2');
    rig.do('ap-unbind-queue', { apqn: 256 });
    expect(rig.start('remove-device', { device: 'd0' }).answer).toBeNull();
    // An adapter of which a queue is not bound: the guest's part stays as it is.
    rig.do('ap-assign', { device: 'd0', adapter: 1 });
    expect(rig.guest(0)).toMatchObject({ adapters: [], domains: [] });
    rig.do('ap-unassign', { device: 'd0', adapter: 1 });
    expect(rig.guest(0)).toMatchObject({ adapters: [], domains: [] });
  });

  test.each(LATER)('%s: a guest that has lost every domain still has the device’s hook', (version) => {
    const rig = new ApRig(version);
    for (const domain of [0, 1]) rig.do('ap-unassign', { device: 'd0', domain });
    rig.do('ap-unassign', { device: 'd0', adapter: 0 });
    expect(rig.guest(0)).toMatchObject({ adapters: [], domains: [], hook: true });
    rig.do('close-device', { device: 'd0' });
    expect(rig.guest(0).hook).toBe(false);
  });

  test.each(LATER)('%s: the state shows no queue of another device', (version) => {
    const rig = new ApRig(version, { d0: [0, 1], d1: [256, 257] });
    rig.enable(0x14008, 256, 'd1');
    expect(rig.state('d0')).not.toHaveProperty('otherQueues');
  });

  test('either an adapter or a domain is named', () => {
    const rig = new ApRig('6.1');
    for (const args of [{}, { adapter: 0, domain: 0 }]) {
      expect(() => rig.start('ap-assign', { device: 'd0', ...args })).toThrow('either "adapter" or "domain"');
    }
  });
});

describe('M3: a queue whose adapter the guest does not have', () => {
  /** Queue 1 is unbound, so the guest loses the adapter; queue 0 gets interrupts all the same. */
  function filteredWithInterrupt(version: string): ApRig {
    const rig = new ApRig(version);
    rig.do('ap-unbind-queue', { apqn: 1 });
    expect(rig.guest(0).adapters).toEqual([]);
    expect(rig.enable()).toMatchObject({ response: 0 });
    return rig;
  }

  test.each(LATER)('%s unlinks it without a reset: the pin leaks, and UNMAP is the BUG_ON', (version) => {
    for (const what of [{ adapter: 0 }, { domain: 0 }]) {
      const rig = filteredWithInterrupt(version);
      expect(issued(rig.do('ap-unassign', { device: 'd0', ...what }))).toEqual([]);
      expect(rig.pins()).toEqual([['0x14008', 1]]);
      expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
    }
  });

  test.each(LATER)('%s: close does not find it either', (version) => {
    const rig = filteredWithInterrupt(version);
    rig.do('ap-unassign', { device: 'd0', adapter: 0 });
    rig.do('close-device', { device: 'd0' });
    expect(rig.pins()).toEqual([['0x14008', 1]]);
  });
});

describe('M3: unbinding a queue', () => {
  test('6.1 resets that queue alone; the others of its adapter keep their interrupts', () => {
    const rig = new ApRig('6.1');
    rig.enable(0x14008, 0);
    rig.enable(0x15008, 1);
    expect(issued(rig.do('ap-unbind-queue', { apqn: 0 }))).toEqual(['zapq 0: 0', 'zapq 0: 0']);
    expect(rig.pins()).toEqual([['0x15008', 1]]);
  });

  test.each(['6.12', '7.2'])('%s resets every queue of the adapter', (version) => {
    const rig = new ApRig(version);
    rig.enable(0x14008, 0);
    rig.enable(0x15008, 1);
    expect(issued(rig.do('ap-unbind-queue', { apqn: 0 })).at(-1)).toBe('zapq 0: 0');
    expect(rig.pins()).toEqual([]);
  });

  test.each(['5.10', ...LATER])('%s: it is gone from the device until it is bound again', (version) => {
    const rig = new ApRig(version);
    rig.do('ap-unbind-queue', { apqn: 0 });
    expect(rig.state().queues.map(({ apqn }) => apqn)).toEqual([1]);
    expect(rig.enable()).toMatchObject({ response: 1 });
    expect(rig.errno('ap-unbind-queue', { apqn: 0 })).toBe('ENODEV');
    rig.do('ap-bind-queue', { apqn: 0 });
    expect(rig.enable()).toMatchObject({ response: 0 });
    expect(rig.errno('ap-bind-queue', { apqn: 0 })).toBe(version === '5.10' ? 'ENODEV' : 'EBUSY');
    expect(rig.errno('ap-bind-queue', { apqn: 0x7777 })).toBe('ENODEV');
  });
});

describe('M3: a RESET that failed, and the next assign', () => {
  test.each([[[2, 2]], [[1]], [[3]], [[5]], [[9]]])(
    '6.1: after %j the adapter is filtered with its interrupts on; unassign leaks the pin',
    (zapq) => {
      const rig = new ApRig('6.1');
      rig.inject('zapq', zapq);
      rig.answer('ap-reset', { device: 'd0' });
      rig.enable();
      rig.do('ap-assign', { device: 'd0', domain: 2 });
      expect(rig.guest(0).adapters).toEqual([]);
      expect(rig.pins()).toEqual([['0x14008', 1]]);
      rig.do('ap-unassign', { device: 'd0', adapter: 0 });
      expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
    },
  );

  test.each(['6.12', '7.2'])('%s: 03 does not filter; what is filtered (01, 09) is reset', (version) => {
    for (const [code, adapters, pins] of [
      [3, [0], 1],
      [1, [], 0],
      [9, [], 0],
    ] as const) {
      const rig = new ApRig(version);
      rig.inject('zapq', [code]);
      rig.answer('ap-reset', { device: 'd0' });
      rig.enable();
      rig.do('ap-assign', { device: 'd0', domain: 2 });
      expect(rig.guest(0).adapters, String(code)).toEqual(adapters);
      expect(rig.pins(), String(code)).toHaveLength(pins);
    }
  });
});

describe('the host’s configuration', () => {
  test('5.10 cannot be asked to look: ENOENT', () => {
    const rig = new ApRig('5.10');
    rig.do('ap-host-adapter', { adapter: 0, configured: false });
    expect(rig.errno('ap-bus-scan')).toBe('ENOENT');
    // The driver does not know; the hardware answers 01, which this kernel cannot read.
    expect(rig.enable()).toMatchObject({ response: 0, instructions: [{ response: 1 }] });
  });

  test.each(LATER)(
    '%s: an adapter that is gone leaves the guest, its pins are released; back, it is there again',
    (version) => {
      const rig = new ApRig(version);
      rig.enable();
      rig.do('ap-host-adapter', { adapter: 0, configured: false });
      expect(rig.pins()).toHaveLength(1);
      rig.do('ap-bus-scan');
      expect(rig.pins()).toEqual([]);
      expect(rig.guest(0)).toMatchObject({ adapters: [], domains: [0, 1] });
      expect(rig.state().queues).toEqual([]);
      rig.do('ap-host-adapter', { adapter: 0, configured: true });
      rig.do('ap-bus-scan');
      expect(rig.guest(0).adapters).toEqual([0]);
      expect(rig.enable()).toMatchObject({ response: 0 });
    },
  );

  test.each(LATER)('%s: queues that are back are reset, from 6.12 on once more by the bus', (version) => {
    const rig = new ApRig(version);
    rig.do('ap-host-adapter', { adapter: 0, configured: false });
    rig.do('ap-bus-scan');
    rig.do('ap-host-adapter', { adapter: 0, configured: true });
    const resets = issued(rig.do('ap-bus-scan')).filter((each) => each.startsWith('rapq 0:'));
    expect(resets.length).toBe(version === '6.1' ? 0 : 1);
  });

  test.each(LATER)('%s: a second adapter that goes leaves the first to the guest', (version) => {
    const rig = new ApRig(version, { d0: [0, 1, 256, 257] });
    rig.enable();
    rig.do('ap-host-adapter', { adapter: 1, configured: false });
    rig.do('ap-bus-scan');
    expect(rig.guest(0)).toMatchObject({ adapters: [0], domains: [0, 1] });
    expect(rig.pins()).toHaveLength(1);
    rig.do('ap-host-adapter', { adapter: 1, configured: true });
    rig.do('ap-bus-scan');
    expect(rig.guest(0)).toMatchObject({ adapters: [0, 1], domains: [0, 1] });
  });

  test.each(LATER)(
    '%s: a queue of an adapter that is gone cannot be bound, one that was not bound goes too',
    (version) => {
      const rig = new ApRig(version);
      rig.do('ap-unbind-queue', { apqn: 1 });
      rig.do('ap-host-adapter', { adapter: 0, configured: false });
      const zapped = issued(rig.do('ap-bus-scan')).filter((line) => line.startsWith('zapq'));
      expect(new Set(zapped.map((line) => line.split(/[ :]/)[1]))).toEqual(new Set(['0', '2', '3']));
      for (const apqn of [0, 1]) expect(rig.errno('ap-bind-queue', { apqn })).toBe('ENODEV');
      rig.do('ap-host-adapter', { adapter: 0, configured: true });
      rig.do('ap-bus-scan');
      expect(rig.enable(0x14008, 1)).toMatchObject({ response: 0 });
    },
  );

  test.each([
    ['6.1', true],
    ['6.12', false],
    ['7.2', false],
  ])('%s: the scan is that of a work: %j', (version, isWork) => {
    const rig = new ApRig(version);
    rig.do('ap-host-adapter', { adapter: 0, configured: false });
    const byBus = issued(rig.do('ap-bus-scan')).filter((line) => line.startsWith('zapq 3: 1'));
    expect(new Set(byBus)).toEqual(new Set([isWork ? 'zapq 3: 1 work' : 'zapq 3: 1']));
  });

  test.each(['6.12', '7.2'])('%s: a scan that finds nothing new waits for no device', (version) => {
    const rig = new ApRig(version);
    const unbound = rig.background({ call: 'ap-unbind-queue', apqn: 0 });
    expect(unbound.done).toBe(false);
    expect(rig.do('ap-bus-scan')).not.toHaveProperty('milliseconds');
    expect(unbound.done).toBe(false);
    expect(unbound.wait()).toMatchObject({ milliseconds: 20 });
  });

  test('a scan that finds nothing new does nothing; an adapter that is not there cannot go', () => {
    const rig = new ApRig('6.12');
    expect(rig.do('ap-bus-scan')).toEqual({});
    expect(rig.errno('ap-host-adapter', { adapter: 77, configured: false })).toBe('ENODEV');
  });
});
