import fc from 'fast-check';
import type { CallObject } from '../../schemas/calls.ts';

/** Devices with every kind of driver but the synthetic one, in the containers c0 and c1, and calls on them. */

const AP = 'ap';
const CCW = 'ccw';
const GVT = 'gvt';
const MANUAL = 'man';

const pages = (max: number) => fc.nat({ max }).map((page) => page * 4096);
/** DMA addresses of p0's first pages. */
const dmaAddr = fc.nat({ max: 12 }).map((page) => `0x${((0x100000 + page) * 4096).toString(16)}`);
const container = fc.constantFrom('c0', 'c1');

const call = (name: string, args: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<CallObject> =>
  fc.record(args).map((fields): CallObject => ({ call: name, ...fields }));
const on = (device: string, name: string, args: Record<string, fc.Arbitrary<unknown>> = {}) =>
  call(name, { device: fc.constant(device), ...args });

/** A channel program of one CCW that writes `count` bytes from a page, at an address. */
function program(at: number, cda: number, count: number): CallObject[] {
  const ccw = Buffer.alloc(8);
  ccw.writeUInt8(0x01, 0);
  ccw.writeUInt16BE(count, 2);
  ccw.writeUInt32BE(cda, 4);
  const data = ccw.toString('base64');
  return [{ call: 'write-memory', process: 'p0', vaddr: at, data }];
}

/** Calls that put them there. Some may be refused. */
export const modelSetup: fc.Arbitrary<CallObject[]> = fc
  .record({
    where: fc.array(container, { minLength: 4, maxLength: 4 }),
    held: fc.boolean(),
    reads: fc.constantFrom('pin', 'dma-rw'),
    hardware: fc.boolean(),
  })
  .map(({ where, held, reads, hardware }) => {
    const drivers: [string, object][] = [
      [AP, { type: 'vfio-ap', queues: [3, 1] }],
      [CCW, { type: 'vfio-ccw', reads, workAfterCallbacks: 3 }],
      [GVT, { type: 'gvt-g' }],
      [MANUAL, { type: 'manual', openDevice: held }],
    ];
    const calls: CallObject[] = drivers.flatMap(([device, driver], i) => [
      { call: 'create-device', device, driver },
      { call: 'open-group', device },
      { call: 'set-container', device, container: where[i] },
      { call: 'open-device', device },
      { call: 'map-dma', container: where[i], iova: 0x8000, vaddr: 0x8000, size: 0x4000, flags: 3 },
    ]);
    calls.push(...program(0x8000, 0x9010, 100));
    if (hardware) {
      calls.push({ call: 'ap-inject', device: AP, apqn: 3, instruction: 'tapq', responses: [5, 0, 3] });
      calls.push({ call: 'ccw-inject', device: CCW, operation: 'disable', errno: 'EBUSY', times: 2 });
      calls.push({ call: 'ccw-inject', device: CCW, operation: 'quiesce', errno: 'EIO' });
    }
    return calls;
  });

/** One call on one of them, on the host's faults, or a driver that holds its callbacks. */
export const modelCall: fc.Arbitrary<CallObject> = fc.oneof(
  on(AP, 'ap-enable-interrupt', {
    apqn: fc.constantFrom(1, 3, 4),
    nib: fc.oneof(pages(12), fc.constantFrom(0x8010, 0x9004)),
    isc: fc.constantFrom(0, 3),
  }),
  on(AP, 'ap-disable-interrupt', { apqn: fc.constantFrom(1, 3) }),
  on(AP, 'ap-reset'),
  on(AP, 'ap-inject', {
    apqn: fc.constantFrom(1, 3),
    instruction: fc.constantFrom('tapq', 'aqic-enable', 'aqic-disable', 'zapq', 'gisc-register'),
    responses: fc.array(fc.constantFrom(0, 2, 3, 5, 7, { response: 0, irqEnabled: true }), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  on(AP, 'ap-assign', { domain: fc.constantFrom(0, 1, 2) }),
  on(AP, 'ap-assign', { adapter: fc.constantFrom(0, 1) }),
  on(AP, 'ap-unassign', { domain: fc.constantFrom(1, 2) }),
  on(AP, 'ap-unassign', { adapter: fc.constant(0) }),
  on(AP, 'ap-set-guest', { guest: fc.constantFrom(null, 7, AP) }),
  call('ap-unbind-queue', { apqn: fc.constantFrom(1, 3) }),
  call('ap-bind-queue', { apqn: fc.constantFrom(1, 3) }),
  call('ap-host-adapter', { adapter: fc.constantFrom(0, 1), configured: fc.boolean() }),
  call('ap-bus-scan', {}),
  call('ap-guest-crycb', { guest: fc.constantFrom(7, AP), present: fc.boolean() }),
  call('ap-guest-protected', { guest: fc.constant(AP), present: fc.boolean(), nibShared: fc.boolean() }),
  on(CCW, 'ccw-start', { program: fc.constant(0x8000) }),
  on(CCW, 'ccw-interrupt'),
  on(CCW, 'ccw-halt'),
  on(CCW, 'ccw-reset'),
  on(CCW, 'ccw-run-work'),
  on(CCW, 'ccw-inject', {
    operation: fc.constantFrom('disable', 'quiesce', 'enable', 'start', 'halt', 'clear'),
    errno: fc.constantFrom('EIO', 'EBUSY'),
  }),
  on(GVT, 'gvt-map-page', { gfn: fc.nat({ max: 12 }), size: fc.constantFrom('4K', '4K', '2M') }),
  on(GVT, 'gvt-unmap-page', { gfn: fc.nat({ max: 12 }) }),
  on(GVT, 'gvt-unmap-page', { dmaAddr }),
  on(GVT, 'gvt-pin-page', { dmaAddr }),
  on(GVT, 'gvt-unpin-page', { dmaAddr }),
  on(GVT, 'gvt-reset'),
  on(GVT, 'gvt-set-guest', { guest: fc.constantFrom(null, GVT, 3) }),
  on(MANUAL, 'pin-pages', { iova: pages(12), npage: fc.constant(1), prot: fc.constant(3) }),
  on(MANUAL, 'complete-callback'),
  call('close-device', { device: fc.constantFrom(AP, CCW, GVT, MANUAL) }),
  call('open-device', { device: fc.constantFrom(AP, CCW, GVT, MANUAL) }),
  call('unmap-dma', { container, iova: pages(12), size: fc.constantFrom(0x1000, 0x4000, 0x8000) }),
  call('unmap-dma', { container, iova: fc.constant(0x8000), size: fc.constant(0x4000) }),
  call('set-parameters', { warnOnPinnedUnmap: fc.boolean(), panicOnOops: fc.constant(false) }),
  call('add-fault', {
    on: fc.constantFrom('map-dma', 'pin-pages', 'unmap-dma'),
    every: fc.constantFrom(2, 5),
    errno: fc.constantFrom('EIO', 'ENOMEM'),
  }),
  call('add-fault', {
    fault: fc.constantFrom('f0', 'mine'),
    on: fc.constant('dma-unmap'),
    nth: fc.constantFrom(1, 3),
    dropCallback: fc.constant(true),
  }),
  call('remove-fault', { fault: fc.constantFrom('f0', 'f1', 'mine') }),
  call('set-driver', {
    device: fc.constantFrom('d0', 'd1', 'd2'),
    driver: fc.constant({ type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true }),
  }),
);
