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

/** What `GET /v1/calls` says of each call. */
const CallView = Type.Object({
  call: Type.String(),
  on: Type.String({ description: 'what it is made on: host, process, container, device or fault' }),
  by: Type.String({ description: 'client, or driver: what is under way may be waiting for it' }),
  reads: Type.Boolean({ description: 'it changes nothing that a client can see' }),
  of: Type.Optional(
    Type.Array(Type.String(), { description: 'the calls it is made of and written down as' }),
  ),
  method: Type.String(),
  path: Type.String(),
  status: Type.Integer({ description: 'on success' }),
  args: Type.Array(
    Type.Object({ name: Type.String(), required: Type.Boolean(), rule: Type.Optional(Type.String()) }),
  ),
});
export const CallList = Type.Object({ calls: Type.Array(CallView) });
