import { type VfioCcwConfig, vfioCcw } from '../../../schemas/drivers/vfio-ccw.ts';
import type { DriverApi } from '../../kernel/driver.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { checkInjected } from '../injected.ts';
import { type DriverAnswer, type DriverCall, type Model, throughFile, throughGuest } from '../model.ts';
import type { ChannelProgram } from './channel-program.ts';
import { ChannelSubsystem } from './channel-subsystem.ts';
import type { IoRequest, VfioCcwDriver } from './driver.ts';
import { ChannelProgram510, VfioCcw510 } from './linux-5.10.ts';
import { VfioCcw60, VfioCcwAsPosted } from './linux-6.0.ts';
import { ChannelProgram61, VfioCcw61 } from './linux-6.1.ts';
import { ChannelProgram612 } from './linux-6.12.ts';
import { DEFAULT_ORB } from './orb.ts';
import { checkState } from './saved.ts';

/** Runs of pinned pages that an answer lists. */
const LISTED_RUNS = 1024;
/** A channel program's address has 32 bits. */
const PROGRAM_END = 1n << 32n;

/** The driver that a kernel has, unless the client names a variant. */
const ERAS = {
  '5.10': { variant: 'notifier' },
  '6.0': { variant: 'range' },
  '6.1': { variant: 'range-deferred' },
} as const;

/** Its channel programs. */
const PROGRAMS = {
  '5.10': { reads: 'pin', newProgram: () => new ChannelProgram510('pin') },
  '6.1': { reads: 'pin', newProgram: () => new ChannelProgram61() },
  '6.12': { reads: 'dma-rw', newProgram: () => new ChannelProgram612() },
} as const;

type Era = (typeof ERAS)[keyof typeof ERAS] & (typeof PROGRAMS)[keyof typeof PROGRAMS];

/** The driver of each variant. */
const VARIANTS = {
  notifier: VfioCcw510,
  'callback-first-page': VfioCcwAsPosted,
  range: VfioCcw60,
  'range-deferred': VfioCcw61,
} as const;

function create(asked: VfioCcwConfig, era: Era, id: string, css: ChannelSubsystem): VfioCcwDriver | 'ENODEV' {
  const { variant = era.variant, reads = era.reads } = asked;
  const sch = css.subchannel(id, variant === 'notifier');
  if (sch.unregistering !== 'no') return 'ENODEV';
  // A client that names a variant gets the programs that went with it.
  const named = asked.variant !== undefined || asked.reads !== undefined;
  const program = named ? programOf(variant, reads) : era.newProgram();
  return new VARIANTS[variant]({ ...asked, variant, reads }, { id, css, sch }, program);
}

function programOf(variant: keyof typeof VARIANTS, reads: 'pin' | 'dma-rw'): ChannelProgram {
  if (variant === 'notifier') return new ChannelProgram510(reads);
  return reads === 'pin' ? new ChannelProgram61() : new ChannelProgram612();
}

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

type StartArgs = {
  program: string | number;
  orb?: Partial<Omit<IoRequest['orb'], 'cpa'>>;
  function?: 'start' | 'halt' | 'clear' | 'none' | 'start+halt';
};

function requestOf({ program, orb, function: asked = 'start' }: StartArgs): IoRequest {
  return {
    orb: { ...DEFAULT_ORB, ...orb, cpa: Number(program) },
    start: asked === 'start' || asked === 'start+halt',
    halt: asked === 'halt' || asked === 'start+halt',
    clear: asked === 'clear',
  };
}

/** The SCSW in the I/O region, as calls answer it; absent before the first interrupt. */
function scswOf({ region }: VfioCcwDriver): object {
  if (!region) return {};
  const { fctl, actl, stctl, deviceStatus, subchannelStatus, count } = region;
  const scsw = {
    fctl,
    actl,
    stctl,
    deviceStatus: hex2(deviceStatus),
    subchannelStatus: hex2(subchannelStatus),
  };
  return { scsw: { ...scsw, count } };
}

function hex2(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}

export const vfioCcwModel: Model<typeof vfioCcw, VfioCcwDriver, Era, ChannelSubsystem> = {
  type: 'vfio-ccw',
  schemas: vfioCcw,
  // With the fields of its part an era is whole.
  eras: ERAS as unknown as Readonly<Record<string, Era>>,
  parts: [{ type: 'vfio-ccw-program', eras: PROGRAMS }],
  newHost: () => new ChannelSubsystem(),
  create,
  calls: {
    'ccw-start': {
      ...stateful(throughFile, (driver, api, args: StartArgs) => driver.writeIoRegion(api, requestOf(args))),
      check: (_driver, { program }) =>
        BigInt(program) < PROGRAM_END ? null : `program ${program} is not an address below 2^32`,
    },
    'ccw-interrupt': stateful(throughGuest, function* (driver, api) {
      return { interrupts: yield* driver.interrupt(api), ...scswOf(driver) };
    }),
    'ccw-no-interrupt': stateful(throughGuest, function* (driver, api) {
      return { interrupts: yield* driver.noInterrupt(api), ...scswOf(driver) };
    }),
    'ccw-halt': stateful(throughFile, (driver, api) => driver.writeAsyncRegion(api, 'halt')),
    'ccw-clear': stateful(throughFile, (driver, api) => driver.writeAsyncRegion(api, 'clear')),
    'ccw-reset': stateful(throughFile, (driver, api) => driver.reset(api)),
    'ccw-run-work': stateful(throughGuest, function* (driver, api) {
      return { ran: yield* driver.runWork(api) };
    }),
    'ccw-hold': {
      way: throughGuest,
      check: ({ config }, { at }) =>
        at === 'transient-pin' && config.reads === 'dma-rw'
          ? 'a driver that reads with vfio_dma_rw (from 6.3 on) pins nothing for it'
          : null,
      *run(driver, _api, { at }) {
        driver.holding.at = at;
        return {};
      },
    },
    'ccw-inject': {
      way: throughGuest,
      check: (driver, { operation, times = 1 }) => checkInjected(driver.cio.injected.count(operation), times),
      *run(driver, _api, { operation, errno = 'EIO', times = 1 }) {
        driver.cio.injected.add(operation, new Array(times).fill(errno));
        return {};
      },
    },
  },
  derived: ['pinned', 'pinnedPages', 'active', 'workQueued'],
  pinsOf: ({ program }) => ({
    field: 'program/arrays',
    count: program?.arrays.reduce((sum, keys) => sum + keys.length, 0) ?? 0,
  }),
  *checkState(driver, state) {
    return checkState(driver, state);
  },
};
