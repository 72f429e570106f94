import { NAMED_HOLDERS, NAMED_PINS } from '../../../schemas/kinds.ts';
import { addressOf } from '../pages.ts';
import type { LeftoverPin } from '../splats.ts';
import type { Iommu } from './iommu.ts';

/** A pin as listings and log lines show it. */
export function describePin(iommu: Iommu, pin: number): LeftoverPin {
  const { pins } = iommu;
  return {
    iova: addressOf(pins.page[pin]!, pins.offset[pin]!),
    pfn: pins.pfn[pin]!,
    refCount: pins.refCount[pin]!,
    devices: pins.holderList(pin).map(({ device, count }) => ({
      device: iommu.kernel.deviceName(device),
      count,
    })),
  };
}

/** The pins that are left in a mapping: the first ones by name, all of them by number. */
export function leftoverPins(iommu: Iommu, slot: number): { pins: LeftoverPin[]; pinCount: number } {
  const { mappings, pins } = iommu;
  const named: LeftoverPin[] = [];
  for (const pin of pins.nodesOf(mappings.pinTree(slot))) {
    if (named.length === NAMED_PINS) break;
    const shown = describePin(iommu, pin);
    named.push({ ...shown, devices: shown.devices.slice(0, NAMED_HOLDERS) });
  }
  return { pins: named, pinCount: mappings.pinCount[slot]! };
}
