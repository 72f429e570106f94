import type { Static } from '@sinclair/typebox';
import { config, type DriverSchemas } from './model.ts';

const sample = <T extends string>(type: T) =>
  ({ config: config(type, {}), calls: {}, state: null }) satisfies DriverSchemas;

/** The kernel's samples of mediated devices, which never pin. */
export const mtty = sample('mtty');
export const mdpy = sample('mdpy');
export const mbochs = sample('mbochs');
export type SampleConfig = Static<typeof mtty.config | typeof mdpy.config | typeof mbochs.config>;
