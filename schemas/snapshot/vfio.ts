import { type Static, Type } from '@sinclair/typebox';
import { Driver } from '../drivers/index.ts';
import { IommuProperties } from '../iommu.ts';
import { DeviceKind } from '../kinds.ts';
import { Count, Number31, nullable, object, PageAddress, PageSize, SavedLock } from '../saved.ts';
import { GroupId, Guest, Id, oneOf } from '../values.ts';
import { SavedIoas } from './iommufd.ts';
import { SavedOwner } from './process.ts';
import { SavedIommu } from './type1.ts';

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

/** A container with what is behind it. */
export const SavedContainer = object({
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

/** A group. */
export const SavedGroup = object({
  group: GroupId,
  /** Of a group whose devices are gone, while another one has its name: that name. */
  name: Type.Optional(GroupId),
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

/** A device with its driver. */
export const SavedDevice = object({
  device: Id,
  number: Number31,
  kind: DeviceKind,
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
