import type { SavedIommu, SavedMapping, SavedPin } from '../../../schemas/snapshot/type1.ts';
import type { Mm } from '../mm.ts';
import { addressOf, hex, hexAddress } from '../pages.ts';
import { hexNumber } from '../saved/canonical.ts';
import { wrong } from '../saved/checks.ts';
import { each, eachWithPauses } from '../saved/each.ts';
import { saveHolders } from '../saved/holders.ts';
import { saveLock } from '../saved/lock.ts';
import { saveOwner } from '../saved/owner.ts';
import type { ListOf } from '../vfio/container.ts';
import type { Device } from '../vfio/device.ts';
import type { DirtyBitmap } from './dirty-bitmap.ts';
import type { Iommu } from './iommu.ts';

/** A type1 instance. */
export function saveType1(iommu: Iommu, list: ListOf): SavedIommu {
  return {
    type: iommu.type,
    dmaAvail: iommu.dmaAvail,
    dirtyTracking: iommu.dirtyTracking,
    hadDomain: iommu.iovaList.length > 0,
    overlapPossible: iommu.overlapPossible,
    emulatedGroups: iommu.emulatedGroups.map((group) => group.savedAs),
    domainGroups: iommu.domainGroups.map((group) => group.savedAs),
    deviceList: iommu.deviceList.map((device) => device.id),
    lock: saveLock(iommu.lock),
    deviceListLock: saveLock(iommu.deviceListLock),
    stolen: list(
      each(iommu.shadow.stolenPins(), ({ device, page, offset }) => ({
        device,
        iova: hexAddress(page, offset),
      })),
    ),
    mappings: list(each(iommu.mappings.inOrder(), (slot) => saveMapping(iommu, slot, list))),
  };
}

function saveMapping(iommu: Iommu, slot: number, list: ListOf): SavedMapping {
  const { mappings, pins } = iommu;
  const owner = saveOwner(iommu.ownerOf(slot), iommu.owner);
  const reserved = iommu.reservedPagesOf(slot);
  return {
    iova: hexAddress(mappings.iova[slot]!),
    size: hex(addressOf(mappings.size[slot]!)),
    vaddr: hexAddress(mappings.vaddr[slot]!),
    prot: mappings.prot[slot]!,
    lockCap: mappings.lockCap(slot),
    vaddrInvalid: mappings.vaddrInvalid(slot),
    ...(owner ? { owner } : {}),
    ...(reserved === reservedNow(iommu, slot) ? {} : { reservedPages: reserved }),
    depth: mappings.depthOf(slot),
    red: mappings.isRed(slot),
    dirty: iommu.dirtyTracking ? saveBitmap(iommu.bitmapOf(slot), list) : [],
    pins: mappings.hasPins(slot)
      ? list(each(pins.nodesOf(mappings.pinTree(slot)), (pin) => savePin(iommu, pin, list)))
      : [],
  };
}

/** Pages that a domain would pin of a mapping now without a charge. */
export function reservedNow(iommu: Iommu, slot: number): number {
  const { mappings, gen } = iommu;
  if (!gen.type1.zeroPageReserved || !mappings.iommuMapped(slot)) return 0;
  return iommu.ownerOf(slot).mm.zeroPages(mappings.vaddr[slot]!, mappings.size[slot]!);
}

function savePin({ pins }: Iommu, pin: number, list: ListOf): SavedPin {
  return {
    iova: hexAddress(pins.page[pin]!, pins.offset[pin]!),
    pfn: hexNumber(pins.pfn[pin]!),
    holders: saveHolders(pins.holdersOf(pin), list),
  };
}

/** The words that are not 0: reading them leaves the bitmap as it is, stray bits behind its end included. */
function saveBitmap(bitmap: DirtyBitmap, list: ListOf): SavedMapping['dirty'] {
  return list(
    eachWithPauses(bitmap.runs(), ({ word, count, low, high }) => [word, count, hexWord(low, high)]),
  );
}

function hexWord(low: number, high: number): string {
  if (high === 0) return hexNumber(low);
  return `${hexNumber(high)}${low.toString(16).padStart(8, '0')}`;
}

/** Numbers of the devices that hold pins, or believe they do. */
export function holdersIn({ shadow, pins }: Iommu): Set<number> {
  const numbers = pins.holders();
  for (const device of shadow.stolenFrom()) numbers.add(device);
  return numbers;
}

/** Pages that mappings in a domain and pins elsewhere are charged for; stops now and then. */
export function* chargedPages(iommu: Iommu): Generator<void, Map<Mm, number>> {
  const { mappings, pins } = iommu;
  const charged = new Map<Mm, number>();
  let work = 0;
  for (const slot of mappings.inOrder()) {
    if (++work % WORK_MAX === 0) yield;
    // One that ends at 2^64, where ends wrap, may be in the domain without a charge (late-pci-top).
    if (mappings.end(slot) === 0) continue;
    const { mm } = iommu.ownerOf(slot);
    let pages = 0;
    if (mappings.iommuMapped(slot)) pages = mappings.size[slot]! - iommu.reservedPagesOf(slot);
    else if (mappings.hasPins(slot)) {
      for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
        if (!iommu.isReserved(pins.pfn[pin]!)) pages++;
        if (++work % WORK_MAX === 0) yield;
      }
    }
    charged.set(mm, (charged.get(mm) ?? 0) + pages);
  }
  return charged;
}

/** Mappings and pins that are looked at between two stops. */
const WORK_MAX = 1024;

/**
 * Checks that an open device that listens is called. Only a task that hangs on its way leaves one out of the list, and
 * a driver of the notifier era, which unregisters by itself.
 */
export function checkListens(iommu: Iommu, device: Device, where: string): void {
  const { lock, deviceListLock, deviceList } = iommu;
  const { hasDmaUnmap, opensEachFile } = device.driver;
  const hangs = device.group.lock.wedgedBy ?? lock.wedgedBy ?? deviceListLock.wedgedBy;
  if (!hasDmaUnmap || opensEachFile || hangs || deviceList.includes(device)) return;
  throw wrong(where, `is ${device.openCount}, but "${device.id}" is not in the deviceList of its container`);
}
