import { addressOf, hexAddress, pageOf } from '../pages.ts';
import { nearest, PinShadow } from '../pin-shadow.ts';
import { NIL } from '../rb-links.ts';
import type { PinKey } from '../stolen-pins.ts';
import { type KernelStep, RESCHED, type Task } from '../task.ts';
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
      () =>
        `the pin at ${hexAddress(page, offset)} starts below the mapping ${iommu.mappings.describe(slot)} it lands in`,
    );
  }

  /** What a device holds near a page, in words; empty where that is nothing. */
  heldNear(iommu: Iommu, device: Device, page: number): string {
    return nearest(device, page, heldBy(iommu, device));
  }

  /** A device unpinned a page of a mapping that is not pinned. */
  unpinNotThere(task: Task, iommu: Iommu, device: Device, page: number, offset: number): void {
    const key = { page, offset, npage: 1 };
    this.unpinNotPinned(task, device, key, () => this.heldNear(iommu, device, page));
  }

  /** A device unpinned a page that is in no mapping. */
  unpinNotMapped(task: Task, iommu: Iommu, device: Device, page: number, offset: number): void {
    const key = { page, offset, npage: 1 };
    this.unpinNotPinned(task, device, key, () => this.heldNear(iommu, device, page), 'is in no mapping');
  }

  /** An unpin was refused with a warning. */
  unpinRefused(task: Task, iommu: Iommu, device: Device, iova: bigint, why: string): void {
    this.unpinInVain(task, device, iova, why, () => this.heldNear(iommu, device, pageOf(iova)));
  }

  /**
   * A callback has returned: what of the device's own is still there? `slot` is NIL when the mapping went.
   *
   * @returns what is left to do where that is many pins to be looked through
   */
  callbackEnds(task: Task, iommu: Iommu, device: Device, slot: number): KernelStep<void> | null {
    const { mappings, pins } = iommu;
    const first = slot !== NIL && mappings.hasPins(slot) ? pins.first(mappings.pinTree(slot)) : NIL;
    if (first !== NIL && pins.heldBy(first, device.number) === 0) {
      return this.lookedThrough(task, iommu, device, slot);
    }
    this.leaves(task, iommu, device, slot, first);
    return null;
  }

  /** The first pin is another's: which is the device's own, if any? */
  private *lookedThrough(task: Task, iommu: Iommu, device: Device, slot: number): KernelStep<void> {
    const left = yield* firstHeld(task, iommu, device, iommu.mappings.pinTree(slot));
    this.leaves(task, iommu, device, slot, left);
  }

  private leaves(task: Task, iommu: Iommu, device: Device, slot: number, left: number): void {
    this.callbackEnded(task, device, keyOf(iommu, left), () => iommu.mappings.describe(slot));
  }

  /** A device was closed for the last time: the pins it leaves behind. */
  *closed(task: Task, iommu: Iommu, device: Device): KernelStep<void> {
    let leaked = 0;
    let first: number = NIL;
    for (const slot of iommu.mappings.inOrder()) {
      for (const pin of iommu.pins.nodesOf(iommu.mappings.pinTree(slot))) {
        const held = iommu.pins.heldBy(pin, device.number);
        if (held > 0 && first === NIL) first = pin;
        leaked += held;
        if (task.worked()) yield RESCHED;
      }
      if (task.worked()) yield RESCHED;
    }
    this.deviceClosed(task, device, keyOf(iommu, first), leaked);
  }
}

/** How many pins are looked at for those a device holds. */
const LOOKED_AT = 16_384;

/** The pins that a device holds, lowest first; of the first ones. */
function* heldBy(iommu: Iommu, device: Device): Generator<PinKey, void, void> {
  const { mappings, pins } = iommu;
  if (pins.count === 0) return;
  let left = LOOKED_AT;
  for (const slot of mappings.inOrder()) {
    for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
      if (pins.heldBy(pin, device.number) > 0) yield keyOf(iommu, pin)!;
      if (--left === 0) return;
    }
    if (--left === 0) return;
  }
}

/** A pin by its IOVA; null for NIL. */
function keyOf({ pins }: Iommu, pin: number): PinKey | null {
  return pin === NIL ? null : { page: pins.page[pin]!, offset: pins.offset[pin]!, npage: 1 };
}

/** The first pin of the tree at `root` that a device holds, or NIL. */
function* firstHeld(task: Task, { pins }: Iommu, device: Device, root: number): KernelStep<number> {
  for (const pin of pins.nodesOf(root)) {
    if (pins.heldBy(pin, device.number) > 0) return pin;
    if (task.worked()) yield RESCHED;
  }
  return NIL;
}
