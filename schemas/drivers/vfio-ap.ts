import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Count, Hex64, injected, integer, nullable, object, SavedLock } from '../saved.ts';
import { Address64, Byte, closedObject, GuestIdField, Id, oneOf } from '../values.ts';
import { args, config, type DriverSchemas } from './model.ts';

/** Number of an AP queue: adapter times 256 plus domain. */
const Apqn = Type.Integer({ minimum: 0, maximum: 65535, description: 'an APQN from 0 to 65535' });

/** An AP response code. */
const ApResponse = Type.Integer({ minimum: 0, maximum: 255, description: 'a response code from 0 to 255' });

/** What the guest sees of its PQAP. */
const Pqap = {
  response: Type.Optional(Type.Integer({ description: 'bits 40-47 of GR1: the response code' })),
  cc: Type.Optional(Type.Integer({ description: 'the condition code' })),
  gr1: Type.Optional(Type.String({ description: 'all of GR1, where bits 32-63 are not all of it' })),
  intercept: Type.Optional(Type.String({ description: 'KVM did not answer: userspace is to' })),
};

const Number256 = Type.Integer({ minimum: 0, maximum: 255, description: 'an integer from 0 to 255' });

const Loose = Type.Object({}, { additionalProperties: true });
/** Adapters or domains. */
const Numbers = Type.Array(Number256, {
  maxItems: 256,
  description: 'an array of up to 256 integers from 0 to 255',
});
/** Queues of a host, of which there are so many. */
const queues = <T extends TSchema>(items: T) =>
  Type.Array(items, { maxItems: 65_536, description: 'an array of up to 65536 items' });
const Matrix = object({ adapters: Numbers, domains: Numbers });

/** Exactly one of the two. */
const AdapterOrDomain = args({ adapter: Type.Optional(Number256), domain: Type.Optional(Number256) });

/** Whether a guest has something. */
const GuestHas = args({ guest: GuestIdField, present: Type.Boolean() });

const QUEUE_INSTRUCTIONS = ['tapq', 'aqic-enable', 'aqic-disable', 'zapq'] as const;
const INSTRUCTIONS = [...QUEUE_INSTRUCTIONS, 'gisc-register'] as const;

/** An AP instruction whose answer can be injected, or (gisc-register) the registration of an ISC with KVM. */
const ApInstruction = oneOf(...INSTRUCTIONS);
export type ApInstruction = Static<typeof ApInstruction>;

const savedAnswers = Type.Array(
  object({ response: Byte, irqEnabled: Type.Boolean(), queueEmpty: Type.Boolean() }),
  { minItems: 1, maxItems: 1024, description: 'an array of 1 to 1024 answers' },
);

/**
 * vfio_ap: `notifier` up to 5.19, `callback` in 6.0 and 6.1, `range` from 6.2 on. Without a variant it is that of
 * the host's kernel; so with the other models.
 */
export const vfioAp = {
  config: config('vfio-ap', {
    variant: Type.Optional(oneOf('notifier', 'callback', 'range')),
    queues: Type.Optional(
      Type.Array(Apqn, { minItems: 1, maxItems: 256, uniqueItems: true, description: '1 to 256 APQNs' }),
    ),
  }),
  calls: {
    'ap-enable-interrupt': {
      about:
        'The guest’s PQAP(AQIC) that enables a queue’s interrupts: the driver pins the page of the notification byte.',
      args: args({
        apqn: Apqn,
        nib: Address64,
        isc: Type.Integer({
          minimum: 0,
          maximum: 7,
          description: 'an interruption subclass from 0 to 7',
        }),
      }),
      answer: Pqap,
    },
    'ap-disable-interrupt': {
      about: 'The guest’s PQAP(AQIC) that disables a queue’s interrupts: the driver unpins the page.',
      args: args({ apqn: Apqn }),
      answer: Pqap,
    },
    'ap-reset': {
      about: 'VFIO_DEVICE_RESET of an AP matrix device: zeroizes its queues, or the one named.',
      args: args({ apqn: Type.Optional(Apqn) }),
    },
    'ap-assign': {
      about: 'Assigns an adapter or a domain to the device’s matrix, as its sysfs attribute does.',
      args: AdapterOrDomain,
    },
    'ap-unassign': {
      about: 'Takes an adapter or a domain out of the device’s matrix.',
      args: AdapterOrDomain,
    },
    'ap-inject': {
      about: 'What a queue answers to its next instructions, in place of success.',
      args: args({
        apqn: Apqn,
        instruction: ApInstruction,
        responses: Type.Array(
          Type.Union(
            [
              ApResponse,
              closedObject({
                response: ApResponse,
                irqEnabled: Type.Optional(Type.Boolean()),
                queueEmpty: Type.Optional(Type.Boolean()),
              }),
            ],
            { description: 'a response code from 0 to 255, or {response, irqEnabled, queueEmpty}' },
          ),
          { minItems: 1, maxItems: 256, description: '1 to 256 responses' },
        ),
      }),
    },
  },
  hostCalls: {
    'ap-unbind-queue': { about: 'Unbinds a queue from the vfio_ap driver.', args: args({ apqn: Apqn }) },
    'ap-bind-queue': { about: 'Binds a queue to the vfio_ap driver.', args: args({ apqn: Apqn }) },
    'ap-host-adapter': {
      about: 'Configures an adapter of the host on or off.',
      args: args({ adapter: Number256, configured: Type.Boolean() }),
    },
    'ap-bus-scan': {
      about: 'The AP bus scans: what was configured since the last scan appears or goes.',
      args: args({}),
    },
    'ap-guest-memory-slots': {
      about: 'Whether a guest has memory slots: without them its notification byte has no address.',
      args: GuestHas,
    },
    'ap-guest-aiv': { about: 'Whether a guest has the adapter-interruption facility.', args: GuestHas },
    'ap-guest-crycb': { about: 'Whether a guest has a crypto control block.', args: GuestHas },
    'ap-guest-protected': {
      about:
        'Whether a guest is protected (secure execution), and shares its notification byte with the host.',
      args: args({
        guest: GuestIdField,
        present: Type.Boolean(),
        /** Whether what it names as its notification byte is shared with the host; default yes. */
        nibShared: Type.Optional(Type.Boolean()),
      }),
    },
  },
  effects: {
    instructions: Type.Array(
      Type.Object({
        seq: Type.Integer({ description: 'orders it among all that is listed, calls into VFIO too' }),
        op: Type.String({ description: 'aqic-enable, aqic-disable, tapq, zapq or rapq' }),
        apqn: Apqn,
        response: ApResponse,
        irqEnabled: Type.Optional(Type.Boolean()),
        queueEmpty: Type.Optional(Type.Boolean()),
        isc: Type.Optional(Type.Integer()),
        nibOffset: Type.Optional(Type.String()),
        by: Type.Optional(Type.String({ description: '"worker": not by the calling task' })),
      }),
      { description: 'AP instructions that vfio-ap and the AP bus issued, in order' },
    ),
  },
  expected: Pqap,
  shown: ['queues', 'pinned'],
  observed: {
    guests: Type.Array(Loose, { description: 'guests that hold something: masks, ISCs, a hook' }),
    otherQueues: Type.Array(Loose, { description: 'queues that hold something and no device was made with' }),
  },
  state: null,
  /** The hardware, the AP bus, the guests and the mdevs of a host. */
  host: object({
    /** Adapters that are there, and whether they are configured; domains. */
    adapters: Type.Array(object({ adapter: Number256, configured: Type.Boolean() }), {
      maxItems: 256,
      description: 'an array of up to 256 adapters',
    }),
    domains: Numbers,
    /** What the AP bus found at its last scan. */
    scanned: Matrix,
    /** Queues on the AP bus. */
    queues: queues(
      object({
        apqn: Apqn,
        bound: Type.Boolean(),
        /** The mdev it is linked to, by device. */
        mdev: nullable(Id, 'an id, or null'),
        savedIova: nullable(Hex64, 'an address 0x…, or null'),
        savedIsc: nullable(integer(0, 7, '0 to 7'), 'an integer from 0 to 7, or null'),
        resetResponse: ApResponse,
      }),
    ),
    /** Answers that wait: of queues, and of registrations of an ISC. */
    injected: queues(object({ apqn: Apqn, answers: injected(QUEUE_INSTRUCTIONS, savedAnswers) })),
    registrations: Type.Array(Type.Boolean(), {
      maxItems: 1024,
      description: 'an array of up to 1024 booleans',
    }),
    /** Queues that any device was made with. */
    madeWith: queues(Apqn),
    guests: Type.Array(
      object({
        guest: GuestIdField,
        /** The mdev whose hook it has, by device. */
        hook: nullable(Id, 'an id, or null'),
        masks: Matrix,
        iscs: Type.Array(object({ isc: integer(0, 7, '0 to 7'), count: Count }), {
          maxItems: 8,
          description: 'an array of up to 8 ISCs',
        }),
        crycb: Type.Boolean(),
        aiv: Type.Boolean(),
        memorySlots: Type.Boolean(),
        protected: Type.Boolean(),
        nibShared: Type.Boolean(),
        lock: SavedLock,
        hookLock: SavedLock,
      }),
      { maxItems: 131_072, description: 'an array of up to 131072 guests' },
    ),
    /** Newest first. */
    mdevs: Type.Array(
      object({
        device: Id,
        /** Made with. */
        queues: Type.Array(Apqn, { maxItems: 256, description: 'an array of up to 256 APQNs' }),
        matrix: Matrix,
        shadow: Matrix,
        added: Matrix,
        guest: nullable(GuestIdField, 'a guest, or null'),
        /** Queues in its table, in the table's order. */
        linked: queues(Apqn),
        /** Keys it has pinned, in the order of the pins: no more than the pins of a machine. */
        pinned: Type.Array(Hex64),
      }),
      { maxItems: 65_536, description: 'an array of up to 65536 mdevs' },
    ),
    locks: object({ mdevs: SavedLock, guests: SavedLock, perms: SavedLock }),
  }),
} satisfies DriverSchemas;

export type VfioApConfig = Static<typeof vfioAp.config>;
export type VfioApSaved = Static<typeof vfioAp.host>;
