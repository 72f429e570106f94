import type { hostCalls as entries } from '../../../schemas/calls/host.ts';
import { FaultFields } from '../../../schemas/faults.ts';
import { giveTime } from '../../drivers/index.ts';
import { type CallHandlers, idTaken, NOTHING, type PreparedCall } from '../call-handler.ts';
import { checkFault } from '../faults.ts';
import type { Machine } from '../machine.ts';
import { Refused } from '../refused.ts';

/** The largest value of the parameter dma_entry_limit, an unsigned int. */
const UINT_MAX = 2n ** 32n - 1n;

/** Calls on the host itself. */
export const hostCalls: CallHandlers<keyof typeof entries> = {
  /** The process sleeps: deferred work of the driver models has time. */
  sleep: (machine, _host, { milliseconds }) =>
    function* (task) {
      if (milliseconds > 0) yield { sleep: milliseconds };
      yield* giveTime(machine.kernel, task);
      return NOTHING;
    },
  'set-parameters': (machine, _host, args) =>
    function* (task) {
      const { dmaEntryLimit } = args;
      if (dmaEntryLimit !== undefined && BigInt(dmaEntryLimit) > UINT_MAX) {
        return task.refuse('ERANGE', `dmaEntryLimit ${dmaEntryLimit} is more than an unsigned int holds`);
      }
      if (dmaEntryLimit !== undefined) machine.kernel.dmaEntryLimit = Number(dmaEntryLimit);
      if (args.allowUnsafeInterrupts !== undefined)
        machine.kernel.allowUnsafeInterrupts = args.allowUnsafeInterrupts;
      if (args.enableUnsafeNoiommuMode !== undefined)
        machine.kernel.enableUnsafeNoiommuMode = args.enableUnsafeNoiommuMode;
      if (args.panicOnWarn !== undefined) machine.policy.panicOnWarn = args.panicOnWarn;
      if (args.panicOnOops !== undefined) machine.policy.panicOnOops = args.panicOnOops;
      if (args.adviseNoCallback !== undefined) machine.kernel.adviseNoCallback = args.adviseNoCallback;
      if (args.warnOnPinnedUnmap !== undefined) machine.kernel.warnOnPinnedUnmap = args.warnOnPinnedUnmap;
      return NOTHING;
    },
  'kernel-taint': ({ kernel: { taint } }) =>
    function* () {
      return { user: taint.has('U'), warn: taint.has('W'), die: taint.has('D') };
    },
  'add-fault': (machine, _host, args) => {
    const given = Object.fromEntries(
      Object.entries(args).filter(([field, value]) => field in FaultFields && value !== undefined),
    );
    checkFault(given as typeof args);
    machine.faults.checkRoom();
    return function* (task) {
      return machine.faults.add(given as typeof args) ?? idTaken(task, 'fault', args.fault!);
    };
  },
  'remove-fault': (machine, id) => {
    if (!machine.faults.has(id)) throw Refused.notFound('fault', id);
    return function* () {
      machine.faults.remove(id);
      return NOTHING;
    };
  },
  'clear-faults': (machine) =>
    function* () {
      machine.faults.clear();
      return NOTHING;
    },
  'pause-faults': (machine, _host, { fault }) => pauseFaults(machine, fault, true),
  'resume-faults': (machine, _host, { fault }) => pauseFaults(machine, fault, false),
};

function pauseFaults(machine: Machine, fault: string | undefined, paused: boolean): PreparedCall {
  if (fault !== undefined && !machine.faults.has(fault)) throw Refused.notFound('fault', fault);
  return function* () {
    machine.faults.pause(fault, paused);
    return NOTHING;
  };
}
