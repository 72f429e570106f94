import fc from 'fast-check';
import type { CallObject } from '../../schemas/calls.ts';

/**
 * Any call with any arguments, right and wrong: from small sets of values, so that they meet. Unlike the steps
 * of model-calls.ts these know nothing of the host's state.
 */

const hex = (value: bigint) => `0x${value.toString(16)}`;
const pages = (max: number) => fc.nat({ max }).map((page) => page * 4096);

/** Ids of what is there from the setup on, the first of them most often; rarely one of nothing. */
function id(first: string, others: readonly string[], nothing: string): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 15, arbitrary: fc.constant(first) },
    { weight: 14, arbitrary: fc.constantFrom(...others) },
    { weight: 1, arbitrary: fc.constant(nothing) },
  );
}
const container = id('c0', ['c1'], 'c2');
const device = id('d0', ['d1', 'd2', 'd3'], 'd4');
const process = id('p0', ['p1'], 'p2');

const edges = [-1n, 0n, 1n, 2n].map((n) => hex((1n << 64n) - 4096n * (n + 1n)));
/** Where mappings, pins and memory meet; sometimes odd, sometimes at the top of the address space. */
const address = fc.oneof(
  { weight: 20, arbitrary: pages(12) },
  { weight: 1, arbitrary: fc.constantFrom(8, 4097, 0x2800) },
  { weight: 2, arbitrary: fc.constantFrom(0xfee00000, 2 ** 39, ...edges.slice(1)) },
);
const size = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 5 }).map((count) => count * 4096) },
  { weight: 1, arbitrary: fc.constantFrom(0, 8, 0x1001, 2 ** 27, 2 ** 43, '0xffffffffffffffff', ...edges) },
);
const npage = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.constantFrom(-1, 0, 513));
const length = fc.constantFrom(0, 1, 1, 100, 100, 4096, 4096, 9000, 30_000);
const driver = fc.record(
  {
    type: fc.constant('synthetic'),
    onDmaUnmap: fc.constantFrom('unpin-range', 'unpin-range', 'ignore', 'unpin-one', 'no-callback'),
    ignoreFirst: fc.constantFrom(0, 3, 11),
    unpinOnClose: fc.boolean(),
  },
  { requiredKeys: ['type', 'onDmaUnmap'] },
);

/** Arguments of each call. */
const ARGS: Record<string, Record<string, fc.Arbitrary<unknown>>> = {
  'create-process': { process },
  'add-memory-region': { process, start: address, size, prot: fc.constantFrom(0, 1, 2, 3, 4) },
  'set-memlock': { process, bytes: fc.constantFrom(0, 8192, '0x5000', 'unlimited') },
  'fill-memory': { process, vaddr: address, length, byte: fc.nat({ max: 255 }) },
  'write-memory': { process, vaddr: address, data: fc.constantFrom('', 'AQID', 'AQ==') },
  'read-memory': { process, vaddr: address, length },
  'open-container': { container, process },
  'close-container': { container },
  'set-iommu': { container, type: fc.constantFrom(1, 3, 3, 6, 9, 42) },
  'check-extension': { container, extension: fc.nat({ max: 11 }) },
  'iommu-info': { container },
  'map-dma': {
    container,
    iova: address,
    vaddr: address,
    size,
    flags: fc.constantFrom(3, 3, 3, 1, 2, 4, 0, 8),
  },
  'unmap-dma': {
    container,
    iova: address,
    size,
    flags: fc.constantFrom(0, 0, 0, 1, 2, 4, 4, 6, 8),
    pageSize: fc.constantFrom(4096, 4096, 8192, 0),
  },
  'dirty-start': { container },
  'dirty-stop': { container },
  'dirty-get': { container, iova: address, size, pageSize: fc.constantFrom(4096, 4096, 8192) },
  'dirty-flags': { container, flags: fc.nat({ max: 8 }) },
  'create-device': { device, driver },
  'remove-device': { device, ifOpen: fc.constant('refuse') },
  'open-group': { device },
  'close-group': { device },
  'set-container': { device, container },
  'unset-container': { device },
  'group-status': { device },
  'open-device': { device },
  'close-device': { device },
  'pin-pages': { device, iova: address, npage, prot: fc.constantFrom(0, 1, 2, 3) },
  'unpin-pages': { device, iova: address, npage },
  'dma-rw': { device, iova: address, write: fc.boolean(), length, fill: fc.constantFrom(0, 7) },
  'set-driver': { device, driver },
  'resume-callbacks': { device },
  'set-parameters': { dmaEntryLimit: fc.constantFrom(0, 1, 3, 65535) },
};

/** How often a call comes, where not twice. */
const WEIGHTS: Record<string, number> = {
  'map-dma': 24,
  'unmap-dma': 8,
  'pin-pages': 20,
  'unpin-pages': 6,
  'dma-rw': 14,
  'open-device': 6,
  'close-container': 1,
  'close-group': 1,
  'remove-device': 1,
  'create-process': 1,
  'set-memlock': 1,
};

const ANYTHING = fc.constantFrom(null, -1, '0xg', 2 ** 53, [], {}, 'c0', 1.5, true);

/** One call; now and then with an argument that is not one, missing, or too many. */
export const anyCall: fc.Arbitrary<CallObject> = fc.oneof(
  ...Object.entries(ARGS).map(([call, args]) => ({
    weight: WEIGHTS[call] ?? 2,
    arbitrary: fc
      .tuple(fc.record(args), fc.nat({ max: 19 }), fc.constantFrom(...Object.keys(args), 'extra'), ANYTHING)
      .map(([fields, spoil, field, value]): CallObject => {
        // A read has no "fill".
        const { fill, ...rest } = fields;
        const right = { call, ...rest, ...(fill !== undefined && fields.write ? { fill } : {}) };
        return spoil === 0 ? { ...right, [field]: value } : right;
      }),
  })),
);

/** Calls that make hosts of all kinds: mdevs and a device behind the IOMMU, v1 and v2, with and without limits. */
export const anySetup: fc.Arbitrary<CallObject[]> = fc
  .record({
    types: fc.tuple(fc.constantFrom(3, 3, 1), fc.constantFrom(3, 3, 1, 6)),
    drivers: fc.tuple(driver, driver, driver),
    pci: fc.constantFrom(null, 'c0', 'c1', 'c1'),
    memlock: fc.constantFrom(null, 0x2000),
    regions: fc.boolean(),
    tracking: fc.boolean(),
  })
  .map(({ types, drivers, pci, memlock, regions, tracking }) => {
    const calls: CallObject[] = [
      { call: 'create-process', process: 'p1' },
      { call: 'open-container', container: 'c0' },
      { call: 'open-container', container: 'c1' },
    ];
    if (memlock !== null) calls.push({ call: 'set-memlock', process: 'p0', bytes: memlock });
    if (regions) {
      calls.push({ call: 'add-memory-region', process: 'p0', start: 0, size: 0x4000, prot: 3 });
      calls.push({ call: 'add-memory-region', process: 'p0', start: 0x6000, size: 0x4000, prot: 1 });
    }
    const join = (id: string, into: string, more: object) => {
      calls.push({ call: 'create-device', device: id, ...more }, { call: 'open-group', device: id });
      calls.push({ call: 'set-container', device: id, container: into });
    };
    drivers.forEach((one, i) => {
      join(`d${i}`, i < 2 ? 'c0' : 'c1', { driver: one });
    });
    if (pci) join('d3', pci, { kind: 'vfio-pci' });
    types.forEach((type, i) => {
      calls.push({ call: 'set-iommu', container: `c${i}`, type });
    });
    for (const id of ['d0', 'd1', 'd2', 'd3']) calls.push({ call: 'open-device', device: id });
    if (tracking) calls.push({ call: 'dirty-start', container: 'c0' });
    return calls;
  });
