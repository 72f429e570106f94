import { vfioAp } from '../../../schemas/drivers/vfio-ap.ts';
import { checkInjected } from '../injected.ts';
import { type Model, throughGuest } from '../model.ts';
import { VfioApDriver } from './driver.ts';

/** What a kernel has unless the client names a variant. */
const ERAS = {
  '5.10': { variant: 'notifier' },
  '6.1': { variant: 'callback' },
  '6.12': { variant: 'range' },
} as const;

/**
 * On a closed device a guest's PQAP is answered 01, as KVM does without a driver; the RESET ioctl needs the
 * device file.
 */
export const vfioApModel: Model<typeof vfioAp, VfioApDriver, (typeof ERAS)[keyof typeof ERAS]> = {
  type: 'vfio-ap',
  schemas: vfioAp,
  eras: ERAS,
  create: (config, era) => new VfioApDriver({ ...era, ...config }),
  calls: {
    'ap-enable-interrupt': {
      way: throughGuest,
      *run(driver, api, { apqn, nib, isc }) {
        return { response: yield* driver.aqic(api, apqn, { nib: BigInt(nib), isc }) };
      },
    },
    'ap-disable-interrupt': {
      way: throughGuest,
      *run(driver, api, { apqn }) {
        return { response: yield* driver.aqic(api, apqn, null) };
      },
    },
    'ap-reset': {
      way: ({ apqn }) => (apqn === undefined ? 'file' : 'guest'),
      *run(driver, api, { apqn }) {
        if (apqn === undefined) return (yield* driver.reset(api)) ?? {};
        const queue = driver.queue(apqn);
        if (!queue) return api.refuse('ENODEV', `queue ${apqn} is not assigned`);
        return (yield* driver.resetOne(api, queue)) ?? {};
      },
    },
    'ap-inject': {
      way: throughGuest,
      check: (driver, { apqn, instruction, responses }) =>
        checkInjected(driver.queue(apqn)?.injectedCount(instruction) ?? 0, responses.length),
      *run(driver, api, { apqn, instruction, responses }) {
        const queue = driver.queue(apqn);
        if (!queue) return api.refuse('ENODEV', `queue ${apqn} is not assigned`);
        queue.inject(instruction, responses);
        return {};
      },
    },
  },
  checkState(driver, { queues }) {
    const matrix = driver.apqns.join(', ');
    const named = queues.map(({ apqn }) => apqn).join(', ');
    return named === matrix
      ? null
      : { field: 'queues', rule: `has APQNs ${named}, but the matrix has ${matrix}` };
  },
};
