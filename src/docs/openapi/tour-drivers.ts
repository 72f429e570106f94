import { made, prepare, rigOf, type TourStep } from './tour.ts';

const ON_AP = { device: 'ap' };
const QUEUE = { apqn: 0 };

const AP: TourStep[] = [
  ...prepare(...rigOf('ap', { type: 'vfio-ap', queues: [0, 1] })),
  made('a notification byte', {
    call: 'ap-enable-interrupt',
    ...ON_AP,
    ...QUEUE,
    nib: '0x14008',
    isc: 3,
  }),
  made('its page is given back', { call: 'ap-disable-interrupt', ...ON_AP, ...QUEUE }),
  made('busy once', { call: 'ap-inject', ...ON_AP, ...QUEUE, instruction: 'aqic-enable', responses: [7] }),
  made('all queues', { call: 'ap-reset', ...ON_AP }),
  made('a domain more', { call: 'ap-assign', ...ON_AP, domain: 2 }),
  made('a domain less', { call: 'ap-unassign', ...ON_AP, domain: 2 }),
  made('a guest', { call: 'ap-set-guest', ...ON_AP, guest: 1 }),
  made('from vfio_ap', { call: 'ap-unbind-queue', ...QUEUE }),
  made('to vfio_ap', { call: 'ap-bind-queue', ...QUEUE }),
  made('configured off', { call: 'ap-host-adapter', adapter: 0, configured: false }),
  made('it is found gone', { call: 'ap-bus-scan' }),
  made('without', { call: 'ap-guest-memory-slots', guest: 1, present: false }),
  made('without', { call: 'ap-guest-aiv', guest: 1, present: false }),
  made('without', { call: 'ap-guest-crycb', guest: 1, present: false }),
  made('a protected guest', { call: 'ap-guest-protected', guest: 1, present: true }),
];

const ON_CCW = { device: 'ccw' };
/** A format-1 CCW that reads 16 bytes to 0x15000 and is held by its suspend flag. */
const CCW = { process: 'p0', vaddr: '0x7f0000000000', data: 'AgIAEAABUAA=' };

const CHANNEL: TourStep[] = [
  ...prepare(...rigOf('ccw', { type: 'vfio-ccw' }), { call: 'write-memory', ...CCW }),
  made('one read of 16 bytes', { call: 'ccw-start', ...ON_CCW, program: '0x10000' }),
  made('the program is given up', { call: 'ccw-clear', ...ON_CCW }),
  made('the device answers', { call: 'ccw-interrupt', ...ON_CCW }),
  made('nothing came', { call: 'ccw-no-interrupt', ...ON_CCW }),
  made('nothing to halt', { call: 'ccw-halt', ...ON_CCW }),
  made('nothing put off', { call: 'ccw-run-work', ...ON_CCW }),
  made('before pages are given back', { call: 'ccw-hold', ...ON_CCW, at: 'release' }),
  made('the next start is busy', {
    call: 'ccw-inject',
    ...ON_CCW,
    operation: 'start',
    errno: 'EBUSY',
    times: 1,
  }),
  made('back to the start', { call: 'ccw-reset', ...ON_CCW }),
];

const ON_GPU = { device: 'gpu' };

const GVT: TourStep[] = [
  ...prepare(...rigOf('gpu', { type: 'gvt-g' })),
  made('frame 0x15', { call: 'gvt-map-page', ...ON_GPU, gfn: '0x15', size: '4K' }),
  made('the page of frame 0x15', { call: 'gvt-pin-page', ...ON_GPU, dmaAddr: '0x7f0100005000' }),
  made('an address that is no page of it', { call: 'gvt-pin-page', ...ON_GPU, dmaAddr: '0x1000' }),
  made('the page of frame 0x15', { call: 'gvt-unpin-page', ...ON_GPU, dmaAddr: '0x7f0100005000' }),
  made('frame 0x15', { call: 'gvt-unmap-page', ...ON_GPU, gfn: '0x15' }),
  made('an empty one', { call: 'gvt-reset', ...ON_GPU }),
  made('nothing due', { call: 'gvt-run-work', ...ON_GPU }),
  ...prepare({ call: 'create-device', device: 'gpu1', driver: { type: 'gvt-g' } }),
  made('a guest', { call: 'gvt-set-guest', device: 'gpu1', guest: 1 }),
];

/** The driver models' part of the tour. */
export const DRIVER_TOUR: Readonly<Record<string, readonly TourStep[]>> = {
  'vfio-ap': AP,
  'vfio-ccw': CHANNEL,
  'gvt-g': GVT,
};
