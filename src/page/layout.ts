import type { LayoutAnswer } from '../../schemas/page.ts';
import { IOMMU_TYPES, PROT_FLAGS } from '../../schemas/values.ts';
import { hex, PAGE_SIZE } from '../kernel/pages.ts';
import type { Container } from '../kernel/vfio/container.ts';
import type { IommuView, MappingView, PinView } from '../kernel/vfio/iommu-view.ts';
import type { Rig } from '../rig/rig.ts';
import { describeContainer } from '../views/container.ts';

/** Mappings and runs of pins that one layout carries; the page says so where there are more. */
const LAYOUT_MAX = 131_072;

/** Bits of a mapping's `flags` in a layout. */
const BITS = { ...PROT_FLAGS, vaddrInvalid: 4, iommuMapped: 8, closed: 16 };

const PAGE = BigInt(PAGE_SIZE);

/** A container with everything in its IOVA space, for the page. */
export function layoutOf({ name, host }: Rig, container: Container): LayoutAnswer {
  const { view } = container;
  const { iommu, ...shown } = describeContainer(container);
  return {
    rig: name,
    seq: host.journal.seq,
    ...shown,
    iommu: iommu && view && { ...iommu, typeName: typeName(view.type), attempts: view.attempts },
    bits: BITS,
    ...columnsOf(view),
  };
}

function typeName(type: number | null): string | null {
  if (type === null) return null;
  return Object.entries(IOMMU_TYPES).find(([, number]) => number === type)?.[0] ?? `type ${type}`;
}

/**
 * An IOVA space in columns: the mappings by IOVA, and the pins as runs: pages one after the other with frames one
 * after the other and the same holders.
 */
function columnsOf(view: IommuView | null) {
  const mappings = {
    iova: [] as string[],
    size: [] as string[],
    vaddr: [] as string[],
    flags: [] as number[],
  };
  const runs = new PinRuns();
  let complete = true;
  for (const mapping of view?.mappings() ?? []) {
    if (mappings.iova.length === LAYOUT_MAX) {
      complete = false;
      break;
    }
    mappings.iova.push(hex(mapping.iova));
    mappings.size.push(hex(mapping.size));
    mappings.vaddr.push(hex(mapping.vaddr));
    mappings.flags.push(flagsOf(mapping));
    if (!runs.addAll(mapping.pins(), mappings.iova.length - 1)) complete = false;
  }
  return { complete, mappings, pins: runs.columns, holders: runs.holders };
}

function flagsOf({ prot, vaddrInvalid, iommuMapped, closed }: MappingView): number {
  return (
    (prot & (BITS.read | BITS.write)) |
    (vaddrInvalid ? BITS.vaddrInvalid : 0) |
    (iommuMapped ? BITS.iommuMapped : 0) |
    (closed ? BITS.closed : 0)
  );
}

class PinRuns {
  readonly columns = {
    mapping: [] as number[],
    iova: [] as string[],
    pages: [] as number[],
    pfn: [] as string[],
    holders: [] as number[],
  };
  readonly holders: PinView['devices'][] = [];
  private readonly holdersByKey = new Map<string, number>();

  /** Adds the pins of a mapping; false where there is no room for all of them. */
  addAll(pins: Iterable<PinView>, index: number): boolean {
    const { columns } = this;
    let next = -1n;
    let [pfn, held] = [-1, -1];
    for (const pin of pins) {
      const holders = this.holdersIndex(pin.devices);
      const follows = pin.iova === next && pin.pfn === pfn + 1 && holders === held;
      if (!follows && columns.iova.length === LAYOUT_MAX) return false;
      const { npage = 1 } = pin;
      next = pin.iova + BigInt(npage) * PAGE;
      [pfn, held] = [pin.pfn + npage - 1, holders];
      if (follows) {
        columns.pages[columns.pages.length - 1]! += npage;
        continue;
      }
      columns.mapping.push(index);
      columns.iova.push(hex(pin.iova));
      columns.pages.push(npage);
      columns.pfn.push(`0x${pfn.toString(16)}`);
      columns.holders.push(holders);
    }
    return true;
  }

  private holdersIndex(devices: PinView['devices']): number {
    const key = devices.map(({ device, count }) => `${device} ${count}`).join(' ');
    let index = this.holdersByKey.get(key);
    if (index === undefined) {
      index = this.holders.length;
      this.holdersByKey.set(key, index);
      this.holders.push(devices);
    }
    return index;
  }
}
