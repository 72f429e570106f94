import type { Process } from '../process.ts';
import type { SplatEvent } from '../splats.ts';

/** A mapping as it may be shown; addresses and size in bytes. */
export interface MappingView {
  readonly iova: bigint;
  readonly size: bigint;
  readonly vaddr: bigint;
  /** READ 1, WRITE 2. */
  readonly prot: number;
  readonly vaddrInvalid: boolean;
  /** Who made it. */
  readonly owner: Process;
  /** Whether an IOMMU domain has it in its page tables. */
  readonly iommuMapped: boolean;
  /** An unmap has closed it: nothing in it can be pinned or copied any more (iommufd). */
  readonly closed: boolean;
  /** Pages that are pinned, a page as often as it has pins. */
  readonly pinned: number;
  /** Its pins, lowest first. */
  pins(): Iterable<PinView>;
  /** Pages of its process that it has charged to locked_vm. */
  lockedPages(): number;
}

/** A pinned page with its holders. */
export interface PinView {
  /** Bytes. */
  readonly iova: bigint;
  /** Pages of a pin that has several (iommufd); absent: one. */
  readonly npage?: number;
  /** Host page frame. */
  readonly pfn: number;
  readonly refCount: number;
  /** Holders by device id and how many references each has, earliest first. */
  readonly devices: readonly { readonly device: string; readonly count: number }[];
}

/**
 * What may be seen of an engine's state from outside: by lists, the page, metrics and log lines. Looking changes
 * nothing.
 */
export interface IommuView {
  /** The IOMMU type that was set; null where none was (iommufd). */
  readonly type: number | null;
  readonly mappingCount: number;
  readonly pinCount: number;
  /** Mappings that may still be made; null: there is no limit (iommufd). */
  readonly dmaAvail: number | null;
  readonly dirtyTracking: boolean;
  /** How often an unmap calls the devices of one mapping back at most. */
  readonly attempts: number;
  /** Ids of the devices that are called back, in the order in which they are. */
  readonly devices: readonly string[];
  /** What holds one of its locks for ever. */
  readonly wedgedBy: SplatEvent | null;
  /** Lowest IOVA first. */
  mappings(): Iterable<MappingView>;
  /** So many of the mappings behind the first `skip` ones, stopping now and then. */
  mappingPage(skip: number, count: number): Generator<void, MappingView[]>;
  /** The same of all their pins. */
  pinPage(skip: number, count: number): Generator<void, PinView[]>;
  /**
   * A mapping that has charged some of the pages [start, end) of its process, for a domain or for pins, as `iova+size`;
   * null where none of the first ones has.
   */
  chargedAt(start: number, end: number): string | null;
}

/** Items that are passed over between two stops. */
const PASSED = 4096;

/** So many items behind the first `skip` ones, as they are shown, stopping now and then. */
export function* pageOf<T, V>(
  items: Iterable<T>,
  skip: number,
  count: number,
  show: (item: T) => V,
): Generator<void, V[]> {
  const page: V[] = [];
  let passed = 0;
  for (const item of items) {
    if (page.length >= count) break;
    if (passed >= skip) page.push(show(item));
    if (++passed % PASSED === 0) yield;
  }
  return page;
}
