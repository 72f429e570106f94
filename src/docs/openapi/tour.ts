import { type CallName, type CallObject, callEntry, restOf } from '../../../schemas/calls.ts';
import { NDJSON_TYPE } from '../../../schemas/values.ts';

/** A request of the tour: an example of its operation unless it only prepares others. */
export interface TourStep {
  /** What it shows; null: it only prepares what follows. */
  readonly what: string | null;
  readonly method: string;
  readonly url: string;
  readonly body?: unknown;
  /** In place of a body: what a GET of this URL answers. */
  readonly bodyOf?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A call as the request it is made with. */
export function made(what: string | null, call: CallObject, headers?: Record<string, string>): TourStep {
  const name = call.call as CallName;
  const { on } = callEntry(name);
  const { method, url } = restOf(name);
  const { call: _call, [on]: id, ...args } = call;
  const isOnHost = on === 'host';
  return {
    what,
    method,
    url: url.replace(/:\w+/, String(id)),
    ...(method === 'POST' ? { body: isOnHost && id !== undefined ? { [on]: id, ...args } : args } : {}),
    ...(headers ? { headers } : {}),
  };
}

/** Calls that only prepare what follows. */
export const prepare = (...calls: CallObject[]): TourStep[] => calls.map((call) => made(null, call));

const ask = (what: string, url: string, headers?: Record<string, string>): TourStep => ({
  what,
  method: 'GET',
  url,
  ...(headers ? { headers } : {}),
});
const post = (
  what: string | null,
  url: string,
  body: unknown,
  headers?: Record<string, string>,
): TourStep => ({
  what,
  method: 'POST',
  url,
  body,
  ...(headers ? { headers } : {}),
});

const RW = ['read', 'write'];
const MAPPING = { iova: '0x10000', vaddr: '0x7f0000000000', size: '0x10000' };
const RANGE = { iova: '0x10000', size: '0x10000' };
const ASYNC = { prefer: 'respond-async' };

/** A container c0 with an mdev of a driver, open, and 16 pages mapped. */
export function rigOf(device: string, driver: object, size = '0x10000'): CallObject[] {
  return [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device, driver },
    { call: 'attach', container: 'c0', device },
    { call: 'map-dma', container: 'c0', ...MAPPING, size, flags: RW },
  ];
}

const TRACE = {
  id: 'pins-nothing',
  steps: [
    ...rigOf('d0', { type: 'synthetic', onDmaUnmap: 'no-callback' }),
    { call: 'pin-pages', device: 'd0', iova: '0x15000', npage: 1, prot: RW },
    { call: 'unmap-dma', container: 'c0', ...RANGE, expect: { errno: null, size: '0x10000' } },
  ],
};

const LORE: TourStep[] = [
  post('on another kernel', '/v1/reset', { kernel: '6.1' }),
  made('an id of your own', { call: 'open-container', container: 'c0' }),
  made('a driver that looks only at the first page', {
    call: 'create-device',
    device: 'ccw',
    driver: { type: 'synthetic', onDmaUnmap: 'unpin-first-page' },
  }),
  made('the usual way', { call: 'attach', container: 'c0', device: 'ccw' }),
  made('sixteen pages', { call: 'map-dma', container: 'c0', ...MAPPING, flags: RW }),
  made('where there is a mapping already', { call: 'map-dma', container: 'c0', ...MAPPING, flags: RW }),
  made('one page', { call: 'pin-pages', device: 'ccw', iova: '0x15000', npage: 1, prot: RW }),
  made('where nothing is mapped', { call: 'pin-pages', device: 'ccw', iova: '0x90000', npage: 1, prot: RW }),
  ask('with a pin', '/v1/containers/c0'),
  ask('a pinned page', '/v1/containers/c0/pins'),
  ask('one mapping', '/v1/containers/c0/mappings'),
  made('a driver that never unpins', { call: 'unmap-dma', container: 'c0', ...RANGE }),
  made('a lock that a dead task holds', { call: 'iommu-info', container: 'c0' }),
  ask('what happened, from the ninth entry on', '/v1/events?since=8&limit=6'),
  ask('splats as lines', '/v1/events?kind=splat&limit=1'),
  ask('the console', '/v1/dmesg'),
  ask('all containers', '/v1/containers'),
  ask('all devices', '/v1/devices?limit=1'),
  ask('one device', '/v1/devices/ccw'),
  ask('a rig with a splat', '/v1'),
  ask('nothing there', '/v1/containers/c9'),
];

const ORDINARY: TourStep[] = [
  ...prepare({ call: 'open-container', container: 'c0' }),
  ...prepare({
    call: 'create-device',
    device: 'd0',
    driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' },
  }),
  made('opens /dev/vfio/GROUP', { call: 'open-group', device: 'd0' }),
  made('before it has a container', { call: 'group-status', device: 'd0' }),
  made('into a container', { call: 'set-container', device: 'd0', container: 'c0' }),
  made('type1 version 2', { call: 'set-iommu', container: 'c0', type: 'type1v2' }),
  made('set already', { call: 'set-iommu', container: 'c0', type: 'type1v2' }),
  made('VFIO_DMA_CC_IOMMU', { call: 'check-extension', container: 'c0', extension: 4 }),
  made('opens the device', { call: 'open-device', device: 'd0' }),
  made('an mdev alone', { call: 'iommu-info', container: 'c0' }),
  made('two pages', { call: 'map-dma', container: 'c0', ...MAPPING, size: '0x2000', flags: RW }),
  made('begins tracking', { call: 'dirty-start', container: 'c0' }),
  made('a driver writes', { call: 'dma-rw', device: 'd0', iova: '0x11000', write: true, data: 'aGVsbG8=' }),
  made('a driver reads', { call: 'dma-rw', device: 'd0', iova: '0x11000', write: false, length: 5 }),
  made('the page that was written', {
    call: 'dirty-get',
    container: 'c0',
    iova: '0x10000',
    size: '0x2000',
    pageSize: '0x1000',
  }),
  made('ends tracking', { call: 'dirty-stop', container: 'c0' }),
  made('START as its number', { call: 'dirty-flags', container: 'c0', flags: 1 }),
  made('a flag that there is not', { call: 'dirty-flags', container: 'c0', flags: 8 }),
  made('gives a page back that it holds', { call: 'unpin-pages', device: 'd0', iova: '0x10000', npage: 1 }),
  ...prepare({ call: 'pin-pages', device: 'd0', iova: '0x11000', npage: 1, prot: RW }),
  made('the driver gives its page back in time', {
    call: 'unmap-dma',
    container: 'c0',
    iova: '0x10000',
    size: '0x2000',
  }),
  made('from now on it ignores callbacks', {
    call: 'set-driver',
    device: 'd0',
    driver: { type: 'synthetic', onDmaUnmap: 'ignore' },
  }),
  made('the last close', { call: 'close-device', device: 'd0' }),
  made('out of its container', { call: 'unset-container', device: 'd0' }),
  made('closes /dev/vfio/GROUP', { call: 'close-group', device: 'd0' }),
  ...prepare({ call: 'attach', container: 'c0', device: 'd0' }),
  made('the whole way back', { call: 'detach', container: 'c0', device: 'd0' }),
  made('a device that nobody has open', { call: 'remove-device', device: 'd0' }),
  made('a container without groups', { call: 'close-container', container: 'c0' }),
  ask('with secrets it would need a token', '/v1/snapshot'),
  ask('what was called, as a shell script', '/v1/trace?format=curl'),
];

const WAITING: TourStep[] = [
  ...prepare(...rigOf('d0', { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true }), {
    call: 'pin-pages',
    device: 'd0',
    iova: '0x15000',
    npage: 1,
    prot: RW,
  }),
  made(
    'a callback is held, and the client does not wait',
    { call: 'unmap-dma', container: 'c0', ...RANGE },
    ASYNC,
  ),
  ask('under way', '/v1/operations/op0'),
  made('the held callback goes on', { call: 'resume-callbacks', device: 'd0' }),
  ask('done', '/v1/operations/op0?wait=1&timeoutMs=1000'),
  ...prepare(
    { call: 'create-device', device: 'm0', driver: { type: 'manual' } },
    { call: 'attach', container: 'c0', device: 'm0' },
    { call: 'map-dma', container: 'c0', ...MAPPING, flags: RW },
    { call: 'pin-pages', device: 'm0', iova: '0x15000', npage: 1, prot: RW },
  ),
  made(null, { call: 'unmap-dma', container: 'c0', ...RANGE }, ASYNC),
  ...prepare({ call: 'unpin-pages', device: 'm0', iova: '0x15000', npage: 1 }),
  made('a manual driver returns', { call: 'complete-callback', device: 'm0' }),
];

const REGION = { process: 'vmm', start: '0x7f0000000000', size: '0x1000' };

const PROCESSES: TourStep[] = [
  made('an id of your own', { call: 'create-process', process: 'vmm' }),
  made('4 MiB', {
    call: 'add-memory-region',
    process: 'vmm',
    start: '0x7f0000000000',
    size: '0x400000',
    prot: RW,
  }),
  made('64 KiB', { call: 'set-memlock', process: 'vmm', bytes: '0x10000' }),
  made('a page of 0xff', {
    call: 'fill-memory',
    process: 'vmm',
    vaddr: '0x7f0000000000',
    length: 4096,
    byte: 255,
  }),
  made('hello', { call: 'write-memory', process: 'vmm', vaddr: '0x7f0000000000', data: 'aGVsbG8=' }),
  made('five bytes', { call: 'read-memory', process: 'vmm', vaddr: '0x7f0000000000', length: 5 }),
  made('outside its regions', { call: 'read-memory', process: 'vmm', vaddr: '0x1000', length: 5 }),
  ask('with a region', '/v1/processes/vmm'),
  ask('all processes', '/v1/processes'),
  made('one page is only read from now on', { call: 'protect-memory-region', ...REGION, prot: ['read'] }),
  made('one page goes', { call: 'remove-memory-region', ...REGION }),
  made('it may not lock beyond its limit', {
    call: 'set-capabilities',
    process: 'vmm',
    drop: ['CAP_IPC_LOCK'],
  }),
  made('an id for the child', { call: 'fork-process', process: 'vmm', child: 'worker' }),
  made('another program', { call: 'exec-process', process: 'worker' }),
  made('by SIGKILL', { call: 'exit-process', process: 'worker', signal: 9 }),
  ...prepare(
    { call: 'open-container', container: 'c0' },
    {
      call: 'create-device',
      device: 'nic',
      kind: 'vfio-pci',
    },
    { call: 'attach', container: 'c0', device: 'nic' },
  ),
  made('an eventfd for it', { call: 'set-request-channel', device: 'nic' }),
  made('nothing was signalled', { call: 'read-requests', device: 'nic' }),
  made('its BARs do not answer', { call: 'set-memory-enable', device: 'nic', on: false }),
  made('a kernel that met nothing', { call: 'kernel-taint' }),
];

const HOST: TourStep[] = [
  made('few mappings', { call: 'set-parameters', dmaEntryLimit: 16 }),
  made('ten milliseconds', { call: 'sleep', milliseconds: 10 }),
  made('the second map fails', { call: 'add-fault', fault: 'f0', on: 'map-dma', nth: 2, errno: 'ENOMEM' }),
  ask('one rule', '/v1/faults'),
  made('no rule strikes for now', { call: 'pause-faults' }),
  made('they strike again', { call: 'resume-faults' }),
  made('it is gone', { call: 'remove-fault', fault: 'f0' }),
  made('behind an IOMMU', { call: 'create-device', device: 'pci0', kind: 'vfio-pci' }),
  made('its group is not viable now', { call: 'bind-device', device: 'pci0', to: 'other' }),
  ask('without driver models', '/v1/models'),
];

const TRACES: TourStep[] = [
  post('as expected', '/v1/replay', TRACE),
  post('5.10 and 6.1', '/v1/compare', { scenario: TRACE, kernels: ['5.10', '6.1'] }),
  post(
    'two calls',
    '/v1/batch',
    '{"call":"open-container","container":"c0"}\n{"call":"close-container","container":"c0"}\n',
    { 'content-type': NDJSON_TYPE },
  ),
  ask('what was called', '/v1/trace'),
];

const PLAN = {
  kernel: '6.1',
  containers: [{ container: 'c0', mappings: [{ ...MAPPING, flags: RW }] }],
  devices: [
    {
      device: 'd0',
      driver: { type: 'synthetic', onDmaUnmap: 'ignore' },
      container: 'c0',
      pins: [{ iova: '0x15000', npage: 1, prot: RW }],
    },
  ],
};

const VERDICT: TourStep[] = [
  post('a container, a device, a pin', '/v1/setup', PLAN),
  post('a device that is named but not made', '/v1/setup', {
    devices: [{ device: 'd0', driver: { type: 'manual' }, container: 'c9' }],
  }),
  ask('a pin is left', '/v1/verdict'),
  post(null, '/v1/reset', {}),
  ask('a fresh rig', '/v1/verdict'),
  ask('in words', '/v1/verdict', { accept: 'text/plain' }),
  ask('for CI', '/v1/verdict', { accept: 'application/xml' }),
];

const SERVICE: TourStep[] = [
  ask('alive', '/health'),
  ask('ready', '/ready'),
  ask('this version', '/version'),
  ask('one call of many', '/v1/calls'),
  ask('every kernel', '/v1/kernels'),
];

/** What is done to have an example of every operation: each list in a rig of its own, in order. */
export const CORE_TOUR: Readonly<Record<string, readonly TourStep[]>> = {
  default: SERVICE,
  lore: LORE,
  ordinary: ORDINARY,
  waiting: WAITING,
  processes: PROCESSES,
  host: HOST,
  traces: TRACES,
  verdict: VERDICT,
};
