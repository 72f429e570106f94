import { addressOf } from '../pages.ts';
import type { LeftoverPin } from '../splats.ts';
import type { Iommu } from './iommu.ts';

/** How many pins a log line names. */
const NAMED_PINS = 16;

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
  for (const pin of pins.nodesOf(mappings.pins[slot]!)) {
    if (named.length === NAMED_PINS) break;
    named.push(describePin(iommu, pin));
  }
  return { pins: named, pinCount: mappings.pinCount[slot]! };
}
