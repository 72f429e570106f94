import { type Static, Type } from '@sinclair/typebox';
import { driverThread, ioctl } from '../calls/stacks.ts';
import { Count, Hex64, injected, nullable, object } from '../saved.ts';
import { Address64, Byte, closedObject, Hex, Id, oneOf } from '../values.ts';
import { args, config, type DriverSchemas } from './model.ts';

/** States of the driver's FSM. */
const CcwState = oneOf('NOT_OPER', 'STANDBY', 'IDLE', 'CP_PROCESSING', 'CP_PENDING');
export type CcwState = Static<typeof CcwState>;

/** What the channel subsystem can be told to fail: the instructions, and quiesce (cancel, halt, clear). */
const OPERATIONS = ['disable', 'quiesce', 'enable', 'start', 'halt', 'clear'] as const;
export type CcwOperation = (typeof OPERATIONS)[number];

export type CcwErrno = Static<typeof CcwErrno>;
const CcwErrno = oneOf('EIO', 'EBUSY', 'ENODEV', 'EACCES');

/**
 * Where the driver can be told to stop, once, until resume-callbacks: `transient-pin`, with the pages pinned that it
 * reads its program from (up to 6.2, and there is no program yet); `release`, with the program gone and its pages not
 * yet given back. Callbacks pass it by in both.
 */
const HoldPlace = oneOf('transient-pin', 'release');
export type HoldPlace = Static<typeof HoldPlace>;

/** The ORB of a START, where it is not the usual: format-1 CCWs, prefetch, suspend allowed, IDAWs of format 2 for 4 KiB. */
const Orb = closedObject({
  fmt: Type.Optional(oneOf(0, 1)),
  pfch: Type.Optional(Type.Boolean()),
  spnd: Type.Optional(Type.Boolean()),
  c64: Type.Optional(Type.Boolean()),
  i2k: Type.Optional(Type.Boolean()),
  b: Type.Optional(Type.Boolean({ description: 'transport mode' })),
});

/** What the SCSW of the I/O region asks for. */
const IoFunction = oneOf('start', 'halt', 'clear', 'none', 'start+halt');

const Interrupts = {
  interrupts: Type.Integer({ description: 'how often the I/O eventfd was signalled' }),
};
const HexByte = Type.String({ pattern: '^0x[0-9a-f]{2}$', description: 'a byte as 0x and two digits' });
/** The subchannel status word of the I/O region. */
const Scsw = Type.Object({
  fctl: Type.Integer(),
  actl: Type.Integer(),
  stctl: Type.Integer(),
  deviceStatus: HexByte,
  subchannelStatus: HexByte,
  count: Type.Integer(),
});

/** What a vfio-ccw device answers: its state, and the runs of pages its channel program has pinned. */
const Subchannel = {
  fsm: Type.String({ description: 'NOT_OPER, STANDBY, IDLE, CP_PROCESSING or CP_PENDING' }),
  pinned: Type.Array(Type.Object({ iova: Hex, npage: Type.Integer() })),
  pinnedPages: Type.Integer(),
};

/** A place in a queue, from 0. */
const Place = nullable(Count, 'an integer from 0 to 2^53-1, or null');

const SavedScsw = object({
  fctl: Byte,
  actl: Byte,
  stctl: Byte,
  deviceStatus: Byte,
  subchannelStatus: Byte,
  count: Count,
  cc: Byte,
});

const SavedSubchannel = object({
  number: Count,
  enabled: Type.Boolean(),
  lpm: Byte,
  unregistering: oneOf('no', 'scheduled', 'done'),
  scsw: SavedScsw,
});

/** How the driver comes to give pages back. */
const BY_WRITE = [
  ...['vfio_unpin_pages', 'fsm_io_request', 'vfio_ccw_mdev_write', 'vfs_write', 'ksys_write'],
  ...['do_syscall_64', 'entry_SYSCALL_64_after_hwframe'],
];
const BY_RESET = ioctl('vfio_unpin_pages', 'cp_free', 'vfio_ccw_mdev_reset', 'vfio_ccw_mdev_ioctl');
const byWorker = (work: string) =>
  driverThread('vfio_unpin_pages', 'cp_free', work, 'process_one_work', 'worker_thread');

/** vfio_ccw: `notifier` up to 5.19, `callback-first-page` as first posted, `range` 6.0, `range-deferred` 6.1.192. */
export const vfioCcw = {
  config: config('vfio-ccw', {
    variant: Type.Optional(oneOf('notifier', 'callback-first-page', 'range', 'range-deferred')),
    reads: Type.Optional(oneOf('pin', 'dma-rw')),
    workAfterCallbacks: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'an integer from 1 to 1000' }),
    ),
  }),
  calls: {
    'ccw-start': {
      about:
        'Writes the I/O region of a vfio-ccw device: starts a channel program, whose pages the driver pins.',
      args: args({
        program: Address64,
        orb: Type.Optional(Orb),
        function: Type.Optional(IoFunction),
      }),
      answer: Subchannel,
      stack: BY_WRITE,
    },
    'ccw-interrupt': {
      about: 'The device’s interrupt arrives: the program has ended, the driver’s work gives its pages back.',
      args: args({}),
      stack: byWorker('vfio_ccw_sch_io_todo'),
      answer: { ...Interrupts, scsw: Type.Optional(Scsw), ...Subchannel },
    },
    'ccw-no-interrupt': {
      about: 'The I/O region is read although no interrupt came.',
      args: args({}),
      answer: { ...Interrupts, scsw: Type.Optional(Scsw), ...Subchannel },
    },
    'ccw-halt': {
      about: 'Writes HALT into the asynchronous command region.',
      args: args({}),
      answer: Subchannel,
    },
    'ccw-clear': {
      about: 'Writes CLEAR into the asynchronous command region.',
      args: args({}),
      answer: Subchannel,
    },
    'ccw-reset': {
      about: 'VFIO_DEVICE_RESET of a vfio-ccw device: quiesces the subchannel and gives its pages back.',
      args: args({}),
      answer: Subchannel,
      stack: BY_RESET,
    },
    'ccw-run-work': {
      about: 'Runs the work that the driver has put off, if there is some.',
      args: args({}),
      answer: { ran: Type.Boolean(), ...Subchannel },
      stack: byWorker('vfio_ccw_notoper_todo'),
    },
    'ccw-hold': {
      about: 'Makes the driver stop, once, at a place between two steps, until resume-callbacks.',
      args: args({ at: HoldPlace }),
    },
    'ccw-inject': {
      about: 'What the subchannel answers to its next instructions, in place of success.',
      args: args({
        operation: oneOf(...OPERATIONS),
        errno: Type.Optional(CcwErrno),
        times: Type.Optional(
          Type.Integer({ minimum: 1, maximum: 256, description: 'an integer from 1 to 256' }),
        ),
      }),
    },
  },
  effects: {
    fsmEvents: Type.Array(Type.Array(Type.String(), { minItems: 2, maxItems: 2 }), {
      description: 'of FSMs: the state before, and the event',
    }),
    interruptsSignalled: Type.Record(Type.String(), Type.Integer(), {
      description: 'how often the I/O eventfd of a device was signalled while nobody waited for it',
    }),
  },
  expected: {
    interrupts: Type.Integer(),
    /** The recordings have the address in it (`cpa`), which may be the host's: it is not compared. */
    scsw: Type.Object({}, { additionalProperties: true }),
  },
  shown: ['fsm', 'pinned'],
  host: object({
    warnedPrefetch: Type.Boolean(),
    /** Those that lost their device, earliest first. */
    former: Type.Array(object({ device: Id, subchannel: SavedSubchannel }), {
      maxItems: 256,
      description: 'an array of up to 256 subchannels',
    }),
  }),
  state: object({
    fsm: CcwState,
    callbacksSinceWork: Count,
    holdAt: Type.Optional(HoldPlace),
    injected: injected(
      OPERATIONS,
      Type.Array(CcwErrno, { minItems: 1, maxItems: 1024, description: 'an array of 1 to 1024 errnos' }),
    ),
    subchannel: SavedSubchannel,
    /** The program that holds pages. */
    program: nullable(
      object({
        orb: object({
          cpa: Count,
          fmt: oneOf(0, 1),
          pfch: Type.Boolean(),
          spnd: Type.Boolean(),
          c64: Type.Boolean(),
          i2k: Type.Boolean(),
          b: Type.Boolean(),
        }),
        /** Keys of the pages of each CCW that has some, in the order in which they are unpinned. */
        arrays: Type.Array(
          Type.Array(Hex64, { maxItems: 33, description: 'the keys of up to 33 blocks of 2 KiB' }),
          { maxItems: 262_144, description: 'an array of up to 262144 CCWs' },
        ),
      }),
      'null, or {orb, arrays}',
    ),
    /** The last interrupt's status, and what of it is in the I/O region. */
    irb: nullable(SavedScsw, 'null, or a subchannel status word'),
    region: nullable(SavedScsw, 'null, or a subchannel status word'),
    /** Places of its work in the driver's workqueue, which all devices share. */
    queue: object({ io: Place, notoper: Place, unregister: Place }),
  }),
} satisfies DriverSchemas;

export type VfioCcwConfig = Static<typeof vfioCcw.config>;
export type VfioCcwState = Static<typeof vfioCcw.state>;
export type ChannelSubsystemState = Static<typeof vfioCcw.host>;
export type SubchannelState = Static<typeof SavedSubchannel>;
