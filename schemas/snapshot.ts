import { type Static, Type } from '@sinclair/typebox';
import { DRIVER_HOSTS } from './drivers/index.ts';
import { FaultFields } from './faults.ts';
import { DeviceKind, GONE_MAX } from './kinds.ts';
import { Count, Entries, Hex64, integer, Number31, nullable, object } from './saved.ts';
import { SavedFile, SavedProcess, SavedStore } from './snapshot/process.ts';
import { SavedContainer, SavedDevice, SavedGroup } from './snapshot/vfio.ts';
import { GroupId, Id, oneOf } from './values.ts';

/** The highest number of a next id that is written, and read; low enough to be counted on from. */
export const NEXT_ID_MAX = 2 ** 48;
const NextId = integer(0, NEXT_ID_MAX, '0 to 2^48');
/** Of the next thing that is numbered: so many may still come that all their numbers have 31 bits. */
const NextNumber = integer(0, 2 ** 30, '0 to 2^30');

const SavedFault = object({
  rule: object({ ...FaultFields, fault: Id }),
  seen: Count,
  struck: Count,
  paused: Type.Optional(Type.Literal(true, { description: 'true' })),
});

/** More once-only warnings than any kernel has. */
const ONCE_MAX = 256;

/** The version of the format that is written and read. */
export const SNAPSHOT_VERSION = 1;

const State = object({
  parameters: object({
    /** Absent: false. */
    adviseNoCallback: Type.Optional(Type.Boolean()),
    allowUnsafeInterrupts: Type.Optional(Type.Boolean()),
    enableUnsafeNoiommuMode: Type.Optional(Type.Boolean()),
    dmaEntryLimit: Entries,
    panicOnOops: Type.Boolean(),
    panicOnWarn: Type.Boolean(),
    warnOnPinnedUnmap: Type.Boolean(),
  }),
  /** In the order in which they were set. */
  taint: Type.Array(oneOf('W', 'D', 'U'), {
    maxItems: 3,
    uniqueItems: true,
    description: 'an array of "W", "D" and "U", each at most once',
  }),
  /** Once-only warnings that have fired: ids of the splats' catalogue. */
  warnedOnce: Type.Array(Type.String({ maxLength: 64, description: 'an id' }), {
    maxItems: ONCE_MAX,
    description: `an array of at most ${ONCE_MAX} different ids`,
  }),
  /** Numbers of the next ids. */
  next: object({
    container: NextId,
    device: NextId,
    group: NextId,
    process: NextId,
    fault: NextId,
    deviceNumber: NextNumber,
    /** Calls made so far; absent: none. */
    call: Type.Optional(NextId),
    /** Absent: as many as there are processes; the same. */
    processNumber: Type.Optional(NextNumber),
    mmNumber: Type.Optional(NextNumber),
  }),
  /** In the order in which they strike. */
  faults: Type.Array(SavedFault),
  /** In the order in which they were made, which their page frames tell. */
  processes: Type.Array(SavedProcess),
  /** Processes that have exited but own mappings, or opened containers, by number. */
  exited: Type.Optional(
    Type.Array(
      object({
        process: Id,
        number: Number31,
        memlock: nullable(Hex64, 'a number of bytes 0x…, or null for no limit'),
      }),
    ),
  ),
  /** Open files; absent: containers are open in their processes, groups and devices in p0. */
  files: Type.Optional(Type.Array(SavedFile)),
  stores: Type.Optional(Type.Array(SavedStore)),
  /** By number. */
  groups: Type.Array(SavedGroup),
  /** By number. */
  devices: Type.Array(SavedDevice),
  /** Devices that are gone but hold references, by number. */
  formerDevices: Type.Array(object({ number: Number31, device: Id })),
  /** Devices that were removed and are known, in the order in which they were; of a group that is not listed: its file is closed. */
  goneDevices: Type.Optional(
    Type.Array(
      object({
        number: Number31,
        device: Id,
        kind: DeviceKind,
        group: GroupId,
        /** Its group was another one than that of its name which is listed. */
        former: Type.Optional(Type.Literal(true)),
      }),
      { maxItems: GONE_MAX, description: `an array of at most ${GONE_MAX} devices` },
    ),
  ),
  /** What the devices of each driver model share, by its type. */
  models: object(DRIVER_HOSTS),
  /** By id. */
  containers: Type.Array(SavedContainer),
});

/**
 * The state of a rig's host as one document: everything that matters for what it will answer. Not in it: journal,
 * trace, operations and console, which tell of the past, and limits, which are the service's.
 */
export const SnapshotSchema = Type.Object(
  {
    format: Type.Literal('vfio-host-snapshot'),
    version: Type.Literal(SNAPSHOT_VERSION),
    kernel: Type.String({ maxLength: 16, description: 'a kernel version' }),
    state: State,
  },
  { additionalProperties: false, title: 'Snapshot' },
);
export type Snapshot = Static<typeof SnapshotSchema>;
export type SnapshotState = Snapshot['state'];
