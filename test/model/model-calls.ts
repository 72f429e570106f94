import fc from 'fast-check';
import type { NaiveHost } from './naive-model.ts';
import { type Call, hex, PAGE, TOP } from './naive-values.ts';

/** Where in a container's IOVA space: a fixed page, or a mapping's edge and so many pages from it. */
interface Place {
  mapping: number | null;
  page: number;
  atEnd: boolean;
  delta: number;
}

/** One generated step: a call but for the addresses, which depend on what is mapped when it is made. */
export interface Op {
  /** As generated, for the report of a failure. */
  [fc.toStringMethod](): string;
  callFor(model: NaiveHost): Call;
}

/** First page of the processes' memory that mappings use. */
const MEMORY = 0x100;
const CONTAINERS = ['c0', 'c1'];
const DEVICES = ['d0', 'd1', 'd2', 'd3'];

const bytes = (pages: number) => hex(BigInt(pages) * PAGE);

const container = fc.constantFrom(...CONTAINERS, 'c0', 'c0');
const device = fc.constantFrom('d0', 'd0', 'd0', 'd0', 'd0', 'd1', 'd1', 'd1', 'd2', 'd3');
/** Sizes, pages: small ones, and some that need more than one word of a dirty bitmap. */
const pages = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 16, 63, 64, 65, 130) },
);
const place: fc.Arbitrary<Place> = fc.record({
  mapping: fc.option(fc.nat({ max: 15 }), { freq: 8 }),
  page: fc.oneof(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 0, max: 200 })),
  atEnd: fc.boolean(),
  delta: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -3, max: 3 })),
});
/** Where a mapping would touch another one. */
const edge: fc.Arbitrary<Place> = fc.record({
  mapping: fc.nat({ max: 15 }),
  page: fc.integer({ min: 0, max: 24 }),
  atEnd: fc.constant(true),
  delta: fc.constantFrom(0, 0, 0, 1, 2),
});
/** Mostly in a mapping's first pages. */
const inside: fc.Arbitrary<Place> = fc.oneof(
  { weight: 1, arbitrary: place },
  {
    weight: 3,
    arbitrary: fc.record({
      mapping: fc.nat({ max: 15 }),
      page: fc.integer({ min: 0, max: 24 }),
      atEnd: fc.constant(false),
      delta: fc.constantFrom(0, 0, 1, 2, 3),
    }),
  },
);
/** Bytes past a page's start; mostly none. */
const offset = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(8, 2048, 4095) },
);

const driver = fc.record(
  {
    type: fc.constant('synthetic' as const),
    onDmaUnmap: fc.oneof(
      { weight: 12, arbitrary: fc.constant('unpin-range') },
      { weight: 4, arbitrary: fc.constant('unpin-one') },
      {
        weight: 3,
        arbitrary: fc.constantFrom('unpin-first-page', 'unpin-all-pages', 'no-callback'),
      },
      { weight: 1, arbitrary: fc.constantFrom('ignore', 'reset-if-start-pinned', 'reset-if-overlap') },
    ),
    ignoreFirst: fc.constantFrom(0, 0, 1, 6, 10, 11),
    unpinOnClose: fc.boolean(),
  },
  { requiredKeys: ['type', 'onDmaUnmap'] },
);

/** The page a place means now. */
function pageAt(model: NaiveHost, id: string | undefined, { mapping, page, atEnd, delta }: Place): number {
  const mappings = model.mappingsOf(id);
  if (mapping === null || mappings.length === 0) return page;
  const { iova, size } = mappings[mapping % mappings.length]!;
  return Math.max(0, Number((atEnd ? iova + size : iova) / PAGE) + delta);
}

/** The same, for the container that a device is in. */
function deviceAddress(model: NaiveHost, id: string, where: Place, off: number): string {
  const page = pageAt(model, model.devices.get(id)?.container?.id, where);
  return hex(BigInt(page) * PAGE + BigInt(off));
}

/** A step whose arguments may depend on the model's state when it is made. */
function step<T extends object>(
  call: string,
  fields: fc.Arbitrary<T>,
  args: (fields: T, model: NaiveHost) => object,
): fc.Arbitrary<Op> {
  return fields.map((values) => ({
    [fc.toStringMethod]: () => JSON.stringify({ call, ...values }),
    callFor: (model) => ({ call, ...args(values, model) }),
  }));
}

/** A step whose arguments do not. */
function plain(call: string, args: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Op> {
  return step(call, fc.record(args), (fields) => fields);
}

const mapDma = step(
  'map-dma',
  fc.record({
    container,
    where: fc.oneof(place, edge, edge),
    size: pages,
    vaddr: fc.integer({ min: MEMORY, max: MEMORY + 80 }),
    flags: fc.oneof({ weight: 3, arbitrary: fc.constant(3) }, fc.constantFrom(1, 2, 1, 2, 3, 4, 0, 5, 8)),
    off: fc.oneof({ weight: 40, arbitrary: fc.constant(0) }, fc.constant(8)),
  }),
  ({ container: id, where, size, vaddr, flags, off }, model) => ({
    container: id,
    iova: hex(BigInt(pageAt(model, id, where)) * PAGE + BigInt(off)),
    size: bytes(size),
    vaddr: bytes(vaddr),
    flags,
  }),
);

/** Mostly a mapping as a whole or several in a row; sometimes any range, also up to 2^64. */
const unmapDma = step(
  'unmap-dma',
  fc.record({
    container,
    how: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom('mapping', 'mapping', 'span', 'range') },
      { weight: 1, arbitrary: fc.constantFrom('top', 'all') },
    ),
    first: fc.nat({ max: 15 }),
    more: fc.integer({ min: 1, max: 3 }),
    where: place,
    size: pages,
    flags: fc.oneof({ weight: 10, arbitrary: fc.constant(0) }, fc.constantFrom(1, 1, 1, 3, 4, 8)),
    pageSize: fc.oneof({ weight: 20, arbitrary: fc.constant('0x1000') }, fc.constantFrom('0x2000', '0x0')),
  }),
  ({ container: id, how, first, more, where, size, flags, pageSize }, model) => {
    if (how === 'all') return { container: id, iova: '0x0', size: '0x0', flags: 2 };
    const mappings = model.mappingsOf(id);
    let iova = BigInt(pageAt(model, id, where)) * PAGE;
    let length = BigInt(size) * PAGE;
    if (how === 'top' && iova > 0n) {
      // No bitmap could be that large.
      return { container: id, iova: hex(iova), size: hex(TOP - iova), flags: flags & ~1 };
    }
    if (mappings.length > 0 && (how === 'mapping' || how === 'span')) {
      const from = first % mappings.length;
      const to = how === 'span' ? Math.min(from + more, mappings.length - 1) : from;
      iova = mappings[from]!.iova;
      // From 0 to the last address is more than a size can say.
      length = BigInt.asUintN(64, mappings[to]!.iova + mappings[to]!.size - iova);
    }
    return {
      container: id,
      iova: hex(iova),
      size: hex(length),
      flags,
      ...(flags & 1 ? { pageSize } : {}),
    };
  },
);

const dirtyGet = step(
  'dirty-get',
  fc.record({ container, where: place, size: fc.integer({ min: 1, max: 256 }), whole: fc.boolean() }),
  ({ container: id, where, size, whole }, model) => {
    const last = model.mappingsOf(id).at(-1);
    const range =
      whole && last
        ? { iova: '0x0', size: hex(last.iova + last.size) }
        : { iova: bytes(pageAt(model, id, where)), size: bytes(size) };
    return { container: id, ...range, pageSize: '0x1000' };
  },
);

const npage = fc.oneof(
  { weight: 20, arbitrary: fc.constant(1) },
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, 512, 513) },
);
const pinPages = step(
  'pin-pages',
  fc.record({ device, where: inside, off: offset, npage, prot: fc.constantFrom(0, 1, 2, 3, 3) }),
  ({ where, off, ...rest }, model) => ({ ...rest, iova: deviceAddress(model, rest.device, where, off) }),
);
const unpinPages = step(
  'unpin-pages',
  fc.record({ device, where: inside, off: offset, npage }),
  ({ where, off, ...rest }, model) => ({ ...rest, iova: deviceAddress(model, rest.device, where, off) }),
);
const dmaRw = step(
  'dma-rw',
  fc.record({
    device,
    where: inside,
    off: fc.constantFrom(0, 0, 1, 4095),
    length: fc.constantFrom(1, 2, 4096, 5000, 9000, 0),
    fill: fc.option(fc.integer({ min: 1, max: 255 }), { freq: 3 }),
  }),
  ({ where, off, fill, ...rest }, model) => ({
    ...rest,
    iova: deviceAddress(model, rest.device, where, off),
    write: fill !== null,
    ...(fill === null ? {} : { fill }),
  }),
);

const process = fc.constantFrom('p0', 'p1');
const memlock = fc.oneof(fc.constantFrom('0x0', '0x3000', '0x8fff'), fc.constant('unlimited'));
const memory = { process, vaddr: fc.integer({ min: MEMORY, max: MEMORY + 90 }).map(bytes) };

/** One step of a sequence. */
export const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 100, arbitrary: mapDma },
  { weight: 40, arbitrary: unmapDma },
  { weight: 120, arbitrary: pinPages },
  { weight: 50, arbitrary: unpinPages },
  { weight: 50, arbitrary: dmaRw },
  { weight: 30, arbitrary: dirtyGet },
  { weight: 12, arbitrary: plain('dirty-start', { container }) },
  { weight: 3, arbitrary: plain('dirty-stop', { container }) },
  { weight: 25, arbitrary: plain('open-device', { device }) },
  { weight: 10, arbitrary: plain('close-device', { device }) },
  { weight: 5, arbitrary: plain('unset-container', { device }) },
  { weight: 8, arbitrary: plain('set-container', { device, container }) },
  { weight: 8, arbitrary: plain('set-iommu', { container, type: fc.constantFrom(1, 3, 3, 3, 6, 9, 42) }) },
  { weight: 3, arbitrary: plain('close-group', { device }) },
  { weight: 6, arbitrary: plain('open-group', { device }) },
  { weight: 2, arbitrary: plain('group-status', { device }) },
  { weight: 1, arbitrary: plain('close-container', { container }) },
  { weight: 1, arbitrary: plain('open-container', { container, process }) },
  { weight: 8, arbitrary: plain('set-driver', { device, driver }) },
  { weight: 6, arbitrary: plain('set-memlock', { process, bytes: memlock }) },
  { weight: 3, arbitrary: plain('iommu-info', { container }) },
  {
    weight: 2,
    arbitrary: plain('check-extension', { container, extension: fc.integer({ min: 0, max: 11 }) }),
  },
  { weight: 6, arbitrary: plain('read-memory', { ...memory, length: fc.constantFrom(1, 4096, 10_000) }) },
  {
    weight: 3,
    arbitrary: plain('fill-memory', {
      ...memory,
      length: fc.constantFrom(1, 4096, 9000),
      byte: fc.integer({ min: 0, max: 255 }),
    }),
  },
);

/** Calls that make a host worth testing: two containers, devices open in them, memory and limits. */
export const setup: fc.Arbitrary<Call[]> = fc
  .record({
    dmaEntryLimit: fc.constantFrom(65535, 65535, 4),
    regions: fc.boolean(),
    types: fc.tuple(fc.constantFrom(3, 3, 3, 3, 3, 3, 6, 1), fc.constantFrom(3, 3, 1)),
    drivers: fc.tuple(driver, driver, driver, driver),
    // d0 is in c0 always, and d1 often, so that references of two devices meet.
    where: fc.tuple(
      fc.constant('c0'),
      fc.constantFrom('c0', 'c0', null),
      fc.constantFrom('c0', 'c1', null),
      fc.constantFrom('c1', null),
    ),
    limits: fc.tuple(fc.option(memlock, { freq: 3 }), fc.option(memlock, { freq: 3 })),
  })
  .map(({ dmaEntryLimit, regions, types, drivers, where, limits }) => {
    const calls: Call[] = [
      { call: 'set-parameters', dmaEntryLimit },
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
    limits.forEach((limit, i) => {
      if (limit !== null) calls.push({ call: 'set-memlock', process: `p${i}`, bytes: limit });
    });
    DEVICES.forEach((device, i) => {
      const container = where[i];
      calls.push({ call: 'create-device', device, driver: drivers[i]! });
      if (!container) return;
      calls.push({ call: 'open-group', device }, { call: 'set-container', device, container });
    });
    types.forEach((type, i) => {
      calls.push({ call: 'set-iommu', container: `c${i}`, type });
    });
    for (const [i, device] of DEVICES.entries()) if (where[i]) calls.push({ call: 'open-device', device });
    return calls;
  });
