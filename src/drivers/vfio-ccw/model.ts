import { vfioCcw } from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { checkInjected } from '../injected.ts';
import { type DriverAnswer, type DriverCall, type Model, throughFile, throughGuest } from '../model.ts';
import { VfioCcwDriver } from './driver.ts';

/** What a kernel has unless the client names a variant. */
const ERAS = {
  '5.10': { variant: 'notifier', reads: 'pin' },
  '6.1': { variant: 'range-deferred', reads: 'pin' },
  '6.12': { variant: 'range-deferred', reads: 'dma-rw' },
} as const;

/** Runs of pinned pages that an answer lists. */
const LISTED_RUNS = 1024;
/** A channel program's address has 31 bits. */
const PROGRAM_END = 1n << 31n;

/** A call that answers the device's state, besides what `run` answers. */
function stateful<A>(
  way: () => 'file' | 'guest',
  run: (driver: VfioCcwDriver, api: DriverApi, args: A) => KernelStep<DriverAnswer | null>,
): DriverCall<VfioCcwDriver, A> {
  return {
    way,
    *run(driver, api, args) {
      const result = yield* run(driver, api, args);
      return typeof result === 'string' ? result : { ...result, ...driver.answer(LISTED_RUNS) };
    },
  };
}

function* done(errno: Errno | null): KernelStep<Errno | null> {
  return errno;
}

export const vfioCcwModel: Model<typeof vfioCcw, VfioCcwDriver, (typeof ERAS)[keyof typeof ERAS]> = {
  type: 'vfio-ccw',
  schemas: vfioCcw,
  eras: ERAS,
  create: (config, era) => new VfioCcwDriver({ ...era, ...config }),
  calls: {
    'ccw-start': {
      ...stateful(throughFile, (driver, api, { program }: { program: string | number }) =>
        driver.start(api, BigInt(program)),
      ),
      check: (_driver, { program }) =>
        BigInt(program) < PROGRAM_END ? null : `program ${program} is not an address below 2^31`,
    },
    'ccw-interrupt': stateful(throughGuest, function* (driver, api) {
      yield* driver.interrupt(api);
      return null;
    }),
    'ccw-halt': stateful(throughFile, (driver, api) => done(driver.asyncCommand(api, 'halt'))),
    'ccw-clear': stateful(throughFile, (driver, api) => done(driver.asyncCommand(api, 'clear'))),
    'ccw-reset': stateful(throughFile, (driver, api) => driver.reset(api)),
    'ccw-run-work': stateful(throughGuest, function* (driver, api) {
      return { ran: yield* driver.runWork(api) };
    }),
    'ccw-inject': {
      way: throughGuest,
      check: (driver, { operation, times = 1 }) => checkInjected(driver.injectedCount(operation), times),
      *run(driver, _api, { operation, errno = 'EIO', times = 1 }) {
        driver.inject(operation, errno, times);
        return {};
      },
    },
  },
  derived: ['pinnedPages'],
};
