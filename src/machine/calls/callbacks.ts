import type { callbackCalls as entries } from '../../../schemas/calls/callbacks.ts';
import { ExternalDriver } from '../../drivers/external/driver.ts';
import { SyntheticDriver } from '../../drivers/synthetic/driver.ts';
import type { Device } from '../../kernel/vfio/device.ts';
import type { CallHandlers } from '../call-handler.ts';
import { callbackReturn } from '../callback-return.ts';
import { Refused } from '../refused.ts';

/** Calls on what a driver’s callbacks do, and when they return. */
export const callbackCalls: CallHandlers<keyof typeof entries> = {
  'set-driver': (_machine, device, args) => {
    const driver = syntheticOf(device, 'set-driver');
    return function* (task) {
      const listens = args.driver.onDmaUnmap !== 'no-callback';
      // A driver's operations do not change under an open device.
      if (device.openCount > 0 && listens !== driver.hasDmaUnmap) {
        return task.refuse(
          'EBUSY',
          `${device.id} is open: whether it has a dma_unmap cannot change meanwhile`,
        );
      }
      driver.configure(args.driver);
      return { driver: driver.config };
    };
  },
  'resume-callbacks': (machine, device) => {
    const { id } = device;
    const { driver } = device;
    if (!driver.stopHolding) {
      throw Refused.badRequest(
        `resume-callbacks is for a device whose driver can hold; that of "${id}" cannot`,
      );
    }
    return function* () {
      const { scheduler } = machine.kernel;
      if (driver.stopHolding!()) {
        const held = scheduler.pending.find(
          ({ callback }) => callback?.mode === 'held' && callback.device === id,
        );
        if (held) scheduler.resume(held);
      }
      return {};
    };
  },
  'complete-callback': (machine, { id, driver }, args) => {
    if (!(driver instanceof ExternalDriver)) {
      throw Refused.badRequest(`complete-callback is for a device whose driver is outside; "${id}" has none`);
    }
    const answer = callbackReturn(args, 'body');
    return function* (task) {
      const { scheduler } = machine.kernel;
      const waiting = scheduler.pending.find(
        ({ callback }) => callback?.mode === 'outside' && callback.device === id,
      );
      if (!waiting) return task.refuse('EAGAIN', 'no callback of the device is under way');
      if (driver.config.type === 'webhook' && machine.callsWebhooks) {
        return task.refuse('EBUSY', 'the callback is being delivered to its webhook');
      }
      scheduler.resume(waiting, answer);
      return {};
    };
  },
};

function syntheticOf({ id, driver }: Device, call: string): SyntheticDriver {
  if (driver instanceof SyntheticDriver) return driver;
  throw Refused.badRequest(`${call} is for a device with a synthetic driver; "${id}" has none`);
}
