import { addressOf, hexAddress } from '../pages.ts';
import { type PinKey, PinShadow } from '../pin-shadow.ts';
import { NIL } from '../rb-links.ts';
import type { Task } from '../task.ts';
import type { Device } from '../vfio/device.ts';
import type { Iommu } from './iommu.ts';

/** The shadow of a type1 container's pins. */
export class Type1Shadow extends PinShadow {
  /** A pin was made at a key below its mapping's start: the kernel computes an address before its memory. */
  pinned(task: Task, iommu: Iommu, device: Device, slot: number, page: number, offset: number): void {
    this.forget(device, page, offset, 1);
    if (page >= iommu.mappings.iova[slot]!) return;
    task.advise(
      'MISALIGNED_PIN',
      [device.id],
      addressOf(page, offset),
      `the pin at ${hexAddress(page, offset)} starts below the mapping ${iommu.mappings.describe(slot)} it lands in`,
    );
  }

  /** A callback has returned: what of the device's own is still there? `slot` is NIL when the mapping went. */
  callbackEnds(task: Task, iommu: Iommu, device: Device, slot: number): void {
    const left = slot === NIL ? NIL : firstHeld(iommu, device, slot);
    this.callbackEnded(task, device, keyOf(iommu, left), () => iommu.mappings.describe(slot));
  }

  /** A device was closed for the last time: the pins it leaves behind. */
  closed(task: Task, iommu: Iommu, device: Device): void {
    let leaked = 0;
    let first: number = NIL;
    for (const slot of iommu.mappings.inOrder()) {
      for (const pin of iommu.pins.inOrder(iommu.mappings.pins[slot]!)) {
        const held = iommu.pins.heldBy(pin, device.number);
        if (held > 0 && first === NIL) first = pin;
        leaked += held;
      }
    }
    this.deviceClosed(task, device, keyOf(iommu, first), leaked);
  }
}

/** A pin by its IOVA; null for NIL. */
function keyOf({ pins }: Iommu, pin: number): PinKey | null {
  return pin === NIL ? null : { page: pins.page[pin]!, offset: pins.offset[pin]!, npage: 1 };
}

/** The first pin of a mapping that a device holds, or NIL. */
function firstHeld(iommu: Iommu, device: Device, slot: number): number {
  for (const pin of iommu.pins.inOrder(iommu.mappings.pins[slot]!)) {
    if (iommu.pins.heldBy(pin, device.number) > 0) return pin;
  }
  return NIL;
}
