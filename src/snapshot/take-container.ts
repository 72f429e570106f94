import type { SavedContainer, SavedIommu, SavedMapping, SavedPin } from '../../schemas/snapshot.ts';
import { CompatContainer } from '../kernel/iommufd/vfio-compat.ts';
import { addressOf, hex, hexAddress } from '../kernel/pages.ts';
import type { DirtyBitmap } from '../kernel/type1/dirty-bitmap.ts';
import { type1Container } from '../kernel/type1/index.ts';
import type { Iommu } from '../kernel/type1/iommu.ts';
import type { Container } from '../kernel/vfio/container.ts';
import { hexNumber } from './canonical.ts';
import { saveLock } from './locks.ts';
import { saveCompatContainer } from './take-ioas.ts';

/** A container with what is behind it. */
export function saveContainer(container: Container): SavedContainer {
  if (container instanceof CompatContainer) return saveCompatContainer(container);
  const { id, process, open, groups, groupLock, iommu } = type1Container(container);
  return {
    container: id,
    process: process.id,
    open,
    groups: groups.map((group) => group.id),
    lock: saveLock(groupLock),
    iommu: iommu && saveIommu(iommu),
  };
}

/** Whether a group of the container says that only pins make its pages dirty: type1 alone asks. */
export function hasDirtyScope(container: Container | null): boolean {
  return container?.iommu != null && !(container instanceof CompatContainer);
}

function saveIommu(iommu: Iommu): SavedIommu {
  return {
    type: iommu.type,
    dmaAvail: iommu.dmaAvail,
    dirtyTracking: iommu.dirtyTracking,
    hadDomain: iommu.iovaList.length > 0,
    overlapPossible: iommu.overlapPossible,
    emulatedGroups: iommu.emulatedGroups.map((group) => group.id),
    domainGroups: iommu.domainGroups.map((group) => group.id),
    deviceList: iommu.deviceList.map((device) => device.id),
    lock: saveLock(iommu.lock),
    deviceListLock: saveLock(iommu.deviceListLock),
    stolen: iommu.shadow
      .stolenPins()
      .map(({ device, page, offset }) => ({ device, iova: hexAddress(page, offset) })),
    mappings: Array.from(iommu.mappings.inOrder(), (slot) => saveMapping(iommu, slot)),
  };
}

function saveMapping(iommu: Iommu, slot: number): SavedMapping {
  const { mappings, pins } = iommu;
  return {
    iova: hexAddress(mappings.iova[slot]!),
    size: hex(addressOf(mappings.size[slot]!)),
    vaddr: hexAddress(mappings.vaddr[slot]!),
    prot: mappings.prot[slot]!,
    lockCap: mappings.lockCap(slot),
    vaddrInvalid: mappings.vaddrInvalid(slot),
    depth: mappings.depthOf(slot),
    red: mappings.isRed(slot),
    dirty: iommu.dirtyTracking ? saveBitmap(iommu.bitmapOf(slot)) : [],
    pins: Array.from(pins.inOrder(mappings.pins[slot]!), (pin) => savePin(iommu, pin)),
  };
}

function savePin({ pins }: Iommu, pin: number): SavedPin {
  return {
    iova: hexAddress(pins.page[pin]!, pins.offset[pin]!),
    pfn: hexNumber(pins.pfn[pin]!),
    holders: [...pins.holdersOf(pin)],
  };
}

/** The words that are not 0: reading them leaves the bitmap as it is, stray bits behind its end included. */
function saveBitmap(bitmap: DirtyBitmap): SavedMapping['dirty'] {
  return Array.from(bitmap.runs(), ({ word, count, low, high }) => [word, count, hexWord(low, high)]);
}

function hexWord(low: number, high: number): string {
  if (high === 0) return hexNumber(low);
  return `${hexNumber(high)}${low.toString(16).padStart(8, '0')}`;
}
