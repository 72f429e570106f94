import type { SavedAccess, SavedArea, SavedContainer, SavedIoas } from '../../schemas/snapshot.ts';
import type { IommufdAccess } from '../kernel/iommufd/access.ts';
import { accessesOf, keyOf } from '../kernel/iommufd/access-shadow.ts';
import type { IommufdCtx } from '../kernel/iommufd/ctx.ts';
import type { Ioas } from '../kernel/iommufd/ioas.ts';
import type { CompatContainer } from '../kernel/iommufd/vfio-compat.ts';
import { hex, hexAddress } from '../kernel/pages.ts';
import { saveLock } from './locks.ts';

/** A container that iommufd provides, with its IOAS. */
export function saveCompatContainer({ id, process, open, groups, iommu }: CompatContainer): SavedContainer {
  return {
    container: id,
    process: process.id,
    open,
    groups: groups.map((group) => group.id),
    lock: null,
    iommu: null,
    ioas: iommu.ioas && saveIoas(iommu, iommu.ioas),
  };
}

function saveIoas(ctx: IommufdCtx, ioas: Ioas): SavedIoas {
  const accesses = [...ctx.devices.values()].filter((access) => access !== null);
  return {
    disableLargePages: ioas.disableLargePages,
    accesses: accesses.sort((a, b) => a.slot - b.slot).map(saveAccess),
    domainDevices: ioas.domainDevices.map((device) => device.id),
    stolen: ioas.shadow
      .stolenPins()
      .map(({ device, page, npage }) => ({ device, iova: hexAddress(page), npage })),
    areas: Array.from(ioas.areas.inOrder(), (slot) => saveArea(ioas, slot)),
  };
}

function saveAccess(access: IommufdAccess): SavedAccess {
  const { device, slot, ioas, ioasUnpin, removed, shorttermUsers } = access;
  const attached = removed ? 'removed' : 'attached';
  return {
    device: device.id,
    slot: slot < 0 ? null : slot,
    state: ioas ? attached : ioasUnpin ? 'detached' : 'bound',
    lock: saveLock(shorttermUsers),
  };
}

function saveArea(ioas: Ioas, slot: number): SavedArea {
  const { areas, accesses } = ioas;
  return {
    iova: hex(areas.iova(slot)),
    size: hex(areas.length(slot)),
    vaddr: hexAddress(areas.vaddrPage[slot]!, areas.vaddrOffset[slot]!),
    prot: areas.prot[slot]!,
    accounted: areas.pages(slot).accounted,
    closed: areas.preventAccess(slot),
    pins: Array.from(accessesOf(ioas, slot), (access) => {
      const { page, npage } = keyOf(ioas, slot, access);
      return { iova: hexAddress(page), npage, holders: [...accesses.holdersOf(access)] };
    }),
  };
}

/** Numbers of the devices that hold pins of an IOAS, or believe they do. */
export function holdersIn(ioas: Ioas): Set<number> {
  const numbers = new Set(ioas.shadow.stolenPins().map(({ device }) => device));
  for (const slot of ioas.areas.inOrder()) {
    for (const access of accessesOf(ioas, slot)) {
      for (const holder of ioas.accesses.holdersOf(access).keys()) numbers.add(holder);
    }
  }
  return numbers;
}
