import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../../schemas/calls.ts';
import { MatrixDev } from '../../../src/drivers/vfio-ap/matrix-dev.ts';
import type { MatrixMdev } from '../../../src/drivers/vfio-ap/mdev.ts';
import { LINUX_6_1 } from '../../../src/kernel/generations/index.ts';
import { MACHINE_LIMITS } from '../../../src/machine/limits.ts';
import { Machine } from '../../../src/machine/machine.ts';
import { modelStates } from '../../../src/replay/devices.ts';
import { restoreSteps } from '../../../src/snapshot/restore.ts';
import { goOnAlike, hostFrom, make, textOf } from '../../snapshot/restored.ts';
import { ApRig } from './rig.ts';

const LATER = ['6.1', '6.12', '7.2'];
const { issued } = ApRig;

/** The AP side of a host as a snapshot has it; null: as on a fresh one. */
function savedOf({ host }: ApRig) {
  return JSON.parse(textOf(host)).state.models['vfio-ap'];
}

const pqap = (more: object = {}): CallObject => ({
  ...{ call: 'ap-enable-interrupt', device: 'd0', apqn: 0, nib: 0x14008, isc: 3 },
  ...more,
});

describe('a snapshot keeps', () => {
  test.each(['5.10', ...LATER])('%s: a queue that is not bound', (version) => {
    const rig = new ApRig(version);
    rig.do('ap-unbind-queue', { apqn: 1 });
    expect(savedOf(rig).queues[1]).toEqual({
      ...{ apqn: 1, bound: false, mdev: null, savedIova: null, savedIsc: null, resetResponse: 0 },
    });
    goOnAlike(rig.host, [
      { call: 'ap-unbind-queue', apqn: 1 },
      { call: 'ap-bind-queue', apqn: 1 },
      pqap({ apqn: 1 }),
    ]);
  });

  test('registrations of an ISC that are to fail, and those before them that work', () => {
    const rig = new ApRig('6.1');
    rig.inject('gisc-register', [0, 1]);
    expect(savedOf(rig).registrations).toEqual([true, false]);
    const answers = goOnAlike(rig.host, [pqap(), pqap(), pqap()]);
    expect(answers).toMatchObject([0, 8, 0].map((response) => ({ reply: { body: { response } } })));
    expect(savedOf(rig).registrations).toEqual([]);
  });

  test('answers to instructions, queue by queue in their order, whichever was injected first', () => {
    const rig = new ApRig('6.1');
    rig.inject('zapq', [3], 1);
    rig.inject('tapq', [{ response: 0, irqEnabled: true }], 0);
    rig.inject('aqic-disable', [1, 2], 0);
    expect(savedOf(rig).injected).toEqual([
      {
        apqn: 0,
        answers: {
          'aqic-disable': [
            { response: 1, irqEnabled: false, queueEmpty: true },
            { response: 2, irqEnabled: false, queueEmpty: true },
          ],
          tapq: [{ response: 0, irqEnabled: true, queueEmpty: true }],
        },
      },
      { apqn: 1, answers: { zapq: [{ response: 3, irqEnabled: false, queueEmpty: true }] } },
    ]);
    goOnAlike(rig.host, [pqap(), { call: 'ap-disable-interrupt', device: 'd0', apqn: 0 }]);
    goOnAlike(rig.host, [{ call: 'ap-reset', device: 'd0' }]);
    expect(savedOf(rig).injected).toEqual([
      expect.objectContaining({ apqn: 0, answers: expect.objectContaining({ tapq: expect.anything() }) }),
    ]);
  });

  test.each(LATER)('%s: adapters that were taken away, found by the bus or not yet', (version) => {
    const rig = new ApRig(version, { d0: [0, 1, 256, 257] });
    rig.do('ap-host-adapter', { adapter: 1, configured: false });
    rig.do('ap-bus-scan');
    rig.do('ap-host-adapter', { adapter: 0, configured: false });
    expect(savedOf(rig)).toMatchObject({
      adapters: [
        { adapter: 0, configured: false },
        { adapter: 1, configured: false },
        { adapter: 2, configured: true },
      ],
      scanned: { adapters: [0, 2] },
    });
    goOnAlike(rig.host, [
      { call: 'ap-bus-scan' },
      { call: 'ap-host-adapter', adapter: 1, configured: true },
      { call: 'ap-bus-scan' },
      pqap({ apqn: 256 }),
    ]);
  });

  test('the highest adapter and domain, of which one was taken away', () => {
    const rig = new ApRig('6.1');
    rig.do('ap-host-adapter', { adapter: 2, configured: false });
    const assign = (what: object): CallObject => ({ call: 'ap-assign', device: 'd0', ...what });
    const answers = goOnAlike(rig.host, [
      assign({ adapter: 2 }),
      assign({ adapter: 3 }),
      assign({ domain: 3 }),
      assign({ domain: 4 }),
    ]);
    expect(answers).toMatchObject([
      { reply: { status: 200 } },
      { reply: { body: { errno: 'ENODEV' } } },
      { reply: { status: 200 } },
      { reply: { body: { errno: 'ENODEV' } } },
    ]);
  });

  test('a guest with all that it has and has not', () => {
    const rig = new ApRig('6.12');
    rig.enable();
    rig.enable(0x15008, 1, 'd0', 2);
    rig.do('ap-guest-protected', { guest: 0, present: true, nibShared: false });
    for (const what of ['aiv', 'memory-slots', 'crycb'] as const)
      rig.do(`ap-guest-${what}`, { guest: 7, present: false });
    expect(savedOf(rig).guests).toMatchObject([
      {
        ...{ guest: 0, hook: 'd0', masks: { adapters: [0], domains: [0, 1] } },
        iscs: [
          { isc: 2, count: 1 },
          { isc: 3, count: 1 },
        ],
        ...{ crycb: true, aiv: true, memorySlots: true, protected: true, nibShared: false },
      },
      {
        ...{ guest: 7, hook: null, masks: { adapters: [], domains: [] }, iscs: [] },
        ...{ crycb: false, aiv: false, memorySlots: false, protected: false, nibShared: true },
      },
    ]);
    goOnAlike(rig.host, [pqap(), { call: 'close-device', device: 'd0' }]);
  });
});

describe('what is shared is as on a fresh host', () => {
  test.each(LATER)('%s: once the only device is gone, and its guest lacked nothing', (version) => {
    const rig = new ApRig(version);
    rig.enable();
    expect(savedOf(rig)).not.toBeNull();
    for (const call of ['close-device', 'close-group', 'remove-device']) rig.do(call, { device: 'd0' });
    // Queues that a device was made with are remembered; they name it no more.
    expect(savedOf(rig)).toMatchObject({ guests: [], mdevs: [], madeWith: [0, 1] });
    expect(savedOf(rig).queues.slice(0, 2)).toMatchObject([{ mdev: null }, { mdev: null }]);
  });

  test.each([
    ['ap-guest-aiv', { present: false }, { present: true }],
    ['ap-guest-crycb', { present: false }, { present: true }],
    ['ap-guest-memory-slots', { present: false }, { present: true }],
    ['ap-guest-protected', { present: true }, { present: false }],
    ['ap-guest-protected', { present: false, nibShared: false }, { present: false, nibShared: true }],
  ])('but a guest that is not as it was made is remembered: %s %j', (call, changed, back) => {
    const rig = new ApRig('6.1', { d0: [0], d1: [256], d2: [512] });
    const guests = () => savedOf(rig).guests.map(({ guest }: { guest: unknown }) => guest);
    const remove = (device: string) => {
      for (const step of ['close-device', 'close-group', 'remove-device']) rig.do(step, { device });
    };
    rig.do(call, { guest: 7, ...changed });
    remove('d0');
    expect(guests()).toEqual([1, 2, 7]);
    rig.do(call, { guest: 7, ...back });
    remove('d1');
    expect(guests()).toEqual([2]);
  });
});

describe('queues that no device was made with', () => {
  /** Queue 2 is assigned later and has interrupts. */
  function withQueue2(version: string): ApRig {
    const rig = new ApRig(version);
    rig.do('ap-assign', { device: 'd0', domain: 2 });
    return rig;
  }

  test.each(LATER)('%s: recordings show one that holds something, and whether a device has it', (version) => {
    const rig = withQueue2(version);
    expect(modelStates(rig.host.kernel)).not.toHaveProperty('otherQueues');
    rig.enable(0x15008, 2);
    const shown = { apqn: 2, savedIova: '0x15008', savedIsc: 3 };
    expect(modelStates(rig.host.kernel)).toMatchObject({ otherQueues: [{ ...shown, mdev: true }] });
  });

  test.each(LATER)('%s: one that was unlinked without a reset has no device once that is gone', (version) => {
    const rig = withQueue2(version);
    rig.do('ap-unbind-queue', { apqn: 1 });
    rig.enable(0x15008, 2);
    rig.do('ap-unassign', { device: 'd0', adapter: 0 });
    rig.do('close-device', { device: 'd0' });
    rig.do('close-group', { device: 'd0' });
    rig.reply('remove-device', { device: 'd0' });
    expect(modelStates(rig.host.kernel)).toMatchObject({
      otherQueues: [{ apqn: 2, savedIova: '0x15008', savedIsc: 3, mdev: false }],
    });
    // Nobody is there to unpin through: both are kept, with a warning for each.
    const { log } = rig.do('ap-unbind-queue', { apqn: 2 });
    expect(log).toMatchObject([
      { kind: 'WARN_ON', function: 'vfio_ap_free_aqic_resources' },
      { kind: 'WARN_ON', function: 'vfio_ap_free_aqic_resources' },
    ]);
  });

  test('5.10: one that lost its guest holds its ISC alone', () => {
    const rig = new ApRig('5.10');
    rig.do('close-device', { device: 'd0' });
    rig.do('ap-assign', { device: 'd0', domain: 2 });
    rig.do('open-device', { device: 'd0' });
    rig.enable(0x15008, 2);
    rig.do('ap-set-guest', { device: 'd0', guest: null });
    rig.disable(2);
    expect(modelStates(rig.host.kernel)).toMatchObject({
      otherQueues: [{ apqn: 2, savedIova: null, savedIsc: 3, mdev: false }],
    });
  });
});

describe('what a device’s state shows is bounded', () => {
  test.each(['5.10', ...LATER])('%s: each of its lists', (version) => {
    const rig = new ApRig(version, { d0: [0, 1, 2, 256, 257, 258, 512, 513, 514] });
    for (const apqn of [0, 1, 2]) rig.enable(0x14008 + 0x1000 * apqn, apqn);
    const { driver } = rig.host.machine.device('d0');
    const listed = (most: number) =>
      Object.entries(driver.state!(most)).flatMap(([field, list]) =>
        Array.isArray(list) ? [`${field} ${list.length}`] : [],
      );
    const guest = version === '5.10' ? 0 : 2;
    expect(listed(2)).toEqual([
      ...['adapters 2', 'domains 2', `guestAdapters ${guest}`, `guestDomains ${guest}`],
      ...['queues 2', 'pinned 2'],
    ]);
  });

  test('queues that came later as well', () => {
    const rig = new ApRig('6.1');
    for (const domain of [2, 3]) {
      rig.do('ap-assign', { device: 'd0', domain });
      rig.enable(0x12008 + 0x1000 * domain, domain);
    }
    const { driver } = rig.host.machine.device('d0');
    const { otherQueues } = driver.state!(1) as { otherQueues: { apqn: number }[] };
    expect(otherQueues.map(({ apqn }) => apqn)).toEqual([2]);
  });
});

describe('queues of a device that names none', () => {
  test('are domains 0 to 3 of the first adapter that no device has', () => {
    const rig = new ApRig('6.1', { d0: [0, 256], d2: [768] });
    rig.do('create-device', { device: 'd1', driver: { type: 'vfio-ap' } });
    expect(rig.state('d1')).toMatchObject({ adapters: [2], domains: [0, 1, 2, 3] });
  });

  test('with every adapter assigned it is refused: ENODEV', () => {
    const rig = new ApRig('6.1', {});
    const queues = Array.from({ length: 256 }, (_, apid) => apid << 8);
    rig.do('create-device', { device: 'all', driver: { type: 'vfio-ap', queues: queues.slice(0, 255) } });
    rig.do('create-device', { device: 'last', driver: { type: 'vfio-ap' } });
    expect(rig.state('last').adapters).toEqual([255]);
    const { body } = rig.reply('create-device', { device: 'none', driver: { type: 'vfio-ap' } });
    expect([body.errno, rig.host.kernel.devices.has('none')]).toEqual(['ENODEV', false]);
  });
});

test.each(LATER)(
  '%s: a scan takes queues away in ascending order, whichever adapter came first',
  (version) => {
    const rig = new ApRig(version, { d0: [0x900], d1: [0x500] });
    for (const adapter of [5, 9]) rig.do('ap-host-adapter', { adapter, configured: false });
    const gone = issued(rig.do('ap-bus-scan')).filter((line) => /zapq (1280|2304):/.test(line));
    expect([...new Set(gone.map((line) => line.split(/[ :]/)[1]))]).toEqual(['1280', '2304']);
  },
);

test('a device does not bring back an adapter that was taken out of the configuration', () => {
  const rig = new ApRig('6.1');
  rig.do('ap-host-adapter', { adapter: 1, configured: false });
  rig.do('create-device', { device: 'd1', driver: { type: 'vfio-ap', queues: [256] } });
  expect(savedOf(rig).adapters[1]).toEqual({ adapter: 1, configured: false });
  expect(savedOf(rig).scanned.adapters).toEqual([0, 2]);
});

test('6.1: an adapter that goes alone is no reason to filter what the guest has of the others', () => {
  const rig = new ApRig('6.1', { d0: [0, 1, 256, 257] });
  rig.inject('zapq', [3]);
  rig.reply('ap-reset', { device: 'd0' });
  expect(rig.guest(0).adapters).toEqual([0, 1]);
  rig.do('ap-host-adapter', { adapter: 1, configured: false });
  rig.do('ap-bus-scan');
  expect(rig.guest(0).adapters).toEqual([0]);
  // One that comes is.
  rig.do('ap-host-adapter', { adapter: 1, configured: true });
  rig.do('ap-bus-scan');
  expect(rig.guest(0).adapters).toEqual([1]);
});

describe('a snapshot of the AP side that cannot be', () => {
  // biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
  type Json = any;

  /** A host with d0 (queues 0 and 1, of which 1 has interrupts) and d1. */
  const text = () => {
    const rig = new ApRig('6.1', { d0: [0, 1], d1: [256] });
    rig.enable(0x14008, 1);
    return textOf(rig.host);
  };
  const lock = { owner: 'x', readers: [], splat: splat() };
  function splat() {
    return { kind: 'BUG_ON', function: 'f', condition: 'c', file: 'x.c', line: 1 };
  }
  const readers = { owner: null, readers: ['x'], splat: splat() };
  const free = { owner: null, readers: [], splat: splat() };
  /** Queue 0 of d0, which holds nothing and is not linked, as it must be where it is not bound. */
  const unbound = (ap: Json, more: object) => {
    ap.mdevs[1].linked = [1];
    Object.assign(ap.queues[0], { bound: false, mdev: null, ...more });
  };

  test.each<[string, string, (ap: Json) => void]>([
    ['a lock of nobody', 'vfio-ap/locks/mdevs must have', (ap) => (ap.locks.mdevs = free)],
    ['a lock of nobody', 'vfio-ap/locks/guests must have', (ap) => (ap.locks.guests = free)],
    ['a lock of nobody', 'vfio-ap/locks/perms must have', (ap) => (ap.locks.perms = free)],
    ['a lock of nobody', 'vfio-ap/guests/0/lock must have', (ap) => (ap.guests[0].lock = free)],
    ['a lock of nobody', 'vfio-ap/guests/0/hookLock must', (ap) => (ap.guests[0].hookLock = free)],
    ['a mutex with readers', 'locks/mdevs/readers must be empty', (ap) => (ap.locks.mdevs = readers)],
    ['a mutex with readers', 'guests/0/lock/readers must be', (ap) => (ap.guests[0].lock = readers)],
    ['an mdev of a queue that is not bound', 'queues/0/mdev must be', (ap) => unbound(ap, { mdev: 'd0' })],
    ['its pin', 'queues/0/mdev must be', (ap) => unbound(ap, { savedIova: '0x14008' })],
    ['its ISC', 'queues/0/mdev must be', (ap) => unbound(ap, { savedIsc: 3 })],
    ['a guest twice', 'guests has one of them twice', (ap) => ap.guests.push(ap.guests[0])],
    ['a queue twice', 'queues has one of them twice', (ap) => ap.queues.push(ap.queues[0])],
    [
      'one mdev too many',
      'mdevs has 3 devices, but there are 2',
      (ap) => {
        ap.mdevs.push({ ...ap.mdevs[0], device: 'd2' });
      },
    ],
    ['a queue of a device that is none', 'queues/1/mdev is "d7"', (ap) => (ap.queues[1].mdev = 'd7')],
    ['a hook of a device that is none', 'guests/1/hook is "d7"', (ap) => (ap.guests[1].hook = 'd7')],
  ])('%s: %s', (_, says, spoil) => {
    const document = JSON.parse(text());
    spoil(document.state.models['vfio-ap']);
    expect(() => hostFrom(JSON.stringify(document))).toThrow(says);
  });

  test('what a queue that is not bound may have', () => {
    const document = JSON.parse(text());
    unbound(document.state.models['vfio-ap'], {});
    expect(textOf(hostFrom(JSON.stringify(document)))).toBe(JSON.stringify(document));
  });

  test('a lock that nobody lets go of any more is that of a dead call', () => {
    const document = JSON.parse(text());
    const ap = document.state.models['vfio-ap'];
    Object.assign(ap.locks, { mdevs: lock, guests: lock, perms: lock });
    Object.assign(ap.guests[0], { lock, hookLock: readers });
    const host = hostFrom(JSON.stringify(document));
    expect(JSON.parse(textOf(host)).state.models['vfio-ap']).toEqual(ap);
    // A guest that has such a lock is not forgotten with its device.
    expect(make(host, pqap({ apqn: 1 }))).toMatchObject({ answer: { end: { how: 'wedged' } } });
  });

  test('more pins than the machine may hold, those of all its devices together', () => {
    const document = JSON.parse(text());
    const [first, second] = document.state.models['vfio-ap'].mdevs;
    const keys = (count: number) => Array.from({ length: count }, (_, i) => `0x${(i + 1).toString(16)}000`);
    Object.assign(first, { pinned: keys(6) });
    Object.assign(second, { pinned: keys(5) });
    const restore = (pins: number) =>
      Array.from(restoreSteps(new Machine(LINUX_6_1, { ...MACHINE_LIMITS, pins }), document, 'body'));
    expect(() => restore(10)).toThrow('mdevs come to 11 pins, but the limit is 10');
    expect(() => restore(11)).not.toThrow();
  });
});

test('the guests that are remembered are 4096: the oldest that no device has makes room', () => {
  const matrixDev = new MatrixDev();
  const MOST = 4096;
  for (let id = 0; id < MOST; id++) matrixDev.guestOf(id);
  const ids = () => matrixDev.allGuests().map(({ id }) => id);
  matrixDev.guestOf(0).hook = {} as MatrixMdev;
  expect([ids().length, ids()[0]]).toEqual([MOST, 0]);
  matrixDev.guestOf(MOST);
  expect([ids().length, ids().slice(0, 3), ids().at(-1)]).toEqual([MOST, [0, 2, 3], MOST]);
  // One of a snapshot is there as well.
  matrixDev.restoredGuest(MOST + 1);
  expect(ids().length).toBe(MOST + 1);
});
