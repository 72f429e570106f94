import { addressOf, hexAddress } from '../pages.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Iommu } from './iommu.ts';

/** References taken from a device behind its back that are remembered; later ones are not. */
export const STOLEN_MAX = 65_536;

/** What a device did with its pins during one callback. */
interface CallbackWatch {
  /** First page of the invalidated range. */
  readonly firstPage: number;
  /** Pages it unpinned within the first page, and elsewhere. */
  atStart: number;
  elsewhere: number;
}

/**
 * The shadow of a container's pins: who did what to whom, for advisories. The kernel knows nothing of it.
 */
export class PinShadow {
  private readonly watches = new Map<number, CallbackWatch>();
  /** Keys a device believes it holds although another one let them go: `device page offset`. */
  private readonly stolen = new Set<string>();

  /** References that a device (its number) believes it has: page and offset of the key, oldest first. */
  stolenKeys(): { device: number; page: number; offset: number }[] {
    return [...this.stolen].map((key) => {
      const [device, page, offset] = key.split(' ').map(Number) as [number, number, number];
      return { device, page, offset };
    });
  }

  /** Notes one of them again, from a snapshot. */
  restoreStolen(device: number, page: number, offset: number): void {
    this.stolen.add(`${device} ${page} ${offset}`);
  }

  /** A pin was made at a key below its mapping's start: the kernel computes an address before its memory. */
  pinned(task: Task, iommu: Iommu, device: Device, slot: number, page: number, offset: number): void {
    if (this.stolen.size > 0) this.stolen.delete(keyOf(device, page, offset));
    if (page >= iommu.mappings.iova[slot]!) return;
    task.advise(
      'MISALIGNED_PIN',
      [device.id],
      addressOf(page, offset),
      `the pin at ${hexAddress(page, offset)} starts below the mapping ${iommu.mappings.describe(slot)} it lands in`,
    );
  }

  /** A device dropped a reference that was another's (its number). */
  foreignUnpin(task: Task, device: Device, owner: number, page: number, offset: number): void {
    const name = task.kernel.deviceName(owner);
    if (this.stolen.size < STOLEN_MAX) this.stolen.add(`${owner} ${page} ${offset}`);
    task.advise(
      'FOREIGN_UNPIN',
      [device.id, name],
      addressOf(page, offset),
      `${device.id} unpinned ${hexAddress(page, offset)}, which only ${name} holds`,
    );
  }

  /** A device unpinned a page of a mapping that is not pinned. */
  unpinNotPinned(task: Task, device: Device, page: number, offset: number): void {
    if (this.stolen.size > 0) this.stolen.delete(keyOf(device, page, offset));
    task.advise(
      'UNPIN_NOT_PINNED',
      [device.id],
      addressOf(page, offset),
      `${device.id} unpinned ${hexAddress(page, offset)}, which is not pinned`,
    );
  }

  /** A device unpinned a page, whatever came of it. */
  unpinned(device: Device, page: number): void {
    const watch = this.watches.get(device.number);
    if (!watch) return;
    if (page === watch.firstPage) watch.atStart++;
    else watch.elsewhere++;
  }

  /** A device uses pages (DMA, or what it believes it has pinned). */
  used(task: Task, device: Device, firstPage: number, pages: number): void {
    if (this.stolen.size === 0) return;
    for (const key of this.stolen) {
      const [owner, page, offset] = key.split(' ').map(Number) as [number, number, number];
      if (owner !== device.number || page < firstPage || page >= firstPage + pages) continue;
      task.advise(
        'USE_AFTER_UNPIN',
        [device.id],
        addressOf(page, offset),
        `${device.id} uses ${hexAddress(page, offset)}, which another device unpinned under it`,
      );
    }
  }

  /** A callback to a device begins. */
  callbackStarts(device: Device, firstPage: number): void {
    this.watches.set(device.number, { firstPage, atStart: 0, elsewhere: 0 });
  }

  /** A callback has returned: what of the device's own is still there? `slot` is NIL when the mapping went. */
  callbackEnds(task: Task, iommu: Iommu, device: Device, slot: number): void {
    const watch = this.watches.get(device.number);
    this.watches.delete(device.number);
    if (slot === NIL || !watch) return;
    const left = firstHeld(iommu, device, slot);
    if (left === NIL) return;
    const iova = addressOf(iommu.pins.page[left]!, iommu.pins.offset[left]!);
    const range = iommu.mappings.describe(slot);
    const key = hexAddress(iommu.pins.page[left]!, iommu.pins.offset[left]!);
    task.advise(
      'IGNORED_INVALIDATION',
      [device.id],
      iova,
      `${device.id} returned from dma_unmap of ${range} with its pin at ${key} still there`,
    );
    if (watch.atStart === 0 || watch.elsewhere > 0) return;
    task.advise(
      'START_ONLY_CHECK',
      [device.id],
      iova,
      `${device.id} unpinned only in the first page of ${range}, but holds ${key}`,
    );
  }

  /** A device was closed for the last time: the pins it leaves behind. */
  closed(task: Task, iommu: Iommu, device: Device): void {
    for (const key of this.stolen) if (key.startsWith(`${device.number} `)) this.stolen.delete(key);
    let leaked = 0;
    let first: number = NIL;
    for (const slot of iommu.mappings.inOrder()) {
      for (const pin of iommu.pins.inOrder(iommu.mappings.pins[slot]!)) {
        const held = iommu.pins.heldBy(pin, device.number);
        if (held > 0 && first === NIL) first = pin;
        leaked += held;
      }
    }
    if (first === NIL) return;
    const { pins } = iommu;
    task.advise(
      'PIN_LEAKED_AT_CLOSE',
      [device.id],
      addressOf(pins.page[first]!, pins.offset[first]!),
      `${device.id} was closed holding ${leaked} references to pages`,
    );
  }
}

function keyOf(device: Device, page: number, offset: number): string {
  return `${device.number} ${page} ${offset}`;
}

/** The first pin of a mapping that a device holds, or NIL. */
function firstHeld(iommu: Iommu, device: Device, slot: number): number {
  for (const pin of iommu.pins.inOrder(iommu.mappings.pins[slot]!)) {
    if (iommu.pins.heldBy(pin, device.number) > 0) return pin;
  }
  return NIL;
}
