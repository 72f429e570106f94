import { type Static, Type } from '@sinclair/typebox';
import { Exact, object } from '../saved.ts';
import { Address64 } from '../values.ts';
import { args, config, type DriverSchemas } from './model.ts';

const Hex = Type.String({ pattern: '^0x' });

/** Sizes of a page in the guest's GTT. */
const GttPageSize = Type.Union([Type.Literal('4K'), Type.Literal('2M')], { description: '"4K" or "2M"' });
export type GttPageSize = Static<typeof GttPageSize>;

/**
 * GVT-g: `notifier` up to 5.19, `callback` from 6.0 on, `double-shift` for a while in July 2022. `emptyUnpin`: when
 * the first page of a pin fails it unpins 0 pages, which warns (fixed in 6.6).
 */
export const gvtG = {
  config: config('gvt-g', {
    variant: Type.Optional(
      Type.Union([Type.Literal('notifier'), Type.Literal('callback'), Type.Literal('double-shift')], {
        description: '"notifier", "callback" or "double-shift"',
      }),
    ),
    emptyUnpin: Type.Optional(Type.Boolean()),
  }),
  calls: {
    'gvt-map-page': {
      args: args({ gfn: Address64, size: GttPageSize }),
      answer: {
        gfn: Hex,
        size: Type.String(),
        dmaAddr: Hex,
        ref: Type.Integer({ description: 'how often the page is mapped now' }),
      },
    },
    'gvt-unmap-page': {
      args: args({ gfn: Address64 }),
      answer: { found: Type.Boolean(), ref: Type.Integer() },
    },
  },
  state: object({
    /** By frame number. */
    cache: Type.Array(
      object({
        gfn: Type.String({
          pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,12})$',
          description: 'a frame number 0x… below 2^52',
        }),
        size: GttPageSize,
        dmaAddr: Type.String({
          pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,13}000)$',
          description: 'the shortest lower-case 0x… of a page frame',
        }),
        ref: Exact,
      }),
    ),
  }),
} satisfies DriverSchemas;

export type GvtGConfig = Static<typeof gvtG.config>;
export type GvtGState = Static<typeof gvtG.state>;
