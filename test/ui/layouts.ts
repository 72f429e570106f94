import type { LayoutAnswer } from '../../schemas/page.ts';
import { Layout } from '../../ui/layout.js';

const BITS = { read: 1, write: 2, vaddrInvalid: 4, iommuMapped: 8, closed: 16 };
const hex = (value: bigint | number) => `0x${value.toString(16)}`;

/** A mapping as [iova, size, flags?], and pins of it as [iova, pages, device]. */
type MappingSpec = readonly [iova: number | bigint, size: number | bigint, flags?: number];
type PinSpec = readonly [mapping: number, iova: number | bigint, pages: number, device: string];

/** A layout as the server would send it. */
export function layoutWith(mappings: readonly MappingSpec[], pins: readonly PinSpec[] = []): Layout {
  const devices = [...new Set(pins.map(([, , , device]) => device))];
  const answer: LayoutAnswer = {
    rig: 'default',
    seq: 1,
    container: 'c0',
    process: 'p0',
    open: true,
    groups: [],
    iommu: {
      typeName: 'type1v2',
      mappings: mappings.length,
      pins: pins.length,
      dmaAvail: 65_535 - mappings.length,
      dirtyTracking: false,
      devices,
      attempts: 11,
    },
    wedged: null,
    complete: true,
    bits: BITS,
    mappings: {
      iova: mappings.map(([iova]) => hex(iova)),
      size: mappings.map(([, size]) => hex(size)),
      vaddr: mappings.map(([iova]) => hex(iova)),
      flags: mappings.map(([, , flags = BITS.read | BITS.write]) => flags),
    },
    pins: {
      mapping: pins.map(([mapping]) => mapping),
      iova: pins.map(([, iova]) => hex(iova)),
      pages: pins.map(([, , pages]) => pages),
      pfn: pins.map((_, i) => hex(0x1000 + i)),
      holders: pins.map(([, , , device]) => devices.indexOf(device)),
    },
    holders: devices.map((device) => [{ device, count: 1 }]),
  };
  return new Layout(answer);
}

/** `count` mappings of one page, a page apart from each other. */
export function manyMappings(count: number): MappingSpec[] {
  return Array.from({ length: count }, (_, i) => [0x10000 + i * 0x2000, 0x1000] as const);
}
