import { type Static, Type } from '@sinclair/typebox';
import { DRIVER_HOSTS, Driver } from './drivers/index.ts';
import { FaultFields } from './faults.ts';
import { IommuProperties } from './iommu.ts';
import {
  Count,
  Exact,
  Frame,
  Hex64,
  integer,
  nullable,
  object,
  PageSize,
  Positive31,
  SavedLock,
} from './saved.ts';
import { Base64, Byte, GroupId, Guest, Id, oneOf } from './values.ts';

/** A multiple of 4096. */
const PageAddress = Type.String({
  pattern: '^0x(?:0|[1-9a-f][0-9a-f]{0,12}000)$',
  description: 'the shortest lower-case 0x… below 2^64, a multiple of 0x1000',
});
const Number31 = integer(0, 2 ** 31 - 1, '0 to 2^31-1');
/** Number of the next id; low enough to be counted on from. */
const NextId = integer(0, 2 ** 48, '0 to 2^48');
/** Limit of mappings, as the parameter dma_entry_limit has it. */
const Entries = integer(0, 2 ** 32 - 1, '0 to 4294967295');

const Contents = Type.Array(
  object({
    page: PageAddress,
    content: Type.Union([Byte, Base64], { description: 'a byte from 0 to 255, or 4096 bytes in base64' }),
  }),
);

/** Contents that regions of several processes may have: the byte of pages that are not listed, and the others. */
const SavedStore = object({ background: Byte, contents: Contents });
export type SavedStore = Static<typeof SavedStore>;

const SavedRegion = object({
  start: PageAddress,
  size: PageSize,
  prot: integer(0, 3, '0 to 3'),
  /** Absent: anonymous. */
  kind: Type.Optional(oneOf('shared', 'hugetlb', 'file', 'device')),
  /** Where not as its prot says. */
  neverWritten: Type.Optional(Type.Boolean()),
  /** Number of its contents, where they are not anonymous memory's or a device's; where in them it begins. */
  store: Type.Optional(Number31),
  from: Type.Optional(PageAddress),
  /** A child of a fork has the same memory. */
  shared: Type.Optional(Type.Literal(true)),
  /** Of a file that was opened for reading. */
  readOnlyFile: Type.Optional(Type.Literal(true)),
  /** Whose BAR 0 it is, and the number of the file it holds. */
  device: Type.Optional(Id),
  file: Type.Optional(Number31),
});
export type SavedRegion = Static<typeof SavedRegion>;

/** Whose a mapping is: numbers of a process and of its memory. */
const SavedOwner = object({ process: Number31, mm: Number31 });
export type SavedOwner = Static<typeof SavedOwner>;

const SavedFile = object({
  of: oneOf('container', 'group', 'device'),
  id: GroupId,
  /** Number of the process that opened it; null where it has exited. */
  opener: nullable(Number31, 'a process number, or null'),
});
export type SavedFile = Static<typeof SavedFile>;

const SavedProcess = object({
  process: Id,
  /** RLIMIT_MEMLOCK; null: none, and CAP_IPC_LOCK. */
  memlock: nullable(Hex64, 'a number of bytes 0x…, or null for no limit'),
  lockedVm: Exact,
  /** Absent: 0, as on every kernel whose containers type1 provides. */
  pinnedVm: Type.Optional(Exact),
  /** Absent: where it is in the list, and the same; whether it has no limit; true. */
  number: Type.Optional(Number31),
  mm: Type.Optional(Number31),
  capIpcLock: Type.Optional(Type.Boolean()),
  capSysRawio: Type.Optional(Type.Boolean()),
  /** It has no memory at all; otherwise, without regions, every address is valid. */
  empty: Type.Optional(Type.Literal(true)),
  regions: Type.Array(SavedRegion),
  /** Descriptors, lowest first, with the number of their file. */
  files: Type.Optional(Type.Array(Type.Tuple([Number31, Number31], { description: '[descriptor, file]' }))),
  /** Pages that are not zero, lowest first: the byte they are full of, or their 4096 bytes. */
  contents: Contents,
});
export type SavedProcess = Static<typeof SavedProcess>;

const SavedPin = object({
  iova: Hex64,
  pfn: Frame,
  /** Device number and references of each holder, earliest first. */
  holders: Type.Array(Type.Tuple([Number31, Positive31], { description: '[device number, references]' }), {
    minItems: 1,
    description: 'an array of [device number, references], not empty',
  }),
});
export type SavedPin = Static<typeof SavedPin>;

const SavedMapping = object({
  iova: PageAddress,
  size: PageSize,
  vaddr: PageAddress,
  prot: integer(1, 3, '1 to 3'),
  lockCap: Type.Boolean(),
  vaddrInvalid: Type.Boolean(),
  /** Absent: that of the instance. */
  owner: Type.Optional(SavedOwner),
  /** Pages that its domain pinned without a charge; absent: as many as its memory has now. */
  reservedPages: Type.Optional(Count),
  /** Its place in the mapping tree: links to the root, and its colour. Mappings are in order, so that is all. */
  depth: integer(0, 64, '0 to 64'),
  red: Type.Boolean(),
  /** Runs of equal 64-bit words of the dirty bitmap that are not 0: first word, how many, the word. */
  dirty: Type.Array(
    Type.Tuple([Count, Positive31, Hex64], { description: '[first word, words, 0x… of each]' }),
  ),
  /** Lowest first. */
  pins: Type.Array(SavedPin),
});
export type SavedMapping = Static<typeof SavedMapping>;

const SavedIommu = object({
  type: oneOf(1, 3, 6),
  dmaAvail: Entries,
  dirtyTracking: Type.Boolean(),
  hadDomain: Type.Boolean(),
  overlapPossible: Type.Boolean(),
  /** Ids, newest first. */
  emulatedGroups: Type.Array(GroupId),
  domainGroups: Type.Array(GroupId),
  /** Ids in the order in which devices are called. */
  deviceList: Type.Array(Id),
  lock: SavedLock,
  deviceListLock: SavedLock,
  /** References that a device believes it has although another one dropped them, oldest first. */
  stolen: Type.Array(object({ device: Number31, iova: Hex64 })),
  mappings: Type.Array(SavedMapping),
});
export type SavedIommu = Static<typeof SavedIommu>;

const SavedAreaPin = object({
  iova: PageAddress,
  npage: Positive31,
  /** Device number and references of each holder, earliest first. */
  holders: SavedPin.properties.holders,
});

const SavedArea = object({
  iova: Hex64,
  size: Hex64,
  vaddr: Hex64,
  prot: integer(0, 3, '0 to 3'),
  /** Its pinned pages count in locked_vm. */
  accounted: Type.Boolean(),
  /** Absent: the process that opened the container, with the memory it has now. */
  owner: Type.Optional(SavedOwner),
  /** An unmap has closed it (`prevent_access`). */
  closed: Type.Boolean(),
  /** By iova, then by number of pages. */
  pins: Type.Array(SavedAreaPin),
});
export type SavedArea = Static<typeof SavedArea>;

const SavedAccess = object({
  device: Id,
  /** Place in the order of callbacks; null where it is not attached. */
  slot: nullable(integer(0, 65_535, '0 to 65535'), 'an integer from 0 to 65535, or null'),
  /** Other than attached only where the call that opens or closes the device hangs. */
  state: oneOf('bound', 'attached', 'removed', 'detached'),
  lock: SavedLock,
});
export type SavedAccess = Static<typeof SavedAccess>;

const SavedIoas = object({
  /** Type 1 was set. */
  disableLargePages: Type.Boolean(),
  /** By slot; those without one first. */
  accesses: Type.Array(SavedAccess),
  /** Ids of devices behind the IOMMU, in the order in which they were attached. */
  domainDevices: Type.Array(Id),
  /** Pins that a device believes it has although another one unpinned them, oldest first. */
  stolen: Type.Array(object({ device: Number31, iova: PageAddress, npage: Positive31 })),
  /** Lowest first. */
  areas: Type.Array(SavedArea),
});
export type SavedIoas = Static<typeof SavedIoas>;

/** Calls by name and number; for words alone. */
const SavedHistory = object({
  /** Mappings that went, oldest first. */
  removals: Type.Array(
    object({
      iova: PageAddress,
      size: PageSize,
      call: Type.String({ maxLength: 64, description: 'the name of a call' }),
      device: Type.Optional(Id),
      number: Count,
    }),
    { maxItems: 256, description: 'an array of at most 256 removals' },
  ),
  /** How it lost its IOMMU. */
  lost: nullable(
    object({ devices: Type.Array(Id), number: Count, mappings: Count }),
    'null, or {devices, number, mappings}',
  ),
});
export type SavedHistory = Static<typeof SavedHistory>;

const SavedContainer = object({
  container: Id,
  process: Id,
  open: Type.Boolean(),
  /** Of a process that has exited. */
  processNumber: Type.Optional(Number31),
  /** Whose most of its mappings are, where that is not its process with the memory it has now. */
  owner: Type.Optional(SavedOwner),
  /** Its type is VFIO_NOIOMMU_IOMMU; iommu is null then. */
  noIommu: Type.Optional(Type.Literal(true)),
  /** Ids, newest first. */
  groups: Type.Array(GroupId),
  lock: SavedLock,
  iommu: nullable(SavedIommu, 'null, or a type1 instance'),
  /** Of a container that iommufd provides; iommu and lock are null then. */
  ioas: Type.Optional(nullable(SavedIoas, 'null, or an IOAS')),
  /** Absent: nothing went before. */
  history: Type.Optional(SavedHistory),
});
export type SavedContainer = Static<typeof SavedContainer>;

const SavedGroup = object({
  group: GroupId,
  emulated: Type.Boolean(),
  /** Its device has no IOMMU. */
  noIommu: Type.Optional(Type.Literal(true)),
  /** Its last device was removed, and its file is dead. */
  revoked: Type.Optional(Type.Literal(true)),
  /** Of a group behind an IOMMU other than the default. */
  iommu: Type.Optional(IommuProperties),
  fdOpen: Type.Boolean(),
  fileOpen: Type.Boolean(),
  /** Only pins make its pages dirty; null without a type1 instance, where it means nothing. */
  pinnedPageDirtyScope: nullable(Type.Boolean(), 'true, false or null'),
  lock: SavedLock,
  /** The guest it was given to, and the one that had it before. */
  guest: Guest,
  lastGuest: Guest,
});
export type SavedGroup = Static<typeof SavedGroup>;

const SavedDevice = object({
  device: Id,
  number: Number31,
  kind: oneOf('mdev', 'vfio-pci', 'noiommu'),
  group: GroupId,
  /** Absent: its VFIO driver. */
  boundTo: Type.Optional(oneOf('none', 'pci-stub', 'other')),
  openCount: Number31,
  /** The memory bit is off. */
  memoryEnabled: Type.Optional(Type.Literal(false)),
  /** What its request channel counted; absent: it has none. */
  requests: Type.Optional(Count),
  /** Number of the contents of its BAR 0; absent: nobody has mapped it. */
  bar: Type.Optional(Number31),
  /** Null for a vfio-pci device. */
  driver: nullable(Driver, 'null, or a driver'),
  driverState: Type.Any({
    description: 'what the driver remembers, by its type; null where that is nothing',
  }),
  driverLock: SavedLock,
});
export type SavedDevice = Static<typeof SavedDevice>;

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
    deviceNumber: Number31,
    /** Calls made so far; absent: none. */
    call: Type.Optional(Count),
    /** Absent: as many as there are processes; the same. */
    processNumber: Type.Optional(Number31),
    mmNumber: Type.Optional(Number31),
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
  /** Devices that were removed while their group's file was open. */
  goneDevices: Type.Optional(
    Type.Array(
      object({ number: Number31, device: Id, kind: oneOf('mdev', 'vfio-pci', 'noiommu'), group: GroupId }),
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
