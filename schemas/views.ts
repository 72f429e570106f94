import { Type } from '@sinclair/typebox';
import { Count } from './answers.ts';

/** A device as it is shown. */
export const DeviceFields = {
  device: Type.String(),
  group: Type.String(),
  kind: Type.String(),
  openCount: Count,
  groupOpen: Type.Boolean(),
  container: Type.Union([Type.String(), Type.Null()]),
  driver: Type.Optional(Type.Object({}, { additionalProperties: true })),
  state: Type.Optional(Type.Object({}, { additionalProperties: true, description: 'of the driver' })),
};
