import fc from 'fast-check';
import type { NaiveIommufdHost } from './naive-iommufd-host.ts';
import { type Call, hex, PAGE, pageOf } from './naive-values.ts';

/** One generated step: a call but for the addresses, which depend on what is mapped and pinned when it is made. */
export interface IommufdOp {
  [fc.toStringMethod](): string;
  callFor(model: NaiveIommufdHost): Call;
}

/** First page of the memory that mappings use. */
const MEMORY = 0x100;
const MDEVS = ['d0', 'd1', 'd2', 'd3'];
const PCI = ['x0', 'x1'];

const bytes = (pages: number) => hex(BigInt(pages) * PAGE);
const container = fc.constantFrom('c0', 'c0', 'c0', 'c1');
const mdev = fc.constantFrom('d0', 'd0', 'd0', 'd1', 'd1', 'd2', 'd3');
const device = fc.oneof({ weight: 5, arbitrary: mdev }, { weight: 1, arbitrary: fc.constantFrom(...PCI) });
const pages = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 16, 64) },
);
/** A page, or one so far from a mapping's edge. */
const where = fc.record({
  mapping: fc.option(fc.nat({ max: 15 }), { freq: 8 }),
  page: fc.integer({ min: 0, max: 40 }),
  atEnd: fc.boolean(),
  delta: fc.constantFrom(0, 0, 0, 0, 1, 2, -1, -2),
});
type Where = { mapping: number | null; page: number; atEnd: boolean; delta: number };
/** Bytes past a page's start; mostly none. */
const offset = fc.oneof({ weight: 15, arbitrary: fc.constant(0) }, fc.constantFrom(1, 0x10, 0x800, 4095));

const driver = fc.record(
  {
    type: fc.constant('synthetic' as const),
    onDmaUnmap: fc.oneof(
      { weight: 12, arbitrary: fc.constant('unpin-range') },
      {
        weight: 5,
        arbitrary: fc.constantFrom(
          'unpin-one',
          'unpin-first-page',
          'reset-if-overlap',
          'reset-if-start-pinned',
        ),
      },
      { weight: 2, arbitrary: fc.constantFrom('no-callback', 'ignore', 'unpin-all-pages') },
    ),
    ignoreFirst: fc.constantFrom(0, 0, 0, 1, 60, 100, 101),
    unpinOnClose: fc.boolean(),
  },
  { requiredKeys: ['type', 'onDmaUnmap'] },
);

function addressAt(model: NaiveIommufdHost, id: string | undefined, at: Where, off = 0): bigint {
  const mappings = model.mappingsOf(id);
  const from = at.mapping === null ? undefined : mappings[at.mapping % Math.max(mappings.length, 1)];
  const base = from ? (at.atEnd ? from.iova + from.size : from.iova) : BigInt(at.page) * PAGE;
  const address = base + BigInt(from ? at.delta : 0) * PAGE + BigInt(off);
  return BigInt.asUintN(64, address);
}

/** The container that a device's calls go to. */
function containerOf(model: NaiveIommufdHost, id: string): string | undefined {
  const one = model.devices.get(id);
  return (one?.through ?? one?.container)?.id;
}

function step<T extends object>(
  call: string,
  fields: fc.Arbitrary<T>,
  args: (fields: T, model: NaiveIommufdHost) => object,
): fc.Arbitrary<IommufdOp> {
  return fields.map((values) => ({
    [fc.toStringMethod]: () => JSON.stringify({ call, ...values }),
    callFor: (model) => ({ call, ...args(values, model) }),
  }));
}

function plain(call: string, args: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<IommufdOp> {
  return step(call, fc.record(args), (fields) => fields);
}

const mapDma = step(
  'map-dma',
  fc.record({
    container,
    where,
    off: offset,
    size: pages,
    trim: offset,
    vaddr: fc.integer({ min: MEMORY, max: MEMORY + 80 }),
    flags: fc.oneof({ weight: 6, arbitrary: fc.constant(3) }, fc.constantFrom(0, 1, 2, 1, 2, 4, 8)),
    far: fc.oneof(
      { weight: 30, arbitrary: fc.constant(null) },
      fc.constantFrom(0xfee00, 2 ** 27, 2 ** 52 - 4),
    ),
  }),
  ({ container: id, where: at, off, size, trim, vaddr, flags, far }, model) => ({
    container: id,
    iova: hex(far === null ? addressAt(model, id, at, off) : BigInt(far) * PAGE),
    size: hex(BigInt(size) * PAGE + BigInt(trim)),
    vaddr: hex(BigInt(vaddr) * PAGE + BigInt(off)),
    flags,
  }),
);

/** Mostly a mapping as a whole or several in a row. */
const unmapDma = step(
  'unmap-dma',
  fc.record({
    container,
    how: fc.constantFrom('mapping', 'mapping', 'mapping', 'span', 'span', 'range', 'range', 'all'),
    first: fc.nat({ max: 15 }),
    more: fc.integer({ min: 1, max: 4 }),
    where,
    off: offset,
    size: pages,
    flags: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(4, 8)),
  }),
  ({ container: id, how, first, more, where: at, off, size, flags }, model) => {
    if (how === 'all') return { container: id, iova: '0x0', size: '0x0', flags: flags || 2 };
    const mappings = model.mappingsOf(id);
    if (how === 'range' || mappings.length === 0) {
      return { container: id, iova: hex(addressAt(model, id, at, off)), size: bytes(size), flags };
    }
    const from = mappings[first % mappings.length]!;
    const to =
      how === 'span' ? mappings[Math.min((first % mappings.length) + more, mappings.length - 1)]! : from;
    // From 0 to the last address is more than a size can say.
    const size64 = BigInt.asUintN(64, to.iova + to.size - from.iova);
    return { container: id, iova: hex(from.iova), size: hex(size64), flags };
  },
);

const npage = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 1, max: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, -2147483648, 600) },
);
const pinPages = step(
  'pin-pages',
  fc.record({ device, where, off: offset, npage, prot: fc.constantFrom(0, 1, 2, 3, 3, 3) }),
  ({ where: at, off, ...rest }, model) => ({
    ...rest,
    iova: hex(addressAt(model, containerOf(model, rest.device), { ...at, atEnd: false }, off)),
  }),
);

/** Mostly exactly a pin that is there, sometimes a page more or less of it, or anything. */
const unpinPages = step(
  'unpin-pages',
  fc.record({
    device,
    pick: fc.nat({ max: 63 }),
    where,
    off: offset,
    npage,
    how: fc.constantFrom('exact', 'exact', 'exact', 'longer', 'any'),
  }),
  ({ device: id, pick, where: at, off, npage: count, how }, model) => {
    const there = containerOf(model, id);
    const pins = model.mappingsOf(there).flatMap((area) =>
      area.memory.accesses
        .filter(({ first }) => first >= pageOf(area.vaddr) && first < pageOf(area.vaddr + area.size))
        .map((access) => ({
          iova: area.iova + (access.first - pageOf(area.vaddr)) * PAGE,
          count: Number(access.last - access.first) + 1,
        })),
    );
    if (how === 'any' || pins.length === 0) {
      return { device: id, iova: hex(addressAt(model, there, at, off)), npage: count };
    }
    const pin = pins[pick % pins.length]!;
    return { device: id, iova: hex(pin.iova + BigInt(off)), npage: pin.count + (how === 'longer' ? 1 : 0) };
  },
);

const dmaRw = step(
  'dma-rw',
  fc.record({
    device,
    where,
    off: offset,
    length: fc.constantFrom(1, 2, 4096, 5000, 9000, 0),
    fill: fc.option(fc.integer({ min: 1, max: 255 }), { freq: 3 }),
  }),
  ({ where: at, off, fill, ...rest }, model) => ({
    ...rest,
    iova: hex(addressAt(model, containerOf(model, rest.device), { ...at, atEnd: false }, off)),
    write: fill !== null,
    ...(fill === null ? {} : { fill }),
  }),
);

const memlock = fc.oneof(fc.constantFrom('0x0', '0x3000', '0x8fff', '0x20000'), fc.constant('unlimited'));
const process = fc.constantFrom('p0', 'p1');

/** One step of a sequence. */
export const iommufdOp: fc.Arbitrary<IommufdOp> = fc.oneof(
  { weight: 100, arbitrary: mapDma },
  { weight: 60, arbitrary: unmapDma },
  { weight: 130, arbitrary: pinPages },
  { weight: 70, arbitrary: unpinPages },
  { weight: 40, arbitrary: dmaRw },
  { weight: 35, arbitrary: plain('open-device', { device }) },
  { weight: 15, arbitrary: plain('close-device', { device }) },
  { weight: 6, arbitrary: plain('unset-container', { device }) },
  { weight: 12, arbitrary: plain('set-container', { device, container }) },
  { weight: 6, arbitrary: plain('set-iommu', { container, type: fc.constantFrom(1, 3, 3, 6, 9) }) },
  { weight: 4, arbitrary: plain('close-group', { device }) },
  { weight: 8, arbitrary: plain('open-group', { device }) },
  { weight: 3, arbitrary: plain('group-status', { device }) },
  { weight: 1, arbitrary: plain('close-container', { container }) },
  { weight: 2, arbitrary: plain('open-container', { container, process }) },
  { weight: 8, arbitrary: plain('set-driver', { device: mdev, driver }) },
  { weight: 6, arbitrary: plain('set-memlock', { process, bytes: memlock }) },
  { weight: 2, arbitrary: plain('iommu-info', { container }) },
  { weight: 1, arbitrary: plain('dirty-start', { container }) },
  {
    weight: 3,
    arbitrary: plain('check-extension', { container, extension: fc.integer({ min: 0, max: 11 }) }),
  },
);

/** Calls that make a host worth testing: two containers, mdevs and devices behind the IOMMU, memory and limits. */
export const iommufdSetup: fc.Arbitrary<Call[]> = fc
  .record({
    regions: fc.boolean(),
    drivers: fc.tuple(driver, driver, driver, driver),
    where: fc.tuple(
      fc.constant('c0'),
      fc.constantFrom('c0', 'c0', null),
      fc.constantFrom('c0', 'c1', null),
      fc.constantFrom('c1', null),
      fc.constantFrom('c0', 'c1', null),
      fc.constantFrom('c0', null),
    ),
    open: fc.array(fc.constantFrom(true, true, true, false), { minLength: 6, maxLength: 6 }),
    type: fc.option(fc.constantFrom(1, 3, 3), { freq: 2 }),
    limit: fc.option(memlock, { freq: 2 }),
  })
  .map(({ regions, drivers, where: places, open, type, limit }) => {
    const calls: Call[] = [
      { call: 'create-process', process: 'p1' },
      { call: 'open-container', container: 'c0' },
      { call: 'open-container', container: 'c1', process: 'p1' },
    ];
    if (regions) {
      const region = { call: 'add-memory-region', process: 'p0' };
      calls.push({ ...region, start: bytes(MEMORY), size: bytes(40), prot: 3 });
      calls.push({ ...region, start: bytes(MEMORY + 40), size: bytes(20), prot: 1 });
      calls.push({ ...region, start: bytes(MEMORY + 70), size: bytes(150), prot: 3 });
    }
    if (limit !== null) calls.push({ call: 'set-memlock', process: 'p0', bytes: limit });
    for (const [i, id] of [...MDEVS, ...PCI].entries()) {
      const made = i < MDEVS.length ? { driver: drivers[i]! } : { kind: 'vfio-pci' };
      calls.push({ call: 'create-device', device: id, ...made });
      const place = places[i];
      if (!place) continue;
      calls.push({ call: 'open-group', device: id }, { call: 'set-container', device: id, container: place });
      if (open[i]) calls.push({ call: 'open-device', device: id });
    }
    if (type !== null) calls.push({ call: 'set-iommu', container: 'c0', type });
    return calls;
  });
