import { type Static, Type } from '@sinclair/typebox';
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
  description: `a driver with "type" ${TYPES.slice(0, -1).join(', ')} or ${TYPES.at(-1)}`,
});
export type Driver = Static<typeof Driver>;

/** The calls that only the devices of one model have, by name. */
export type DriverCalls = All<(typeof SCHEMAS)[number]['calls']>;

/** Their schemas. */
export const DRIVER_CALLS = Object.assign({}, ...SCHEMAS.map(({ calls }) => calls)) as Readonly<
  Record<string, DriverCallSchema>
>;
