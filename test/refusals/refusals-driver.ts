import type { CallObject } from '../../schemas/calls.ts';
import { CONTAINER, MAPPED, type Refusal, refusal, V2 } from './refusals.ts';

const D0 = { device: 'd0' };
const QUEUE = { apqn: 256 };

/** Arguments that each call on a driver model, or on a driver outside, would take. */
const CALLS: Record<string, Record<string, unknown>> = {
  'complete-callback': {},
  'ap-enable-interrupt': { ...QUEUE, nib: 0x10000, isc: 0 },
  'ap-disable-interrupt': QUEUE,
  'ap-reset': {},
  'ap-assign': { adapter: 1 },
  'ap-unassign': { domain: 0 },
  'ap-inject': { ...QUEUE, instruction: 'tapq', responses: [1] },
  'ccw-start': { program: 0x10000 },
  'ccw-interrupt': {},
  'ccw-no-interrupt': {},
  'ccw-halt': {},
  'ccw-clear': {},
  'ccw-reset': {},
  'ccw-run-work': {},
  'ccw-hold': { at: 'release' },
  'ccw-inject': { operation: 'start' },
  'gvt-map-page': { gfn: 0x10, size: '4K' },
  'gvt-unmap-page': { gfn: 0x10 },
  'gvt-pin-page': { dmaAddr: 0x1000 },
  'gvt-unpin-page': { dmaAddr: 0x1000 },
  'gvt-reset': {},
  'gvt-set-guest': { guest: 1 },
  'gvt-run-work': {},
};

/** A closed device d0 with such a driver, its group in a container. */
function closed(type: string, more: object = {}): CallObject[] {
  return [
    ...CONTAINER,
    { call: 'create-device', ...D0, driver: { type, ...more } },
    { call: 'open-group', ...D0 },
    { call: 'set-container', ...D0, container: 'c0' },
    { call: 'set-iommu', container: 'c0', type: 3 },
  ];
}

const AP_TOO = { device: 'd1', driver: { type: 'vfio-ap', queues: [0] } };
const AP = closed('vfio-ap', { variant: 'callback' });
const CCW = closed('vfio-ccw', { variant: 'range-deferred' });
const GVT = closed('gvt-g', { variant: 'callback' });
const MANUAL = [...closed('manual'), { call: 'open-device', ...D0 }];

/** Calls on the host that vfio-ap brings along. */
const ON_HOST: Record<string, Record<string, unknown>> = {
  'ap-unbind-queue': { apqn: 1 },
  'ap-bind-queue': { apqn: 1 },
  'ap-host-adapter': { adapter: 1, configured: false },
  'ap-bus-scan': {},
  'ap-guest-memory-slots': { guest: 0, present: false },
  'ap-guest-aiv': { guest: 0, present: false },
  'ap-guest-crycb': { guest: 0, present: false },
  'ap-guest-protected': { guest: 0, present: true },
};
const HOST_CALLS = Object.entries(ON_HOST).map(([call, args]) =>
  refusal(call, 'an unknown field', [], { ...args, force: true }, 400),
);

const EACH = Object.entries(CALLS).flatMap(([call, args]) => [
  refusal(call, 'no such device', [], { ...D0, ...args }, 404),
  refusal(call, 'a driver of another type', MAPPED, { ...D0, ...args }, 400),
  refusal(call, 'an unknown field', V2, { ...D0, ...args, force: true }, 400),
]);
const file = (setup: CallObject[], ...calls: string[]) =>
  calls.map((call) => refusal(call, 'the device is not open', setup, { ...D0, ...CALLS[call] }, 'EBADF'));

/** Refusals of the calls that driver models and drivers outside have, before the driver itself sees them. */
export const DRIVER_REFUSALS: Refusal[] = [
  ...EACH,
  ...HOST_CALLS,
  refusal('ap-set-guest', 'no such device', [], { ...D0, guest: 0 }, 404),
  refusal('ap-set-guest', 'no guest', AP, D0, 400),
  refusal('ap-assign', 'neither an adapter nor a domain', AP, D0, 400),
  refusal('ap-unassign', 'an adapter and a domain', AP, { ...D0, adapter: 0, domain: 0 }, 400),
  refusal('ap-assign', 'a domain above the highest', AP, { ...D0, domain: 9 }, 'ENODEV'),
  refusal('ap-unassign', 'an adapter above the highest', AP, { ...D0, adapter: 9 }, 'ENODEV'),
  refusal('ap-unbind-queue', 'no such queue', AP, { apqn: 0x7777 }, 'ENODEV'),
  refusal('ap-bind-queue', 'no such queue', AP, { apqn: 0x7777 }, 'ENODEV'),
  refusal('ap-bind-queue', 'a queue that is bound', AP, { apqn: 1 }, 'EBUSY'),
  refusal('ap-host-adapter', 'no such adapter', AP, { adapter: 77, configured: true }, 'ENODEV'),
  refusal('create-device', 'a queue of another device', AP, AP_TOO, 'EADDRINUSE', ['PR_WARN']),
  ...file(AP, 'ap-reset'),
  ...file(CCW, 'ccw-start', 'ccw-halt', 'ccw-clear', 'ccw-reset'),
  ...file(GVT, 'gvt-map-page', 'gvt-unmap-page', 'gvt-reset'),
  refusal('ap-reset', 'a queue that is not assigned', AP, { ...D0, apqn: 9 }, 'ENODEV'),
  refusal(
    'ap-inject',
    'a queue that is not assigned',
    AP,
    { ...D0, ...CALLS['ap-inject'], apqn: 9 },
    'ENODEV',
  ),
  refusal('ccw-start', 'an address of 33 bits', CCW, { ...D0, program: 2 ** 32 }, 400),
  refusal('ccw-start', 'a format of CCWs there is not', CCW, { ...D0, program: 0, orb: { fmt: 2 } }, 400),
  refusal('ccw-start', 'an ORB with an unknown field', CCW, { ...D0, program: 0, orb: { key: 1 } }, 400),
  refusal('ccw-start', 'an unknown function', CCW, { ...D0, program: 0, function: 'resume' }, 400),
  refusal('gvt-map-page', 'not a frame number', GVT, { ...D0, gfn: '0xffffffffffffffff', size: '4K' }, 400),
  refusal('gvt-unmap-page', 'no page', GVT, D0, 400),
  refusal('gvt-unmap-page', 'a page twice', GVT, { ...D0, gfn: 1, dmaAddr: 0x1000 }, 400),
  refusal('gvt-unmap-page', 'no page frame', GVT, { ...D0, dmaAddr: 0x1001 }, 400),
  refusal('gvt-pin-page', 'no page frame', GVT, { ...D0, dmaAddr: 0x1001 }, 400),
  refusal('gvt-pin-page', 'not attached', GVT, { ...D0, dmaAddr: 0x1000 }, 'ENODEV'),
  refusal('gvt-unpin-page', 'no page frame', GVT, { ...D0, dmaAddr: 0x1001 }, 400),
  refusal('complete-callback', 'none is under way', MANUAL, D0, 'EAGAIN'),
  refusal('complete-callback', 'an errno that is none', MANUAL, { ...D0, errno: 'ENOPE' }, 400),
];
