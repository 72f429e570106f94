import { Type } from '@sinclair/typebox';
import { FaultFields } from '../faults.ts';
import { Address64, Id } from '../values.ts';
import { call } from './entry.ts';

/** Longest sleep of one call, milliseconds. */
export const SLEEP_MAX_MS = 60_000;

/** Calls on the host itself. */
export const hostCalls = {
  /** The process sleeps: deferred work of the driver models has time. */
  sleep: call({
    about: 'User space sleeps: deferred work of the driver models has time to run.',
    on: 'host',
    args: {
      milliseconds: Type.Integer({
        minimum: 0,
        maximum: SLEEP_MAX_MS,
        description: `an integer from 0 to ${SLEEP_MAX_MS}`,
      }),
    },
    rest: { method: 'POST', url: '/v1/sleep', status: 200 },
  }),
  'set-parameters': call({
    about: 'Module parameters of vfio_iommu_type1 and sysctls of the kernel.',
    on: 'host',
    args: {
      dmaEntryLimit: Type.Optional(Address64),
      allowUnsafeInterrupts: Type.Optional(Type.Boolean()),
      enableUnsafeNoiommuMode: Type.Optional(Type.Boolean()),
      panicOnWarn: Type.Optional(Type.Boolean()),
      panicOnOops: Type.Optional(Type.Boolean()),
      warnOnPinnedUnmap: Type.Optional(Type.Boolean()),
      adviseNoCallback: Type.Optional(Type.Boolean()),
    },
    rest: { method: 'POST', url: '/v1/set-parameters', status: 200 },
  }),
  'kernel-taint': call({
    about:
      'The taint flags of the kernel: of warnings, of a BUG, and of user space that drives a device without IOMMU.',
    on: 'host',
    reads: true,
    answer: { user: Type.Boolean(), warn: Type.Boolean(), die: Type.Boolean() },
    rest: { method: 'POST', url: '/v1/kernel-taint', status: 200 },
  }),
  'add-fault': call({
    about:
      'Adds a rule by which calls fail, take time, or lose their callbacks: on the nth call that matches, or on every nth.',
    on: 'host',
    args: FaultFields,
    answer: { fault: Type.String() },
    rest: { method: 'POST', url: '/v1/faults', status: 201 },
  }),
  'remove-fault': call({
    about: 'Removes a fault rule.',
    on: 'fault',
    rest: { method: 'DELETE', url: '/v1/faults/:fault', status: 204 },
  }),
  'clear-faults': call({
    on: 'host',
    about: 'Removes every fault injection rule.',
    rest: { method: 'DELETE', url: '/v1/faults', status: 204 },
  }),
  'pause-faults': call({
    on: 'host',
    about:
      'Pauses a fault injection rule, or all there are: what is paused strikes nothing and counts nothing.',
    args: { fault: Type.Optional(Id) },
    rest: { method: 'POST', url: '/v1/pause-faults', status: 200 },
  }),
  'resume-faults': call({
    on: 'host',
    about: 'Lets a fault injection rule that is paused strike again, or all there are.',
    args: { fault: Type.Optional(Id) },
    rest: { method: 'POST', url: '/v1/resume-faults', status: 200 },
  }),
};
