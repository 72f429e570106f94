import type { SavedIommu, SavedMapping, SavedPin } from '../../../schemas/snapshot/type1.ts';
import { ALL_IOVA, usableRanges } from '../iommu/hardware.ts';
import type { Kernel } from '../kernel.ts';
import { isBarFrame, ZERO_PFN } from '../mm.ts';
import { offsetInPage, pageOf, TOP_PAGE } from '../pages.ts';
import { STOLEN_MAX } from '../pin-shadow.ts';
import { NIL, type TreeShape } from '../rb-links.ts';
import { checkDifferent, WrongState, wrong } from '../saved/checks.ts';
import { checkDeviceNumber, countHolders } from '../saved/holders.ts';
import { restoreLock } from '../saved/lock.ts';
import { restoreOwner } from '../saved/owner.ts';
import { treeSteps, WrongShape } from '../tree-shape.ts';
import type { Container } from '../vfio/container.ts';
import type { Group } from '../vfio/group.ts';
import type { Iommu } from './iommu.ts';
import { MAPPINGS_MAX } from './map-dma.ts';
import type { MappingFields } from './mapping-table.ts';
import { reservedNow } from './saved.ts';
import { Type1 } from './type1.ts';

/** The highest dma_entry_limit. */
const ENTRIES_MAX = 2 ** 32 - 1;

/** A type1 instance of a container that has its groups already; devices are there, and open. */
export function* restoreType1(
  kernel: Kernel,
  container: Container,
  saved: SavedIommu,
  where: string,
): Generator<void, Type1> {
  const { gen } = kernel;
  if (saved.type === 6 && !gen.type1.nesting)
    throw wrong(`${where}/type`, `is 6, which ${gen.version} does not have`);
  const iommu = new Type1(kernel, container, saved.type, saved.dmaAvail);
  restoreLock(kernel, iommu.lock, saved.lock, `${where}/lock`);
  restoreLock(kernel, iommu.deviceListLock, saved.deviceListLock, `${where}/deviceListLock`, true);
  attachGroups(iommu, container, saved, where);
  iommu.dirtyTracking = saved.dirtyTracking;
  iommu.overlapPossible = saved.overlapPossible;
  if (saved.overlapPossible && (saved.mappings.length === 0 || !gen.type1.wrapsAtTop)) {
    throw wrong(`${where}/overlapPossible`, 'is true, but takes a mapping, and a kernel up to 6.12');
  }
  if (saved.dirtyTracking && !iommu.v2) throw wrong(`${where}/dirtyTracking`, 'is true, but type is 1');
  restoreDeviceList(kernel, iommu, container, saved.deviceList, `${where}/deviceList`);
  restoreStolen(kernel, iommu, saved, `${where}/stolen`);
  yield* restoreMappings(iommu, saved, `${where}/mappings`);
  for (const [i, mapping] of saved.mappings.entries()) {
    const at = `${where}/mappings/${i}`;
    yield* restorePins(kernel, iommu, i + 1, mapping.pins, `${at}/pins`);
    if (i % 256 === 0) yield;
    yield* restoreBitmap(iommu, i + 1, mapping, `${at}/dirty`);
  }
  return iommu;
}

/** The groups of the container, once each, in the list for their kind. */
function attachGroups(iommu: Iommu, container: Container, saved: SavedIommu, where: string): void {
  const { emulatedGroups, domainGroups } = saved;
  const named = emulatedGroups.length + domainGroups.length;
  if (named === 0 || named !== container.groups.length) {
    throw wrong(`${where}/emulatedGroups and domainGroups`, "must be the container's groups, at least one");
  }
  checkDifferent([...emulatedGroups, ...domainGroups], `${where}/emulatedGroups and domainGroups`);
  const groups = new Map(container.groups.map((group) => [group.savedAs, group]));
  const take = (ids: readonly string[], emulated: boolean, list: Group[], name: string) => {
    for (const id of ids) {
      const group = groups.get(id);
      if (group?.emulated !== emulated) {
        throw wrong(`${where}/${name}`, `has "${id}", which is no such group of the container`);
      }
      list.push(group);
      if (!group.pinnedPageDirtyScope) iommu.nonPinnedGroups++;
    }
  };
  take(emulatedGroups, true, iommu.emulatedGroups, 'emulatedGroups');
  take(domainGroups, false, iommu.domainGroups, 'domainGroups');
  if (iommu.hasDomain && !saved.hadDomain)
    throw wrong(`${where}/hadDomain`, 'is false, but there is a domain');
  if (saved.hadDomain) iommu.iovaList = iommu.hasDomain ? usableRanges(iommu.hardware) : [ALL_IOVA];
}

/** Devices that are called are open in the container, and listen. */
function restoreDeviceList(
  kernel: Kernel,
  iommu: Iommu,
  container: Container,
  ids: readonly string[],
  where: string,
): void {
  checkDifferent(ids, where);
  for (const id of ids) {
    const device = kernel.devices.get(id);
    const listens = device && device.openCount > 0 && device.driver.hasDmaUnmap;
    if (!listens || device.group.container !== container) {
      throw wrong(where, `has "${id}", which is no open device of the container with a dma_unmap`);
    }
    iommu.deviceList.push(device);
  }
}

function restoreStolen(kernel: Kernel, iommu: Iommu, { stolen }: SavedIommu, where: string): void {
  if (stolen.length > STOLEN_MAX) throw wrong(where, `has more than ${STOLEN_MAX} items`);
  checkDifferent(
    stolen.map(({ device, iova }) => `${device} ${iova}`),
    where,
  );
  for (const [i, { device, iova }] of stolen.entries()) {
    checkDeviceNumber(kernel, device, `${where}/${i}/device`);
    const key = BigInt(iova);
    iommu.shadow.restoreStolen({ device, page: pageOf(key), offset: offsetInPage(key), npage: 1 });
  }
}

/** A vaddr can be invalid from 5.12 on, and from 6.2 on only where no mdev is in the container. */
function checkInvalidVaddr({ gen, emulatedGroups }: Iommu, where: string): void {
  const { unmapAllAndVaddr, vaddrExcludesMdevs } = gen.type1;
  if (!unmapAllAndVaddr) throw wrong(where, `is true, but Linux ${gen.version} invalidates no vaddr`);
  if (vaddrExcludesMdevs && emulatedGroups.length > 0)
    throw wrong(where, 'is true, but a vaddr is not invalidated beside an mdev');
}

/** In order, apart from each other but for what a mapping that ends at 2^64 hides, and a valid tree. */
function* restoreMappings(
  iommu: Iommu,
  { mappings, overlapPossible, dmaAvail }: SavedIommu,
  where: string,
): Generator<void, void> {
  if (mappings.length > MAPPINGS_MAX) throw wrong(where, `has more than ${MAPPINGS_MAX} items`);
  if (mappings.length + dmaAvail > ENTRIES_MAX) {
    throw wrong(where, `and dmaAvail are more than ${ENTRIES_MAX} together, the highest dma_entry_limit`);
  }
  const fields: MappingFields[] = [];
  let last = 0;
  let end = 0;
  for (const [i, { iova: start, size: bytes, vaddr, prot, vaddrInvalid, lockCap }] of mappings.entries()) {
    const iova = pageOf(BigInt(start));
    const size = pageOf(BigInt(bytes));
    const iommuMapped = iommu.hasDomain;
    fields.push({ iova, size, vaddr: pageOf(BigInt(vaddr)), prot, iommuMapped, vaddrInvalid, lockCap });
    if (i % 512 === 511) yield;
    if (iova + size > TOP_PAGE) throw wrong(`${where}/${i}/size`, `reaches beyond 2^64 from iova ${start}`);
    if (iova < last) throw wrong(`${where}/${i}/iova`, `is ${start}, below the one before it`);
    if (!overlapPossible && iova < end) {
      throw wrong(`${where}/${i}/iova`, `is ${start}, within the mapping before it`);
    }
    if (!overlapPossible && iommu.gen.type1.wrapsAtTop && iova + size === TOP_PAGE) {
      throw wrong(`${where}/${i}/size`, 'reaches 2^64, but overlapPossible is false');
    }
    if (vaddrInvalid) {
      checkInvalidVaddr(iommu, `${where}/${i}/vaddrInvalid`);
      iommu.vaddrInvalidCount++;
    }
    last = iova;
    end = Math.max(end, iova + size);
  }
  yield;
  const shape = yield* shapeOf(mappings, where);
  yield;
  yield* iommu.mappings.restore(fields, shape);
  yield;
  for (const [i, { owner, reservedPages }] of mappings.entries()) {
    const slot = i + 1;
    if (reservedPages !== undefined) checkReserved(iommu, slot, reservedPages, `${where}/${i}/reservedPages`);
    iommu.setOwner(slot, restoreOwner(iommu.kernel, owner, iommu.owner, `${where}/${i}/owner`));
    iommu.setReservedPages(slot, reservedPages ?? reservedNow(iommu, slot));
    if (i % 512 === 511) yield;
  }
}

/** A domain pins no more pages without a charge than a mapping has, and none of a mapping that is in no domain. */
function checkReserved({ mappings }: Iommu, slot: number, pages: number, where: string): void {
  if (!mappings.iommuMapped(slot)) throw wrong(where, 'is there, but the mapping is in no IOMMU domain');
  const size = mappings.size[slot]!;
  if (pages > size) throw wrong(where, `is ${pages}, but the mapping has ${size} pages`);
}

function* shapeOf(mappings: SavedIommu['mappings'], where: string): Generator<void, TreeShape> {
  try {
    return yield* treeSteps(mappings);
  } catch (error) {
    if (error instanceof WrongShape) throw wrong(`${where}/${error.field}`, error.rule);
    throw error;
  }
}

/** `slot` is the mapping's. */
function* restorePins(
  kernel: Kernel,
  iommu: Iommu,
  slot: number,
  saved: readonly SavedPin[],
  where: string,
): Generator<void, void> {
  if (saved.length === 0) return;
  const { mappings, pins } = iommu;
  const { mm } = iommu.ownerOf(slot);
  if (!iommu.v2) throw wrong(where, 'must be empty: type 1 cannot pin');
  const firstFrame = mm.pfnOf(0);
  const start = mappings.iova[slot]!;
  const end = start + mappings.size[slot]!;
  let root: number = NIL;
  let before = -1n;
  for (const [i, { iova, pfn, holders }] of saved.entries()) {
    const key = BigInt(iova);
    if (key <= before) throw wrong(`${where}/${i}`, 'must come after the one before it');
    before = key;
    const page = pageOf(key);
    const offset = offsetInPage(key);
    const frame = Number(pfn);
    if (offset !== 0 && kernel.gen.core.pinsByPage)
      throw wrong(`${where}/${i}/iova`, `is ${iova}, not that of a page`);
    // A pin's page may begin below its mapping, which then begins within the page.
    if (page >= end || page < start - (offset === 0 ? 0 : 1)) {
      throw wrong(`${where}/${i}/iova`, `is ${iova}, which is not in the mapping`);
    }
    const zero = frame === ZERO_PFN && kernel.gen.type1.zeroPageReserved;
    const known = zero || isBarFrame(frame) || (frame >= firstFrame && frame < firstFrame + TOP_PAGE);
    if (!known) {
      throw wrong(
        `${where}/${i}/pfn`,
        `is ${pfn}, which is no page frame of the process that made the mapping`,
      );
    }
    if (i % 512 === 511) yield;
    const held = yield* countHolders(kernel, holders, 0, `${where}/${i}/holders`);
    const had = pins.count;
    root = pins.add(root, page, offset, frame, holders[0]![0]);
    pins.restoreHolders(had + 1, held);
  }
  mappings.pins[slot] = root;
  mappings.pinCount[slot] = saved.length;
}

function* restoreBitmap(
  iommu: Iommu,
  slot: number,
  { size, dirty }: SavedMapping,
  where: string,
): Generator<void, void> {
  if (!iommu.dirtyTracking) {
    if (dirty.length > 0) throw wrong(where, 'must be empty: dirtyTracking is false');
    return;
  }
  const errno = iommu.allocBitmap(slot);
  if (errno === 'ENOMEM') {
    throw new WrongState(
      `${where}: dirty bitmaps take more than this host's ${iommu.kernel.dirtyBitmaps.inWords}`,
      true,
    );
  }
  if (errno)
    throw wrong(where, `cannot be: the size ${size} of the mapping is more than dirty tracking covers`);
  const bitmap = iommu.bitmapOf(slot);
  let next = 0;
  for (const [i, [word, count, bits]] of dirty.entries()) {
    if (word < next)
      throw wrong(`${where}/${i}`, `begins at word ${word}, within or before the run before it`);
    if (word + count > bitmap.words) {
      throw wrong(`${where}/${i}`, `reaches beyond the bitmap's ${bitmap.words} words`);
    }
    const value = BigInt(bits);
    if (value === 0n) throw wrong(`${where}/${i}`, 'is of words that are 0');
    if (i % 512 === 511) yield;
    yield* bitmap.setRun({ word, count, low: Number(value & 0xffffffffn), high: Number(value >> 32n) });
    next = word + count;
  }
}
