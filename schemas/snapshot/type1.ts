import { type Static, Type } from '@sinclair/typebox';
import {
  Count,
  Entries,
  Frame,
  Hex64,
  integer,
  Number31,
  object,
  PageAddress,
  PageSize,
  Positive31,
  SavedLock,
} from '../saved.ts';
import { GroupId, Id, oneOf } from '../values.ts';
import { SavedOwner } from './process.ts';

/** A page that type1 has pinned for drivers. */
export const SavedPin = object({
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

/** An instance of type1. */
export const SavedIommu = object({
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
