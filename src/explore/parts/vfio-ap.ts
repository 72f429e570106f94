import type { Driver } from '../../../schemas/drivers/index.ts';
import type { Part } from './part.ts';

/** The queue of a device of a scene. */
function queueOf(driver: Driver, number: number): number {
  return driver.type === 'vfio-ap' ? (driver.queues?.[0] ?? number + 1) : number + 1;
}

/** A guest enables and disables the interrupts of its queue, resets it, or goes; the host takes the queue away. */
export const vfioApPart: Part = {
  configure(driver, number) {
    return { ...driver, queues: [queueOf(driver, number)] } as Driver;
  },
  actions({ device, driver, number, pages }) {
    const apqn = queueOf(driver, number);
    const enable = [...pages.addresses()].map((nib) => ({
      call: { call: 'ap-enable-interrupt', device, apqn, nib, isc: 3 },
    }));
    return [
      ...enable,
      { call: { call: 'ap-disable-interrupt', device, apqn } },
      { call: { call: 'ap-reset', device } },
      { call: { call: 'ap-set-guest', device, guest: null } },
      { call: { call: 'ap-unassign', device, domain: apqn % 256 } },
      { call: { call: 'ap-unbind-queue', apqn } },
      { call: { call: 'remove-device', device, ifOpen: 'refuse' } },
    ];
  },
};
