import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox';
import { nullable } from '../saved.ts';
import { manual, webhook } from './external.ts';
import { gvtG } from './gvt-g.ts';
import type { DriverSchemas } from './model.ts';
import { mbochs, mdpy, mtty } from './samples.ts';
import { synthetic } from './synthetic.ts';
import { vfioAp } from './vfio-ap.ts';
import { vfioCcw } from './vfio-ccw.ts';

/** What clients see of each driver model. The models themselves are MODELS in `src/drivers`. */
const SCHEMAS = [
  synthetic,
  webhook,
  manual,
  vfioAp,
  vfioCcw,
  gvtG,
  mtty,
  mdpy,
  mbochs,
] as const satisfies readonly DriverSchemas[];

type Configs<T extends readonly DriverSchemas[]> = { -readonly [I in keyof T]: T[I]['config'] };
type All<U> = (U extends unknown ? (each: U) => void : never) extends (each: infer I) => void ? I : never;

const TYPES = SCHEMAS.map(({ config }) => `"${config.properties.type.const}"`);

/** The driver of an mdev. */
export const Driver = Type.Union(SCHEMAS.map(({ config }) => config) as unknown as Configs<typeof SCHEMAS>, {
  description: `a driver with "type" ${TYPES.slice(0, -1).join(', ')} or ${TYPES.at(-1)}`,
});
export type Driver = Static<typeof Driver>;

const Hex = Type.String({ pattern: '^0x(0|[1-9a-f][0-9a-f]{0,15})$' });

/** A call that a driver model made into VFIO. */
const VfioCall = Type.Object(
  {
    op: Type.String({ description: 'pin, unpin or dma-rw' }),
    device: Type.String(),
    iova: Type.Optional(Hex),
    iovas: Type.Optional(Type.Array(Hex, { description: 'in place of iova, up to 5.19' })),
    npage: Type.Optional(Type.Integer()),
    length: Type.Optional(Type.Integer()),
    ret: Type.Optional(Type.Integer({ description: 'as in C; absent where the function is void' })),
    by: Type.Optional(Type.String({ description: '"worker": from a workqueue' })),
  },
  { title: 'VfioCall' },
);

/** What driver models do within a call, which the answer of any call may have. */
export const DRIVER_EFFECTS: TProperties = {
  vfio: Type.Array(VfioCall, { description: 'calls that driver models made into VFIO, in order' }),
  unpinnedNotHeld: Type.Array(Type.Object({ device: Type.String(), iova: Hex, npage: Type.Integer() }), {
    description: 'pages a driver model gave back that it did not hold',
  }),
  ...Object.assign({}, ...SCHEMAS.map((schemas: DriverSchemas) => schemas.effects)),
};

/** Fields of the models' answers that expectations have. */
export const DRIVER_EXPECTED: TProperties = Object.assign(
  {},
  ...SCHEMAS.map((schemas: DriverSchemas) => schemas.expected),
);

/** What the devices of each model share on a host, as a snapshot has it; null where it is as on a fresh host. */
export const DRIVER_HOSTS: TProperties = Object.fromEntries(
  SCHEMAS.flatMap(({ config, host }: DriverSchemas) =>
    host ? [[config.properties.type.const, nullable(host, 'null, or what the devices share')]] : [],
  ),
);

/** The calls that only the devices of one model have, by name. */
export type DriverCalls = All<(typeof SCHEMAS)[number]['calls']>;
type DriverCallName = keyof DriverCalls;

const CALLS = Object.entries(
  Object.assign({}, ...SCHEMAS.map(({ calls }) => calls)) as Record<
    string,
    { args: TObject; answer?: TProperties }
  >,
);

/** Their arguments. */
export const DRIVER_CALL_ARGS = Object.fromEntries(CALLS.map(([name, call]) => [name, call.args])) as {
  readonly [N in DriverCallName]: DriverCalls[N]['args'];
};

/** They are all made on a device. */
export const DRIVER_CALL_TARGETS = Object.fromEntries(CALLS.map(([name]) => [name, 'device'])) as {
  readonly [N in DriverCallName]: 'device';
};

/** Fields of their answers; a call that is not here answers none. */
export const DRIVER_CALL_ANSWERS = Object.fromEntries(
  CALLS.flatMap(([name, { answer }]) => (answer ? [[name, answer]] : [])),
) as {
  readonly [N in DriverCallName as DriverCalls[N] extends { answer: TProperties }
    ? N
    : never]: DriverCalls[N] extends { answer: infer A extends TProperties } ? A : never;
};
