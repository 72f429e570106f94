import { Type } from '@sinclair/typebox';
import { FaultFields } from '../faults.ts';
import { Address64 } from '../values.ts';
import { call } from './entry.ts';

/** Calls on the host itself. */
export const hostCalls = {
  /** The process sleeps: deferred work of the driver models has time. */
  sleep: call({
    on: 'host',
    args: {
      milliseconds: Type.Integer({ minimum: 0, maximum: 60_000, description: 'an integer from 0 to 60000' }),
    },
    rest: { method: 'POST', url: '/v1/sleep', status: 200 },
  }),
  'set-parameters': call({
    on: 'host',
    args: {
      dmaEntryLimit: Type.Optional(Address64),
      allowUnsafeInterrupts: Type.Optional(Type.Boolean()),
      panicOnWarn: Type.Optional(Type.Boolean()),
      panicOnOops: Type.Optional(Type.Boolean()),
      warnOnPinnedUnmap: Type.Optional(Type.Boolean()),
    },
    rest: { method: 'POST', url: '/v1/set-parameters', status: 200 },
  }),
  'add-fault': call({
    on: 'host',
    args: FaultFields,
    answer: { fault: Type.String() },
    rest: { method: 'POST', url: '/v1/faults', status: 201 },
  }),
  'remove-fault': call({
    on: 'fault',
    rest: { method: 'DELETE', url: '/v1/faults/:fault', status: 204 },
  }),
};
