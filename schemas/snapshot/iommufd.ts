import { type Static, Type } from '@sinclair/typebox';
import { Hex64, integer, Number31, nullable, object, PageAddress, Positive31, SavedLock } from '../saved.ts';
import { Id, oneOf } from '../values.ts';
import { SavedOwner } from './process.ts';
import { SavedPin } from './type1.ts';

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

/** An IOAS of iommufd. */
export const SavedIoas = object({
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
