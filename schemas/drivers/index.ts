import { type Static, type TProperties, Type } from '@sinclair/typebox';
import { nullable } from '../saved.ts';
import { Hex } from '../values.ts';
import { manual, webhook } from './external.ts';
import { gvtG } from './gvt-g.ts';
import type { DriverCallSchema, DriverSchemas } from './model.ts';
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
  title: 'Driver',
  description: `a driver with "type" ${TYPES.slice(0, -1).join(', ')} or ${TYPES.at(-1)}`,
});
export type Driver = Static<typeof Driver>;

/** A call that a driver model made into VFIO. */
const VfioCall = Type.Object(
  {
    seq: Type.Optional(Type.Integer({ description: 'orders it among all that is listed, instructions too' })),
    op: Type.String({ description: 'pin, unpin or dma-rw; of vfio-ap also gisc-unregister' }),
    device: Type.Optional(Type.String()),
    iova: Type.Optional(Hex),
    iovas: Type.Optional(Type.Array(Hex, { description: 'in place of iova, up to 5.19' })),
    npage: Type.Optional(Type.Integer()),
    length: Type.Optional(Type.Integer()),
    isc: Type.Optional(Type.Integer()),
    ret: Type.Optional(Type.Integer({ description: 'as in C; absent where the function is void' })),
    by: Type.Optional(Type.String({ description: '"worker": from a workqueue' })),
  },
  { title: 'VfioCall' },
);

type Of<S, F extends string> = All<S extends { [K in F]: infer P } ? P : Record<never, never>>;

const CommonEffects = {
  vfio: Type.Array(VfioCall, { description: 'calls that driver models made into VFIO, in order' }),
  unpinnedNotHeld: Type.Array(Type.Object({ device: Type.String(), iova: Hex, npage: Type.Integer() }), {
    description: 'pages a driver model gave back that it did not hold',
  }),
};

/** What driver models do within a call, which the answer of any call may have. */
export const DRIVER_EFFECTS = Object.assign(
  {},
  CommonEffects,
  ...SCHEMAS.map((schemas: DriverSchemas) => schemas.effects),
) as typeof CommonEffects & Of<(typeof SCHEMAS)[number], 'effects'>;

/** Fields of the models' answers that expectations have. */
export const DRIVER_EXPECTED = Object.assign(
  {},
  ...SCHEMAS.map((schemas: DriverSchemas) => schemas.expected),
) as Of<(typeof SCHEMAS)[number], 'expected'>;

/** Fields that expectations have besides answers, effects and devices. */
export const DRIVER_OBSERVED = Object.assign(
  {},
  ...SCHEMAS.map((schemas: DriverSchemas) => schemas.observed),
) as Of<(typeof SCHEMAS)[number], 'observed'>;

/** What the devices of each model share on a host, as a snapshot has it; null where it is as on a fresh host. */
export const DRIVER_HOSTS: TProperties = Object.fromEntries(
  SCHEMAS.flatMap(({ config, host }: DriverSchemas) =>
    host ? [[config.properties.type.const, nullable(host, 'null, or what the devices share')]] : [],
  ),
);

/** The calls that only the devices of one model have, by name. */
export type DriverCalls = All<(typeof SCHEMAS)[number]['calls']>;

/** The calls on the host that come with one model, by name. */
export type DriverHostCalls = All<Extract<(typeof SCHEMAS)[number], { hostCalls: object }>['hostCalls']>;

/** Their schemas. */
export const DRIVER_CALLS = Object.assign({}, ...SCHEMAS.map(({ calls }) => calls)) as Readonly<
  Record<string, DriverCallSchema>
>;
export const DRIVER_HOST_CALLS = Object.assign(
  {},
  ...SCHEMAS.map(({ hostCalls }: DriverSchemas) => hostCalls),
) as Readonly<Record<string, DriverCallSchema>>;
