import { type TProperties, Type } from '@sinclair/typebox';
import { Apqn } from './driver-models.ts';
import { Address64 } from './values.ts';

const args = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });

/** An AP response code. */
const ApResponse = Type.Integer({ minimum: 0, maximum: 255, description: 'a response code from 0 to 255' });

/** Arguments of the calls that a driver model has besides the kernel's: what its guest or its hardware does. */
export const DRIVER_CALL_ARGS = {
  'ap-enable-interrupt': args({
    apqn: Apqn,
    nib: Address64,
    isc: Type.Integer({ minimum: 0, maximum: 7, description: 'an interruption subclass from 0 to 7' }),
  }),
  'ap-disable-interrupt': args({ apqn: Apqn }),
  'ap-reset': args({ apqn: Type.Optional(Apqn) }),
  'ap-inject': args({
    apqn: Apqn,
    instruction: Type.Union(
      [
        Type.Literal('tapq'),
        Type.Literal('aqic-enable'),
        Type.Literal('aqic-disable'),
        Type.Literal('zapq'),
        Type.Literal('gisc-register'),
      ],
      { description: '"tapq", "aqic-enable", "aqic-disable", "zapq" or "gisc-register"' },
    ),
    responses: Type.Array(
      Type.Union(
        [
          ApResponse,
          Type.Object(
            {
              response: ApResponse,
              irqEnabled: Type.Optional(Type.Boolean()),
              queueEmpty: Type.Optional(Type.Boolean()),
            },
            { additionalProperties: false },
          ),
        ],
        { description: 'a response code from 0 to 255, or {response, irqEnabled, queueEmpty}' },
      ),
      { minItems: 1, maxItems: 256, description: '1 to 256 responses' },
    ),
  }),

  'ccw-start': args({ program: Address64 }),
  'ccw-interrupt': args({}),
  'ccw-halt': args({}),
  'ccw-clear': args({}),
  'ccw-reset': args({}),
  'ccw-run-work': args({}),
  'ccw-inject': args({
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
    errno: Type.Optional(
      Type.Union(
        [Type.Literal('EIO'), Type.Literal('EBUSY'), Type.Literal('ENODEV'), Type.Literal('EACCES')],
        {
          description: '"EIO", "EBUSY", "ENODEV" or "EACCES"',
        },
      ),
    ),
    times: Type.Optional(Type.Integer({ minimum: 1, maximum: 256, description: 'an integer from 1 to 256' })),
  }),

  'gvt-map-page': args({
    gfn: Address64,
    size: Type.Union([Type.Literal('4K'), Type.Literal('2M')], { description: '"4K" or "2M"' }),
  }),
  'gvt-unmap-page': args({ gfn: Address64 }),
} as const;

type DriverCallName = keyof typeof DRIVER_CALL_ARGS;

/** They are all made on a device. */
export const DRIVER_CALL_TARGETS = Object.fromEntries(
  Object.keys(DRIVER_CALL_ARGS).map((call) => [call, 'device']),
) as Readonly<Record<DriverCallName, 'device'>>;

const Hex = Type.String({ pattern: '^0x' });

/** What a vfio-ccw device answers: its state, and the runs of pages its channel program has pinned. */
const Subchannel = {
  fsm: Type.String({ description: 'NOT_OPER, STANDBY, IDLE, CP_PROCESSING or CP_PENDING' }),
  pinned: Type.Array(Type.Object({ iova: Hex, npage: Type.Integer() })),
  pinnedPages: Type.Integer(),
};
const ApStatus = { response: Type.Integer({ description: 'response code of the AP status word' }) };

/** Fields of their answers; a call that is not here answers none. */
export const DRIVER_CALL_ANSWERS = {
  'ap-enable-interrupt': ApStatus,
  'ap-disable-interrupt': ApStatus,
  'ccw-start': Subchannel,
  'ccw-interrupt': Subchannel,
  'ccw-halt': Subchannel,
  'ccw-clear': Subchannel,
  'ccw-reset': Subchannel,
  'ccw-run-work': { ran: Type.Boolean(), ...Subchannel },
  'gvt-map-page': {
    gfn: Hex,
    size: Type.String(),
    dmaAddr: Hex,
    ref: Type.Integer({ description: 'how often the page is mapped now' }),
  },
  'gvt-unmap-page': { found: Type.Boolean(), ref: Type.Integer() },
} satisfies Partial<Record<DriverCallName, TProperties>>;
