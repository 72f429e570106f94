import { type Static, Type } from '@sinclair/typebox';
import { Count, Hex64, injected, object, Positive31 } from '../saved.ts';
import { Address64 } from '../values.ts';
import { args, config, type DriverSchemas } from './model.ts';

const Hex = Type.String({ pattern: '^0x' });

/** States of the driver's FSM. */
const CcwState = Type.Union(
  [
    Type.Literal('NOT_OPER'),
    Type.Literal('STANDBY'),
    Type.Literal('IDLE'),
    Type.Literal('CP_PROCESSING'),
    Type.Literal('CP_PENDING'),
  ],
  { description: '"NOT_OPER", "STANDBY", "IDLE", "CP_PROCESSING" or "CP_PENDING"' },
);
export type CcwState = Static<typeof CcwState>;

/** What the channel subsystem can be told to fail: the instructions, and quiesce (cancel, halt, clear). */
const OPERATIONS = ['disable', 'quiesce', 'enable', 'start', 'halt', 'clear'] as const;
export type CcwOperation = (typeof OPERATIONS)[number];

const CcwErrno = Type.Union(
  [Type.Literal('EIO'), Type.Literal('EBUSY'), Type.Literal('ENODEV'), Type.Literal('EACCES')],
  { description: '"EIO", "EBUSY", "ENODEV" or "EACCES"' },
);

/** What a vfio-ccw device answers: its state, and the runs of pages its channel program has pinned. */
const Subchannel = {
  fsm: Type.String({ description: 'NOT_OPER, STANDBY, IDLE, CP_PROCESSING or CP_PENDING' }),
  pinned: Type.Array(Type.Object({ iova: Hex, npage: Type.Integer() })),
  pinnedPages: Type.Integer(),
};

/** vfio_ccw: `notifier` up to 5.19, `callback-first-page` as first posted, `range` 6.0, `range-deferred` 6.1.192. */
export const vfioCcw = {
  config: config('vfio-ccw', {
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
  }),
  calls: {
    'ccw-start': { args: args({ program: Address64 }), answer: Subchannel },
    'ccw-interrupt': { args: args({}), answer: Subchannel },
    'ccw-halt': { args: args({}), answer: Subchannel },
    'ccw-clear': { args: args({}), answer: Subchannel },
    'ccw-reset': { args: args({}), answer: Subchannel },
    'ccw-run-work': { args: args({}), answer: { ran: Type.Boolean(), ...Subchannel } },
    'ccw-inject': {
      args: args({
        operation: Type.Union(
          [
            Type.Literal('disable'),
            Type.Literal('quiesce'),
            Type.Literal('enable'),
            Type.Literal('start'),
            Type.Literal('halt'),
            Type.Literal('clear'),
          ],
          { description: '"disable", "quiesce", "enable", "start", "halt" or "clear"' },
        ),
        errno: Type.Optional(CcwErrno),
        times: Type.Optional(
          Type.Integer({ minimum: 1, maximum: 256, description: 'an integer from 1 to 256' }),
        ),
      }),
    },
  },
  state: object({
    fsm: CcwState,
    active: Type.Boolean(),
    workQueued: Type.Boolean(),
    callbacksSinceWork: Count,
    /** Runs of pages its channel program has pinned, in the order in which they are unpinned. */
    pinned: Type.Array(object({ iova: Hex64, npage: Positive31 })),
    injected: injected(
      OPERATIONS,
      Type.Array(CcwErrno, { minItems: 1, maxItems: 1024, description: 'an array of 1 to 1024 errnos' }),
    ),
  }),
} satisfies DriverSchemas;

export type VfioCcwConfig = Static<typeof vfioCcw.config>;
export type VfioCcwState = Static<typeof vfioCcw.state>;
