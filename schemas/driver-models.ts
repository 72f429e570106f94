import { type Static, Type } from '@sinclair/typebox';

/** The thread's proposal, for a driver of any type: its dma_unmap is a BUG_ON(1). */
export const AnyDriver = { bugOnInvalidation: Type.Optional(Type.Boolean()) };

const closed = { additionalProperties: false } as const;

/** Number of an AP queue: adapter times 256 plus domain. */
export const Apqn = Type.Integer({ minimum: 0, maximum: 65535, description: 'an APQN from 0 to 65535' });

/**
 * vfio_ap: `notifier` up to 5.19, `callback` in 6.0 and 6.1, `range` from 6.2 on. Without a variant it is that of
 * the host's kernel; so with the drivers below.
 */
export const VfioApDriver = Type.Object(
  {
    type: Type.Literal('vfio-ap'),
    variant: Type.Optional(
      Type.Union([Type.Literal('notifier'), Type.Literal('callback'), Type.Literal('range')], {
        description: '"notifier", "callback" or "range"',
      }),
    ),
    queues: Type.Optional(
      Type.Array(Apqn, { minItems: 1, maxItems: 256, uniqueItems: true, description: '1 to 256 APQNs' }),
    ),
    ...AnyDriver,
  },
  closed,
);
export type VfioApConfig = Static<typeof VfioApDriver>;

/** vfio_ccw: `notifier` up to 5.19, `callback-first-page` as first posted, `range` 6.0, `range-deferred` 6.1.192. */
export const VfioCcwDriver = Type.Object(
  {
    type: Type.Literal('vfio-ccw'),
    variant: Type.Optional(
      Type.Union(
        [
          Type.Literal('notifier'),
          Type.Literal('callback-first-page'),
          Type.Literal('range'),
          Type.Literal('range-deferred'),
        ],
        { description: '"notifier", "callback-first-page", "range" or "range-deferred"' },
      ),
    ),
    reads: Type.Optional(
      Type.Union([Type.Literal('pin'), Type.Literal('dma-rw')], { description: '"pin" or "dma-rw"' }),
    ),
    workAfterCallbacks: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'an integer from 1 to 1000' }),
    ),
    ...AnyDriver,
  },
  closed,
);
export type VfioCcwConfig = Static<typeof VfioCcwDriver>;

/**
 * GVT-g: `notifier` up to 5.19, `callback` from 6.0 on, `double-shift` for a while in July 2022. `emptyUnpin`: when
 * the first page of a pin fails it unpins 0 pages, which warns (fixed in 6.6).
 */
export const GvtGDriver = Type.Object(
  {
    type: Type.Literal('gvt-g'),
    variant: Type.Optional(
      Type.Union([Type.Literal('notifier'), Type.Literal('callback'), Type.Literal('double-shift')], {
        description: '"notifier", "callback" or "double-shift"',
      }),
    ),
    emptyUnpin: Type.Optional(Type.Boolean()),
    ...AnyDriver,
  },
  closed,
);
export type GvtGConfig = Static<typeof GvtGDriver>;

const sample = <T extends string>(type: T) => Type.Object({ type: Type.Literal(type), ...AnyDriver }, closed);

/** The kernel's samples of mediated devices, which never pin. */
export const MttyDriver = sample('mtty');
export const MdpyDriver = sample('mdpy');
export const MbochsDriver = sample('mbochs');
export type SampleConfig = Static<typeof MttyDriver | typeof MdpyDriver | typeof MbochsDriver>;
