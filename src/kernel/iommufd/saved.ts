import type { SavedAccess, SavedArea, SavedIoas } from '../../../schemas/snapshot/iommufd.ts';
import type { Mm } from '../mm.ts';
import { hex, hexAddress } from '../pages.ts';
import type { MappingOwner } from '../process.ts';
import { each } from '../saved/each.ts';
import { saveHolders } from '../saved/holders.ts';
import { saveLock } from '../saved/lock.ts';
import { saveOwner } from '../saved/owner.ts';
import type { ListOf } from '../vfio/container.ts';
import type { IommufdAccess } from './access.ts';
import { accessesOf, keyOf } from './access-shadow.ts';
import type { IommufdCtx } from './ctx.ts';
import { chargedIn } from './domain.ts';
import type { Ioas } from './ioas.ts';

/** An IOAS with the devices that are bound to its context. */
export function saveIoas(ctx: IommufdCtx, ioas: Ioas, usual: MappingOwner, list: ListOf): SavedIoas {
  const accesses = [...ctx.devices.values()].filter((access) => access !== null);
  return {
    disableLargePages: ioas.disableLargePages,
    accesses: accesses.sort((a, b) => a.slot - b.slot).map(saveAccess),
    domainDevices: ioas.domainDevices.map((device) => device.id),
    stolen: list(
      each(ioas.shadow.stolenPins(), ({ device, page, npage }) => ({
        device,
        iova: hexAddress(page),
        npage,
      })),
    ),
    areas: list(each(ioas.areas.inOrder(), (slot) => saveArea(ioas, slot, usual, list))),
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

function saveArea(ioas: Ioas, slot: number, usual: MappingOwner, list: ListOf): SavedArea {
  const { areas, accesses } = ioas;
  const owner = saveOwner(areas.pages(slot).owner, usual);
  return {
    iova: hex(areas.iova(slot)),
    size: hex(areas.length(slot)),
    vaddr: hexAddress(areas.vaddrPage[slot]!, areas.vaddrOffset[slot]!),
    prot: areas.prot[slot]!,
    accounted: areas.pages(slot).accounted,
    ...(owner ? { owner } : {}),
    closed: areas.preventAccess(slot),
    pins: list(
      each(accessesOf(ioas, slot), (access) => {
        const { page, npage } = keyOf(ioas, slot, access);
        return { iova: hexAddress(page), npage, holders: saveHolders(accesses.holdersOf(access), list) };
      }),
    ),
  };
}

/** Pages that the mappings of an IOAS are charged for; stops now and then. */
export function* chargedPages(ioas: Ioas): Generator<void, Map<Mm, number>> {
  const charged = new Map<Mm, number>();
  let work = 0;
  for (const slot of ioas.areas.inOrder()) {
    if (++work % WORK_MAX === 0) yield;
    const { mm } = ioas.areas.pages(slot).owner;
    charged.set(mm, (charged.get(mm) ?? 0) + chargedIn(ioas, slot));
  }
  return charged;
}

/** Mappings that are looked at between two stops. */
const WORK_MAX = 1024;

/** Numbers of the devices that hold pins of an IOAS, or believe they do. */
export function holdersIn({ shadow, accesses }: Ioas): Set<number> {
  const numbers = accesses.holders();
  for (const device of shadow.stolenFrom()) numbers.add(device);
  return numbers;
}
