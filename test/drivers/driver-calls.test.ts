import { beforeEach, describe, expect, test } from 'vitest';
import { driverCalls } from '../../schemas/calls/driver.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { ok, useRig } from '../harness/http-rig.ts';
import { CC, ccw, poke, READ, SUSPEND } from './channel-programs.ts';

const AP = { type: 'vfio-ap', variant: 'callback', queues: [1] };
const CCW = { type: 'vfio-ccw', variant: 'range' };
const GVT = { type: 'gvt-g', variant: 'callback' };

/** Valid arguments of every driver call. */
const ARGS: Record<keyof typeof driverCalls, object> = {
  'ap-enable-interrupt': { apqn: 1, nib: 0x1000, isc: 0 },
  'ap-disable-interrupt': { apqn: 1 },
  'ap-reset': {},
  'ap-assign': { domain: 2 },
  'ap-unassign': { domain: 1 },
  'ap-inject': { apqn: 1, instruction: 'tapq', responses: [0] },
  'ccw-start': { program: 0 },
  'ccw-interrupt': {},
  'ccw-no-interrupt': {},
  'ccw-halt': {},
  'ccw-clear': {},
  'ccw-reset': {},
  'ccw-run-work': {},
  'ccw-hold': { at: 'release' },
  'ccw-inject': { operation: 'quiesce' },
  'gvt-map-page': { gfn: 1, size: '4K' },
  'gvt-unmap-page': { gfn: 1 },
  'gvt-pin-page': { dmaAddr: 0x1000 },
  'gvt-unpin-page': { dmaAddr: 0x1000 },
  'gvt-reset': {},
  'gvt-set-guest': { guest: 1 },
  'gvt-run-work': {},
  'ap-unbind-queue': { apqn: 1 },
  'ap-bind-queue': { apqn: 1 },
  'ap-host-adapter': { adapter: 1, configured: false },
  'ap-bus-scan': {},
  'ap-guest-memory-slots': { guest: 0, present: false },
  'ap-guest-aiv': { guest: 'ap', present: false },
  'ap-guest-crycb': { guest: 0, present: false },
  'ap-guest-protected': { guest: 0, present: true },
};
const CALLS = Object.keys(ARGS) as (keyof typeof ARGS)[];
/** Those on the host, which no device refuses. */
const ON_HOST = CALLS.filter((call) => driverCalls[call].on === 'host');
const ON_DEVICE = CALLS.filter((call) => driverCalls[call].on === 'device');

test('every driver call is tried here', () => {
  expect([...CALLS].sort()).toEqual(Object.keys(driverCalls).sort());
});

test.each(ON_DEVICE)('%s on a device with another driver is refused, and on no device', (call) => {
  const rig = new CoreRig('6.1', { s: { type: 'mtty' }, d: { type: 'synthetic', onDmaUnmap: 'ignore' } });
  const { seq } = rig.host.journal;
  const owner = { ap: 'vfio-ap', ccw: 'vfio-ccw', gvt: 'gvt-g' }[call.split('-')[0]!];
  for (const [device, type] of [
    ['s', 'mtty'],
    ['d', 'synthetic'],
  ]) {
    expect(() => rig.start(call, { device, ...ARGS[call] })).toThrow(
      expect.objectContaining({
        kind: 'invalid',
        message: `${call} is for a device with a ${owner} driver; "${device}" has ${type}`,
      }),
    );
  }
  expect(() => rig.start(call, { device: 'nobody', ...ARGS[call] })).toThrow(
    expect.objectContaining({ kind: 'not-found' }),
  );
  expect(rig.host.journal.seq).toBe(seq);
});

test.each([
  ['ap-enable-interrupt', { isc: 8 }, 'isc'],
  ['ap-enable-interrupt', { apqn: 65536 }, 'apqn'],
  ['ap-enable-interrupt', { nib: -1 }, 'nib'],
  ['ap-inject', { instruction: 'pqap' }, '"gisc-register"'],
  ['ap-inject', { responses: [] }, '1 to 256'],
  ['ap-inject', { responses: [256] }, 'response code'],
  ['ap-inject', { responses: [{ response: 0, full: true }] }, 'response'],
  ['ccw-start', { program: '8' }, '0x'],
  ['ccw-inject', { operation: 'resume' }, '"clear"'],
  ['ccw-inject', { errno: 'ENOMEM' }, '"EACCES"'],
  ['ccw-inject', { times: 0 }, '1 to 256'],
  ['gvt-map-page', { size: '1G' }, '"2M"'],
  ['gvt-unmap-page', { gfn: 1, size: '4K' }, 'size'],
] as const)('%s with %j is no request', (call, wrong, words) => {
  const rig = new CoreRig('6.1', {});
  expect(() => rig.start(call, { device: 'x', ...ARGS[call], ...wrong })).toThrow(
    expect.objectContaining({ kind: 'invalid', message: expect.stringContaining(words) }),
  );
});

describe('what a device shows', () => {
  test('vfio-ap: its queues with what they have saved, and what is injected', () => {
    const rig = new CoreRig('6.1', { ap: AP });
    rig.map(0x10000, 0x1000);
    rig.do('ap-enable-interrupt', { device: 'ap', apqn: 1, nib: 0x10008, isc: 3 });
    rig.do('ap-inject', { device: 'ap', apqn: 1, instruction: 'zapq', responses: [{ response: 2 }] });
    expect(rig.host.machine.device('ap').driver.state!(1)).toEqual({
      guest: true,
      kvm: 'ap',
      adapters: [0],
      domains: [1],
      guestAdapters: [0],
      guestDomains: [1],
      pinned: ['0x10008'],
      queues: [
        {
          apqn: 1,
          savedIova: '0x10008',
          savedIsc: 3,
          injected: { zapq: [{ response: 2, irqEnabled: false, queueEmpty: true }] },
        },
      ],
    });
  });

  test('vfio-ccw: its state and pins; as many as are asked for', () => {
    const rig = new CoreRig('6.1', { ccw: CCW });
    rig.map(0x10000, 0x10000);
    poke(rig, 0x10000, ccw(READ, CC | SUSPEND, 8, 0x12000), ccw(READ, 0, 8, 0x14000));
    rig.do('ccw-start', { device: 'ccw', program: 0x10000 });
    rig.do('ccw-inject', { device: 'ccw', operation: 'enable' });
    const scsw = { fctl: 4, actl: 1, stctl: 0, deviceStatus: 0, subchannelStatus: 0, count: 0, cc: 0 };
    expect(rig.host.machine.device('ccw').driver.state!(1)).toEqual({
      fsm: 'CP_PENDING',
      pinned: [{ iova: '0x12000', npage: 1 }],
      pinnedPages: 2,
      active: true,
      workQueued: false,
      callbacksSinceWork: 0,
      injected: { enable: ['EIO'] },
      subchannel: { number: 0, enabled: true, lpm: 0x80, unregistering: 'no', scsw },
      irb: null,
      region: null,
      queue: { io: null, notoper: null, unregister: null },
    });
  });
});

describe('over HTTP', () => {
  const rig = useRig();
  beforeEach(() => rig.do('open-container'));

  const attached = async (device: string, driver: object) => {
    await ok(rig.post('devices', { device, driver }));
    await ok(rig.post('containers/c0/attach', { device }));
  };

  test('a driver call is a sub-path of its device, in the journal, and shows in the device', async () => {
    await attached('gpu', GVT);
    await ok(rig.post('containers/c0/map-dma', { iova: 0, vaddr: 0, size: 0x1000, flags: 3 }));
    const { ref } = await ok(rig.post('devices/gpu/gvt-map-page', { gfn: 0, size: '4K' }));
    expect(ref).toBe(1);
    const shown = await ok(rig.get('devices/gpu'));
    expect(shown).toMatchObject({ driver: GVT, state: { entries: 1, cache: [{ gfn: '0x0', size: '4K' }] } });
    const { events } = await ok(rig.get('events?kind=call'));
    expect(events.at(-1)).toMatchObject({
      device: 'gpu',
      call: { call: 'gvt-map-page', device: 'gpu', gfn: 0, size: '4K' },
    });
  });

  test('each has a route that checks its body, and a place in the OpenAPI document', async () => {
    const { paths } = (await rig.request('GET', '/openapi.json')).body;
    for (const call of ON_HOST) {
      expect(paths, call).toHaveProperty([`/v1/${call}`, 'post']);
      const { status, body } = await rig.post(call, { ...ARGS[call], unknown: 1 });
      expect([status, body.detail], call).toEqual([400, 'body/unknown is not a known field']);
    }
    for (const call of ON_DEVICE) {
      expect(paths, call).toHaveProperty([`/v1/devices/{device}/${call}`, 'post']);
      const { status, body } = await rig.post(`devices/gpu/${call}`, { ...ARGS[call], unknown: 1 });
      expect([status, body.detail], call).toEqual([400, 'body/unknown is not a known field']);
    }
  });

  test.each([
    [{ type: 'vfio-ap', variant: 'callbak' }, 'body/driver/variant'],
    [{ type: 'gvt-g', emptyUnpin: 1 }, 'body/driver/emptyUnpin'],
    [{ type: 'vfio-ccw', variant: 'range', reads: 'mmap' }, 'body/driver/reads'],
    [{ type: 'vfio-ap', variant: 'range', queues: [1, 1] }, 'body/driver/queues'],
    [{ type: 'mtty', variant: 'range' }, 'body/driver/variant'],
    [{ type: 'vfio-gpu' }, 'gvt-g'],
    [{ ...GVT, bugOnInvalidation: 1 }, 'body/driver/bugOnInvalidation'],
  ])('the driver %j is refused with words about what is wrong in it', async (driver, words) => {
    const { status, body } = await rig.post('devices', { driver });
    expect(status).toBe(400);
    expect(body.detail).toContain(words);
  });

  test('the parameters of the host say whether rounds are watched', async () => {
    await ok(rig.post('set-parameters', { warnOnPinnedUnmap: true }));
    expect((await ok(rig.request('GET', '/v1'))).parameters).toMatchObject({ warnOnPinnedUnmap: true });
  });

  test('create-device and the list show a driver', async () => {
    expect(await ok(rig.post('devices', { device: 'ccw', driver: CCW }))).toMatchObject({
      driver: CCW,
      state: { fsm: 'STANDBY', pinned: [] },
    });
    const { devices } = await ok(rig.get('devices'));
    expect(devices).toMatchObject([{ device: 'ccw', driver: CCW }]);
  });
});

test('a driver that waits for its own lock in a callback is part of a lock cycle as any other', () => {
  const rig = new CoreRig('6.1', {
    gpu: GVT,
    d: { type: 'synthetic', onDmaUnmap: 'ignore', holdCallbacks: true },
  });
  for (const iova of [0x10000, 0x20000, 0x30000]) rig.map(iova, 0x1000);
  for (const iova of [0x10000, 0x20000]) rig.do('pin-pages', { device: 'd', iova, npage: 1, prot: 3 });
  // d holds the first round; the second unmap waits for it with iommu->lock; the guest's page waits for that
  // with the vGPU's cache_lock, which the vGPU's own callback then needs.
  const calls = [
    rig.start('unmap-dma', { iova: 0x10000, size: 0x1000 }),
    rig.start('unmap-dma', { iova: 0x20000, size: 0x1000 }),
    rig.start('gvt-map-page', { device: 'gpu', gfn: 0x30, size: '4K' }),
  ];
  expect(calls.map(({ answer }) => answer)).toEqual([null, null, null]);
  rig.do('resume-callbacks', { device: 'd' });
  expect(calls.map(({ answer }) => answer?.end.how)).toEqual(['deadlocked', 'deadlocked', 'deadlocked']);
  expect(JSON.stringify(calls[0]!.answer!.end)).toContain('cache_lock');
});
