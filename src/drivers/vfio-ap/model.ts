import { type VfioApSaved, vfioAp } from '../../../schemas/drivers/vfio-ap.ts';
import type { DriverTask } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { ListOf } from '../../kernel/vfio/container.ts';
import { checkInjected } from '../injected.ts';
import {
  type DriverAnswer,
  type HostCall,
  type HostCodec,
  type Model,
  type ModelHost,
  throughGuest,
  type WrongState,
} from '../model.ts';
import { Linux510 } from './linux-5.10.ts';
import { Linux61 } from './linux-6.1.ts';
import { Linux612 } from './linux-6.12.ts';
import { Linux72 } from './linux-7.2.ts';
import { MatrixDev } from './matrix-dev.ts';
import { MatrixMdev } from './mdev.ts';
import { observe } from './observe.ts';
import { MatrixDevRestorer, saveMatrixDev } from './saved.ts';
import type { ApSplats } from './splats.ts';
import type { VfioAp } from './vfio-ap.ts';

interface Era {
  new (matrixDev: MatrixDev): VfioAp;
  readonly splats: ApSplats;
}

const ERAS: Readonly<Record<string, Era>> = {
  '5.10': Linux510,
  '6.1': Linux61,
  '6.12': Linux612,
  '7.2': Linux72,
};

/** The era that a client's variant names. */
const OF_VARIANT = { notifier: Linux510, callback: Linux61, range: Linux612 } as const;
type Variant = keyof typeof OF_VARIANT;

/** What the AP devices of a host share: the driver as the host's kernel has it. */
class ApHost implements ModelHost {
  readonly matrixDev: MatrixDev = new MatrixDev();
  readonly driver: VfioAp;
  private saved: VfioApSaved | null = null;

  constructor(era: Era) {
    this.driver = new era(this.matrixDev);
  }

  /** The driver in a variant: the host's own where it is of that variant. */
  inVariant(variant: Variant | undefined): VfioAp {
    if (!variant || this.driver instanceof OF_VARIANT[variant]) return this.driver;
    return new OF_VARIANT[variant](this.matrixDev);
  }

  save(codec: HostCodec, list: ListOf): VfioApSaved | null {
    const saved = saveMatrixDev(this.matrixDev, codec, list);
    const fresh = saveMatrixDev(new MatrixDev(), codec, list);
    return JSON.stringify(saved) === JSON.stringify(fresh) ? null : saved;
  }

  /** What is saved names devices, which are not there yet. */
  restore(saved: VfioApSaved): void {
    this.saved = saved;
  }

  *settle(mdevs: readonly MatrixMdev[], codec: HostCodec): Generator<void, WrongState | null> {
    const { saved } = this;
    this.saved = null;
    if (!saved)
      return mdevs.length > 0 ? { field: '', rule: 'is null, but there is a device of this type' } : null;
    return yield* new MatrixDevRestorer(this.matrixDev, mdevs, codec).restore(saved);
  }
}

function variantOf(driver: VfioAp): Variant {
  if (driver instanceof Linux510) return 'notifier';
  return driver instanceof Linux61 ? 'callback' : 'range';
}

const hardwareOf = ({ module }: MatrixMdev) => module.matrixDev.hardware;

const ok = (errno: Errno | null): DriverAnswer => errno ?? {};

/** What assigning and unassigning take. */
interface AdapterOrDomain {
  readonly adapter?: number;
  readonly domain?: number;
}

function checkAdapterOrDomain({ adapter, domain }: AdapterOrDomain): string | null {
  return (adapter === undefined) === (domain === undefined)
    ? 'either "adapter" or "domain" must be given'
    : null;
}

/** Sets what a guest has. */
function guestHas(
  what: 'memorySlots' | 'aiv' | 'crycb',
): HostCall<ApHost, { guest: number | string; present: boolean }> {
  return {
    *run({ matrixDev }, _task, { guest, present }) {
      matrixDev.guestOf(guest)[what] = present;
      return {};
    },
  };
}

/** A queue of the host, or ENODEV. */
function* withQueue(
  { matrixDev }: ApHost,
  task: DriverTask,
  apqn: number,
  run: () => KernelStep<Errno | null>,
): KernelStep<DriverAnswer> {
  if (!matrixDev.hardware.hasQueue(apqn)) return task.refuse('ENODEV', `there is no queue ${apqn}`);
  return ok(yield* run());
}

/** The calls whose guest or hardware side needs no open file reach the driver always; the RESET ioctl needs one. */
export const vfioApModel: Model<typeof vfioAp, MatrixMdev, Era, ApHost> = {
  type: 'vfio-ap',
  schemas: vfioAp,
  eras: ERAS,
  newHost: (era) => new ApHost(era),
  create(config, _era, _id, host) {
    const driver = host.inVariant(config.variant);
    return new MatrixMdev({ variant: variantOf(driver), ...config }, driver);
  },
  calls: {
    'ap-enable-interrupt': {
      way: throughGuest,
      *run(mdev, api, { apqn, nib, isc }) {
        return { ...(yield* mdev.pqap(api, mdev.own(apqn), { nib: BigInt(nib), isc })) };
      },
    },
    'ap-disable-interrupt': {
      way: throughGuest,
      *run(mdev, api, { apqn }) {
        return { ...(yield* mdev.pqap(api, mdev.own(apqn), null)) };
      },
    },
    'ap-reset': {
      way: ({ apqn }) => (apqn === undefined ? 'file' : 'guest'),
      *run(mdev, api, { apqn }) {
        return ok(yield* apqn === undefined ? mdev.reset(api) : mdev.resetOne(api, mdev.own(apqn)));
      },
    },
    'ap-assign': {
      way: throughGuest,
      check: (_mdev, args) => checkAdapterOrDomain(args),
      *run(mdev, api, { adapter, domain }) {
        const { module } = mdev;
        if (adapter !== undefined) return ok(yield* module.assignAdapter(api, mdev, adapter));
        return ok(yield* module.assignDomain(api, mdev, domain!));
      },
    },
    'ap-unassign': {
      way: throughGuest,
      check: (_mdev, args) => checkAdapterOrDomain(args),
      *run(mdev, api, { adapter, domain }) {
        const { module } = mdev;
        if (adapter !== undefined) return ok(yield* module.unassignAdapter(api, mdev, adapter));
        return ok(yield* module.unassignDomain(api, mdev, domain!));
      },
    },
    'ap-inject': {
      way: throughGuest,
      check: (mdev, { apqn, instruction, responses }) =>
        checkInjected(hardwareOf(mdev).injectedCount(mdev.own(apqn), instruction), responses.length),
      *run(mdev, api, { apqn, instruction, responses }) {
        const hardware = hardwareOf(mdev);
        if (!hardware.hasQueue(mdev.own(apqn))) return api.refuse('ENODEV', `there is no queue ${apqn}`);
        hardware.inject(mdev.own(apqn), instruction, responses);
        return {};
      },
    },
  },
  splats: ({ splats }) => Object.values(splats),
  observe: ({ matrixDev }) => observe(matrixDev),
  hostCalls: {
    'ap-unbind-queue': {
      run: (host, task, { apqn }) =>
        withQueue(host, task, apqn, () => host.matrixDev.bus.unbind(task, host.driver, apqn)),
    },
    'ap-bind-queue': {
      run: (host, task, { apqn }) =>
        withQueue(host, task, apqn, () => host.matrixDev.bus.bind(task, host.driver, apqn)),
    },
    'ap-host-adapter': {
      *run({ matrixDev: { hardware } }, task, { adapter, configured }) {
        if (!hardware.hasAdapter(adapter)) return task.refuse('ENODEV', `there is no adapter ${adapter}`);
        hardware.configure(adapter, configured);
        return {};
      },
    },
    'ap-bus-scan': {
      *run({ matrixDev, driver }, task) {
        return ok(yield* matrixDev.bus.scan(task, driver));
      },
    },
    'ap-guest-memory-slots': guestHas('memorySlots'),
    'ap-guest-aiv': guestHas('aiv'),
    'ap-guest-crycb': guestHas('crycb'),
    'ap-guest-protected': {
      *run({ matrixDev }, _task, { guest, present, nibShared = true }) {
        const its = matrixDev.guestOf(guest);
        its.protected = present;
        its.sharesNib = nibShared;
        return {};
      },
    },
  },
};
