import { type Static, Type } from '@sinclair/typebox';
import { Exact, integer, nullable, object, Positive31 } from '../saved.ts';
import { Address64, GuestIdField, Hex, oneOf } from '../values.ts';
import { args, config, type DriverSchemas } from './model.ts';

/** Different entries that the page tables of a vGPU may hold. */
export const GTT_ENTRIES_MAX = 2 ** 20;

/** Sizes of a page in the guest's GTT. */
const GttPageSize = oneOf('4K', '2M');
export type GttPageSize = Static<typeof GttPageSize>;

const Mapped = {
  gfn: Hex,
  size: Type.String(),
  dmaAddr: Hex,
  ref: Type.Integer({
    description: 'references to the page: one an entry of the page tables, one a dma-buf',
  }),
};

const Unmapped = {
  found: Type.Boolean(),
  ref: Type.Integer({ description: 'references that are left' }),
  gfn: Type.Optional(
    Type.String({ pattern: '^0x', description: 'whose reference went, where no gfn or another was named' }),
  ),
};

const SavedFrame = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,12})$',
  description: 'a frame number 0x… below 2^52',
});
const SavedDmaAddr = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,13}000)$',
  description: 'the shortest lower-case 0x… of a page frame',
});

/**
 * GVT-g: `notifier` up to 5.19, `callback` from 6.0 on, `double-shift` for a while in July 2022. `emptyUnpin`: when
 * the first page of a pin fails it unpins 0 pages, which warns (fixed in 6.6).
 */
export const gvtG = {
  config: config('gvt-g', {
    variant: Type.Optional(oneOf('notifier', 'callback', 'double-shift')),
    emptyUnpin: Type.Optional(Type.Boolean()),
  }),
  calls: {
    'gvt-map-page': {
      about:
        'The guest writes an entry of its page tables: the driver pins the page, 4 KiB or 2 MiB, and gives it a DMA address.',
      args: args({ gfn: Address64, size: GttPageSize }),
      answer: Mapped,
    },
    'gvt-unmap-page': {
      about: 'An entry of the page tables goes: the driver gives a reference to the page back.',
      args: args({ gfn: Type.Optional(Address64), dmaAddr: Type.Optional(Address64) }),
      answer: Unmapped,
    },
    'gvt-pin-page': {
      about: 'A dma-buf takes one more reference to a page that has a DMA address.',
      args: args({ dmaAddr: Address64 }),
      answer: Mapped,
    },
    'gvt-unpin-page': {
      about: 'A dma-buf gives its reference back.',
      args: args({ dmaAddr: Address64 }),
      answer: Unmapped,
    },
    'gvt-set-guest': {
      about: 'The guest that the vGPU’s group is given to; null takes it away.',
      args: args({
        guest: Type.Union([GuestIdField, Type.Null()], { description: 'a guest, or null' }),
        release: Type.Optional(oneOf('late', 'begun')),
      }),
    },
    'gvt-run-work': {
      about: 'Runs the release work of the driver of 5.10, if it is due.',
      args: args({}),
      answer: { ran: Type.Boolean() },
    },
    'gvt-reset': {
      about: 'Resets the vGPU: its page tables and its cache of pages go.',
      args: args({}),
      answer: {
        kept: Type.Optional(
          Type.Array(Hex, { description: 'pages of 2 MiB that stay pinned although no page table has them' }),
        ),
      },
    },
  },
  state: object({
    guest: Type.Union([GuestIdField, Type.Null()], { description: 'a guest, or null' }),
    /** Of the driver of 5.10, where it is not as usual: has it its group, and how far its release has come. */
    hasGroup: Type.Optional(Type.Boolean()),
    release: Type.Optional(nullable(oneOf('late', 'begun'), 'null, "late" or "begun"')),
    /** By frame number: no more than the pins of a machine. */
    cache: Type.Array(object({ gfn: SavedFrame, size: GttPageSize, dmaAddr: SavedDmaAddr, ref: Exact })),
    /** The tree of the cache's DMA addresses, in order: links to the root, and colour. As many as the cache has. */
    dmaAddrs: Type.Array(object({ gfn: SavedFrame, depth: integer(0, 64, '0 to 64'), red: Type.Boolean() })),
    /** What the page tables hold, each page's oldest first. */
    gtt: Type.Array(
      object({ gfn: SavedFrame, size: GttPageSize, dmaAddr: SavedDmaAddr, times: Positive31 }),
      {
        maxItems: GTT_ENTRIES_MAX,
        description: `an array of up to ${GTT_ENTRIES_MAX} entries`,
      },
    ),
  }),
} satisfies DriverSchemas;

export type GvtGConfig = Static<typeof gvtG.config>;
export type GvtGState = Static<typeof gvtG.state>;
