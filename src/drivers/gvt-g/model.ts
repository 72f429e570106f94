import { GTT_ENTRIES_MAX, type GvtGConfig, type GvtGState, gvtG } from '../../../schemas/drivers/gvt-g.ts';
import { hex, isPageAligned, TOP_PAGE } from '../../kernel/pages.ts';
import { each } from '../../kernel/saved/each.ts';
import type { Splat } from '../../kernel/splats.ts';
import { treeSteps, WrongShape } from '../../kernel/tree-shape.ts';
import {
  AT_ONCE,
  type Broken,
  type Model,
  notAscending,
  throughFile,
  throughGuest,
  type WrongState,
} from '../model.ts';
import { VgpuDoubleShift } from './double-shift.ts';
import { Gvt } from './gvt.ts';
import { Vgpu510 } from './linux-5.10.ts';
import { Vgpu61 } from './linux-6.1.ts';
import { Vgpu612 } from './linux-6.12.ts';
import { REMOVED_WHILE_OPEN, UNPINNED_NOTHING } from './splats.ts';
import { PAGES, type Vgpu } from './vgpu.ts';

/** A kernel's driver, and what its configuration says unless the client names something else. */
interface Era {
  readonly Vgpu: new (config: GvtGConfig, gvt: Gvt, id: string) => Vgpu;
  readonly variant: NonNullable<GvtGConfig['variant']>;
  readonly emptyUnpin: boolean;
  readonly splats: readonly Splat[];
}

const ERAS = {
  '5.10': { Vgpu: Vgpu510, variant: 'notifier', emptyUnpin: true, splats: [UNPINNED_NOTHING] },
  '6.1': { Vgpu: Vgpu61, variant: 'callback', emptyUnpin: true, splats: [REMOVED_WHILE_OPEN] },
  '6.12': { Vgpu: Vgpu612, variant: 'callback', emptyUnpin: false, splats: [] },
} as const satisfies Record<string, Era>;

/** The driver of a variant on a kernel whose own it is not. */
const VARIANTS = { notifier: Vgpu510, callback: Vgpu61, 'double-shift': VgpuDoubleShift } as const;

/** A guest frame number: that of a 64-bit address. */
function checkGfn(gfn: string | number): string | null {
  return BigInt(gfn) < BigInt(TOP_PAGE) ? null : `gfn ${gfn} is not a frame number below 2^52`;
}

function checkDmaAddr(dmaAddr: string | number): string | null {
  return isPageAligned(BigInt(dmaAddr)) ? null : `dmaAddr ${dmaAddr} is not a multiple of 4096`;
}

type Unmap = { gfn?: string | number | undefined; dmaAddr?: string | number | undefined };

/** The page to unmap: by its frame number or by its DMA address, never by both. */
function checkUnmap(_vgpu: Vgpu, { gfn, dmaAddr }: Unmap): string | null {
  if ((gfn === undefined) === (dmaAddr === undefined)) return 'needs "gfn" or "dmaAddr", and not both';
  return gfn === undefined ? checkDmaAddr(dmaAddr!) : checkGfn(gfn);
}

function checkMap(vgpu: Vgpu, { gfn }: { gfn: string | number }): Broken | null {
  if (vgpu.gtt.count >= GTT_ENTRIES_MAX)
    return { tooMany: "entries of the vGPU's page tables", most: GTT_ENTRIES_MAX };
  return checkGfn(gfn);
}

export const gvtGModel: Model<typeof gvtG, Vgpu, Era, Gvt> = {
  type: 'gvt-g',
  schemas: gvtG,
  eras: ERAS,
  newHost: () => new Gvt(),
  create(asked, { Vgpu, variant, emptyUnpin }, id, gvt) {
    const config = { variant, emptyUnpin, ...asked };
    return new (config.variant === variant ? Vgpu : VARIANTS[config.variant])(config, gvt, id);
  },
  calls: {
    'gvt-map-page': {
      way: throughFile,
      check: checkMap,
      run: (vgpu, api, { gfn, size }) => vgpu.mapPage(api, Number(gfn), size),
    },
    'gvt-unmap-page': {
      way: throughFile,
      check: checkUnmap,
      run: (vgpu, api, { gfn, dmaAddr }) =>
        vgpu.unmapPage(api, gfn === undefined ? { dmaAddr: BigInt(dmaAddr!) } : { gfn: Number(gfn) }),
    },
    // A dma-buf has a file of its own, which may be open longer than the device's.
    'gvt-pin-page': {
      way: throughGuest,
      check: (_vgpu, { dmaAddr }) => checkDmaAddr(dmaAddr),
      run: (vgpu, api, { dmaAddr }) => vgpu.pinPage(api, BigInt(dmaAddr)),
    },
    'gvt-unpin-page': {
      way: throughGuest,
      check: (_vgpu, { dmaAddr }) => checkDmaAddr(dmaAddr),
      run: (vgpu, api, { dmaAddr }) => vgpu.unpinPage(api, BigInt(dmaAddr)),
    },
    'gvt-reset': {
      way: throughFile,
      *run(vgpu, api) {
        const kept = yield* vgpu.reset(api);
        return kept.length > 0 ? { kept } : {};
      },
    },
    // The group of an open vGPU is given to a guest, or taken from it.
    'gvt-set-guest': {
      way: throughGuest,
      check: (vgpu, { release }) =>
        release === undefined || vgpu instanceof Vgpu510
          ? null
          : '"release" is for the driver of 5.10, which alone is released when its guest goes',
      *run(vgpu, api, { guest, release }) {
        api.giveTo(guest);
        if (vgpu instanceof Vgpu510) yield* vgpu.setGuest(api, guest, release);
        return {};
      },
    },
    'gvt-run-work': {
      way: throughGuest,
      *run(vgpu, api) {
        return { ran: yield* vgpu.runWork(api) };
      },
    },
  },
  splats: ({ splats }) => splats,
  derived: ['entries'],
  pinsOf({ cache, gtt }) {
    const pinned = cache.reduce((sum, { size }) => sum + PAGES[size], 0);
    const written = gtt.reduce((sum, { times }) => sum + times, 0);
    return pinned > written ? { field: 'cache', count: pinned } : { field: 'gtt', count: written };
  },
  checkState: (_vgpu, state) => checkState(state),
};

/** What its schema cannot say. */
function* checkState({ cache, dmaAddrs, gtt }: GvtGState): Generator<void, WrongState | null> {
  const ascending = yield* notAscending(
    'cache',
    each(cache, ({ gfn }) => BigInt(gfn)),
  );
  return ascending ?? (yield* checkAddresses(cache, dmaAddrs)) ?? (yield* checkEntries(gtt));
}

/** The tree of DMA addresses has every page of the cache, in order. */
function* checkAddresses(
  cache: GvtGState['cache'],
  dmaAddrs: GvtGState['dmaAddrs'],
): Generator<void, WrongState | null> {
  if (dmaAddrs.length !== cache.length) {
    return { field: 'dmaAddrs', rule: 'must name every page of the cache, and nothing else' };
  }
  const addresses = new Map<string, bigint>();
  for (const [i, { gfn, dmaAddr }] of cache.entries()) {
    addresses.set(gfn, BigInt(dmaAddr));
    if (i % AT_ONCE === 0) yield;
  }
  let last = 0n;
  for (const [i, { gfn }] of dmaAddrs.entries()) {
    const field = `dmaAddrs/${i}/gfn`;
    const address = addresses.get(gfn);
    if (address === undefined)
      return { field, rule: `is ${gfn}, which is not in the cache, or is here twice` };
    if (address < last) return { field, rule: `has the DMA address ${hex(address)}, below the one before` };
    addresses.delete(gfn);
    last = address;
    if (i % AT_ONCE === 0) yield;
  }
  try {
    yield* treeSteps(dmaAddrs);
  } catch (error) {
    if (error instanceof WrongShape) return { field: `dmaAddrs/${error.field}`, rule: error.rule };
    throw error;
  }
  return null;
}

/** Those of a page follow each other, and none is there twice. */
function* checkEntries(gtt: GvtGState['gtt']): Generator<void, WrongState | null> {
  const seen = new Set<string>();
  const pages = new Set<string>();
  let page: string | null = null;
  for (const [i, { gfn, size, dmaAddr }] of gtt.entries()) {
    const entry = `${gfn} ${size} ${dmaAddr}`;
    if (seen.has(entry)) return { field: `gtt/${i}`, rule: 'is there twice' };
    if (gfn !== page && pages.has(gfn))
      return { field: `gtt/${i}/gfn`, rule: `is ${gfn}, whose entries must follow each other` };
    seen.add(entry);
    pages.add(gfn);
    page = gfn;
    if (i % AT_ONCE === 0) yield;
  }
  return null;
}
