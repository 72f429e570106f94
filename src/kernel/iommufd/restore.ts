import type { SavedAccess, SavedArea, SavedIoas } from '../../../schemas/snapshot/iommufd.ts';
import { IOMMU_WRITE } from '../../../schemas/uapi.ts';
import type { Kernel } from '../kernel.ts';
import { isPageAligned, PAGE_SIZE, pageOf, TOP } from '../pages.ts';
import { STOLEN_MAX } from '../pin-shadow.ts';
import type { MappingOwner } from '../process.ts';
import { NIL } from '../rb-links.ts';
import { checkDifferent, wrong } from '../saved/checks.ts';
import { checkDeviceNumber, countHolders } from '../saved/holders.ts';
import { restoreLock } from '../saved/lock.ts';
import { restoreOwner } from '../saved/owner.ts';
import type { Device } from '../vfio/device.ts';
import type { IommufdAccess } from './access.ts';
import { isReserved } from './domain.ts';
import type { Ioas } from './ioas.ts';
import { IoptPages } from './iopt-pages.ts';
import { AREAS_MAX, at } from './map.ts';
import { PIN_PAGES_MAX } from './pin-pages.ts';
import type { CompatContainer } from './vfio-compat.ts';

const PAGE = BigInt(PAGE_SIZE);

/** The IOAS of a container, and the devices that were opened through it. Groups are in it already. */
export function* restoreIoas(
  kernel: Kernel,
  container: CompatContainer,
  saved: SavedIoas,
  where: string,
): Generator<void, void> {
  const ioas = container.iommu.compatIoasCreate();
  ioas.disableLargePages = saved.disableLargePages;
  for (const [i, access] of saved.accesses.entries()) {
    restoreAccess(kernel, container, ioas, access, `${where}/accesses/${i}`);
  }
  for (const id of saved.domainDevices) {
    const device = takeDevice(kernel, container, id, false, `${where}/domainDevices`);
    ioas.domainDevices.push(device);
  }
  restoreStolen(kernel, ioas, saved, `${where}/stolen`);
  yield* restoreAreas(kernel, ioas, saved.areas, container.process.owner, `${where}/areas`);
  ioas.iovaAlignment = ioas.needsWholePages ? PAGE_SIZE : 1;
}

/** An open device of the right kind that no other container has; it is bound to this one from now on. */
function takeDevice(
  kernel: Kernel,
  container: CompatContainer,
  id: string,
  emulated: boolean,
  where: string,
): Device {
  const device = kernel.devices.get(id);
  if (!device || device.group.emulated !== emulated || device.openCount === 0 || device.openedThrough) {
    const kind = emulated ? 'an mdev' : 'a vfio-pci device';
    throw wrong(where, `has "${id}", which is not ${kind} that is open and in no other list`);
  }
  device.openedThrough = container;
  container.iommu.addBound(device);
  return device;
}

function restoreAccess(
  kernel: Kernel,
  container: CompatContainer,
  ioas: Ioas,
  saved: SavedAccess,
  where: string,
): void {
  const { device: id, slot, state, lock } = saved;
  const device = takeDevice(kernel, container, id, true, `${where}/device`);
  const access = container.iommu.devices.get(device)!;
  restoreLock(kernel, access.shorttermUsers, lock, `${where}/lock`, true);
  if (state !== 'attached' && !device.group.lock.wedgedBy) {
    throw wrong(`${where}/state`, `is "${state}", but no call on the group of "${id}" hangs`);
  }
  if ((state === 'bound') !== (slot === null)) throw wrong(`${where}/slot`, 'must be null for "bound" alone');
  if (slot === null) return;
  if (slot > kernel.deviceCount) throw wrong(`${where}/slot`, `is ${slot}, more than there were devices`);
  if (ioas.accessList[slot]) throw wrong(`${where}/slot`, `is ${slot}, which another device has`);
  place(ioas, access, slot);
  access.ioas = state === 'detached' ? null : ioas;
  access.ioasUnpin = ioas;
  access.removed = state !== 'attached';
}

function place({ accessList }: Ioas, access: IommufdAccess, slot: number): void {
  while (accessList.length <= slot) accessList.push(null);
  accessList[slot] = access;
  access.slot = slot;
}

function restoreStolen(kernel: Kernel, ioas: Ioas, { stolen }: SavedIoas, where: string): void {
  if (stolen.length > STOLEN_MAX) throw wrong(where, `has more than ${STOLEN_MAX} items`);
  checkDifferent(
    stolen.map(({ device, iova, npage }) => `${device} ${iova} ${npage}`),
    where,
  );
  for (const [i, { device, iova, npage }] of stolen.entries()) {
    checkDeviceNumber(kernel, device, `${where}/${i}/device`);
    ioas.shadow.restoreStolen({ device, page: pageOf(BigInt(iova)), offset: 0, npage });
  }
}

/** In order, apart from each other, and such as the IOAS would take them. */
function* restoreAreas(
  kernel: Kernel,
  ioas: Ioas,
  saved: readonly SavedArea[],
  usual: MappingOwner,
  where: string,
): Generator<void, void> {
  if (saved.length > AREAS_MAX) throw wrong(where, `has more than ${AREAS_MAX} items`);
  let end = 0n;
  for (const [i, area] of saved.entries()) {
    const here = `${where}/${i}`;
    const [iova, size, vaddr] = [BigInt(area.iova), BigInt(area.size), BigInt(area.vaddr)];
    if (iova < end) throw wrong(`${here}/iova`, `is ${area.iova}, within or below the mapping before it`);
    end = iova + size;
    if (size === 0n || end > TOP) throw wrong(`${here}/size`, `is ${area.size}: 0, or beyond 2^64`);
    if (vaddr + size >= TOP) throw wrong(`${here}/vaddr`, `is ${area.vaddr}, from which size reaches 2^64`);
    const whole = [iova, size, vaddr].every(isPageAligned);
    if (!whole && (ioas.needsWholePages || area.pins.length > 0)) {
      throw wrong(here, 'is not made of whole pages, which an attached device, type 1 or a pin needs');
    }
    const last = at(end - 1n);
    const reserved = ioas.hardware.some((iommu) => isReserved(iommu, pageOf(iova), last.page));
    if (reserved || (ioas.hasDomain && area.prot === 0)) {
      throw wrong(here, 'cannot be in an IOMMU domain: its prot is 0, or the IOMMU reserves its range');
    }
    const owner = restoreOwner(kernel, area.owner, usual, `${here}/owner`);
    const pages = new IoptPages(owner, (area.prot & IOMMU_WRITE) !== 0, area.accounted);
    const slot = ioas.areas.insert({ first: at(iova), last, vaddr: at(vaddr), prot: area.prot, pages });
    ioas.areas.setPreventAccess(slot, area.closed);
    yield* restorePins(kernel, ioas, slot, area, `${here}/pins`);
    if (i % 256 === 0) yield;
  }
}

function* restorePins(
  kernel: Kernel,
  ioas: Ioas,
  slot: number,
  { pins }: SavedArea,
  where: string,
): Generator<void, void> {
  const { areas, accesses } = ioas;
  const pages = areas.pages(slot);
  let total = 0;
  for (const [i, { iova, npage, holders }] of pins.entries()) {
    const page = pageOf(BigInt(iova));
    const end = BigInt(iova) + BigInt(npage) * PAGE;
    if (npage > PIN_PAGES_MAX) throw wrong(`${where}/${i}/npage`, `is ${npage}, above ${PIN_PAGES_MAX}`);
    if (BigInt(iova) < areas.iova(slot) || end - 1n > areas.lastIova(slot)) {
      throw wrong(`${where}/${i}/iova`, `is ${iova}, from which npage pages are not in the mapping`);
    }
    const held = yield* countHolders(kernel, holders, total, `${where}/${i}/holders`);
    total += held.total;
    if (i % 512 === 511) yield;
    const start = areas.vaddrOf(slot, page);
    if (accesses.getExact(pages, start, start + npage - 1) !== NIL) {
      throw wrong(where, `has "${iova} ${npage}" twice`);
    }
    accesses.restoreHolders(accesses.add(pages, start, start + npage - 1, holders[0]![0]), held);
  }
  areas.numAccesses[slot] = total;
}
