import { type CallHandlers, NOTHING } from './result.ts';

/** Calls on the host itself. */
export const hostCalls: CallHandlers<'set-parameters'> = {
  'set-parameters': (m, _id, args) =>
    function* () {
      if (args.dmaEntryLimit !== undefined) m.kernel.dmaEntryLimit = args.dmaEntryLimit;
      if (args.panicOnWarn !== undefined) m.policy.panicOnWarn = args.panicOnWarn;
      if (args.panicOnOops !== undefined) m.policy.panicOnOops = args.panicOnOops;
      if (args.warnOnPinnedUnmap !== undefined) m.kernel.warnOnPinnedUnmap = args.warnOnPinnedUnmap;
      return NOTHING;
    },
};
