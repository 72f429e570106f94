import { addressOf, hexAddress, pageOf } from '../pages.ts';
import { nearest, PinShadow } from '../pin-shadow.ts';
import { NIL } from '../rb-links.ts';
import type { PinKey } from '../stolen-pins.ts';
import type { Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Ioas } from './ioas.ts';

/** The shadow of an IOAS's pins. */
export class AccessShadow extends PinShadow {
  /** A device has pinned pages, first to last. */
  pinned(device: Device, first: number, last: number): void {
    this.forget(device, first, 0, last - first + 1);
  }

  /** A device unpinned pages that are no pin: others are there, which begin or end elsewhere, or none at all. */
  noSuchPin(task: Task, ioas: Ioas, device: Device, slot: number, page: number, until: number): void {
    const { areas, accesses } = ioas;
    const start = areas.vaddrOf(slot, page);
    const [there] = accesses.overlapping(areas.pages(slot), start, areas.vaddrOf(slot, until));
    const npage = until - page + 1;
    if (there === undefined) {
      const held = () => nearest(device, page, heldBy(ioas, device));
      this.unpinNotPinned(task, device, { page, offset: 0, npage }, held);
      return;
    }
    const pin = keyOf(ioas, slot, there);
    const text =
      `${device.id} unpinned ${counted(npage)} at ${hexAddress(page)}, pinned as ${counted(pin.npage)} at ` +
      `${hexAddress(pin.page)}: what was pinned in one call must be unpinned in one`;
    task.advise('UNPIN_NOT_AS_PINNED', [device.id], addressOf(page), text);
  }

  /** A device unpinned pages that are in no mapping. */
  unpinNotMapped(task: Task, ioas: Ioas, device: Device, page: number, npage: number): void {
    const held = () => nearest(device, page, heldBy(ioas, device));
    this.unpinNotPinned(task, device, { page, offset: 0, npage }, held, 'is in no mapping');
  }

  /** An unpin was refused with a warning. */
  unpinRefused(task: Task, ioas: Ioas, device: Device, iova: bigint, why: string): void {
    this.unpinInVain(task, device, iova, why, () => nearest(device, pageOf(iova), heldBy(ioas, device)));
  }

  /** A callback for the mapping at `iova` (bytes) has returned. */
  callbackEnds(task: Task, ioas: Ioas, device: Device, iova: bigint): void {
    const slot = ioas.areas.find(pageOf(iova));
    const left = slot === NIL ? null : firstHeld(ioas, device, slot);
    this.callbackEnded(task, device, left, () => ioas.areas.describe(slot));
  }

  /** A device was closed for the last time. */
  closed(task: Task, ioas: Ioas, device: Device): void {
    let first: PinKey | null = null;
    let held = 0;
    for (const slot of ioas.areas.inOrder()) {
      for (const access of accessesOf(ioas, slot)) {
        const count = ioas.accesses.heldBy(access, device.number);
        if (count > 0) first ??= keyOf(ioas, slot, access);
        held += count;
      }
    }
    this.deviceClosed(task, device, first, held);
  }
}

/** How many mappings are looked at for the pins a device holds. */
const LOOKED_AT = 16_384;

/** The pins that a device holds, lowest first; of the first mappings. */
function* heldBy(ioas: Ioas, device: Device): Generator<PinKey, void, void> {
  if (ioas.accesses.count === 0) return;
  let left = LOOKED_AT;
  for (const slot of ioas.areas.inOrder()) {
    for (const access of accessesOf(ioas, slot)) {
      if (ioas.accesses.heldBy(access, device.number) > 0) yield keyOf(ioas, slot, access);
    }
    if (--left === 0) return;
  }
}

/** The pins of a mapping, lowest first. */
export function* accessesOf({ areas, accesses }: Ioas, slot: number): Generator<number, void, void> {
  if (areas.numAccesses[slot] === 0) return;
  const start = areas.vaddrPage[slot]!;
  yield* accesses.overlapping(areas.pages(slot), start, start + areas.pageCount(slot) - 1);
}

/** A pin by its IOVA. */
export function keyOf({ areas, accesses }: Ioas, slot: number, access: number): PinKey {
  const start = accesses.start[access]!;
  const page = areas.firstPage[slot]! + (start - areas.vaddrPage[slot]!);
  return { page, offset: 0, npage: accesses.last[access]! - start + 1 };
}

/** The first pin of a mapping that a device holds, or null. */
function firstHeld(ioas: Ioas, device: Device, slot: number): PinKey | null {
  for (const access of accessesOf(ioas, slot)) {
    if (ioas.accesses.heldBy(access, device.number) > 0) return keyOf(ioas, slot, access);
  }
  return null;
}

function counted(pages: number): string {
  return pages === 1 ? '1 page' : `${pages} pages`;
}
