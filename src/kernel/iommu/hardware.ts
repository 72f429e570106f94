import type { IommuPreset, IommuProperties } from '../../../schemas/iommu.ts';
import type { RegionType } from '../../../schemas/kinds.ts';
import type { Generation } from '../generations/generation.ts';
import { addressOf, hex, hexAddress, TOP_PAGE } from '../pages.ts';
import type { IovaRange } from '../vfio/iommu-ops.ts';

/** The whole address space. */
export const ALL_IOVA: IovaRange = { start: 0, end: TOP_PAGE };

/** A reserved region of the IOVA space (struct iommu_resv_region), in pages: [start, end). */
export interface ReservedRegion extends IovaRange {
  readonly type: RegionType;
}

/** The IOMMU that a device lies behind: what decides where a domain of it can map, and what it refuses. */
export interface IommuHardware {
  /** Groups whose IOMMUs have the same key share a domain. */
  readonly key: string;
  /** The preset it is, or differs from in some property. */
  readonly preset: IommuPreset;
  /** Whose driver drives it: Intel's has lines and limits of its own. */
  readonly vendor: 'intel' | 'other';
  /** Width of an IOVA, bits. */
  readonly addressWidth: number;
  /** As a bitmap; null: what the kernel's Intel driver says. */
  readonly pageSizes: bigint | null;
  readonly reserved: readonly ReservedRegion[];
  /** IOMMU_CAP_INTR_REMAP. */
  readonly interruptRemapping: boolean;
  /** enforce_cache_coherency succeeds (VFIO_DMA_CC_IOMMU). */
  readonly enforcesCoherency: boolean;
  /** Scalable mode; 5.10 takes such a domain for coherent (width-sm-info). */
  readonly scalable: boolean;
  /** What every iommu_map of it fails with. */
  readonly mapErrno: IommuProperties['mapErrno'] | null;
  /**
   * Whether a call's `log` has the lines of its driver. The machine of the older recordings, which a device gets that
   * names no IOMMU, has VFIO's lines alone there; the console shows both.
   */
  readonly logged: boolean;
}

/** Equal for IOMMUs that are alike in every property. */
export function iommuKey(hardware: Omit<IommuHardware, 'key' | 'preset' | 'logged'>): string {
  const { vendor, addressWidth, pageSizes, reserved, interruptRemapping, enforcesCoherency } = hardware;
  const flags = [interruptRemapping, enforcesCoherency, hardware.scalable, hardware.mapErrno];
  const regions = reserved.map(({ start, end, type }) => [start, end, type]);
  return JSON.stringify([vendor, addressWidth, pageSizes === null ? null : hex(pageSizes), regions, flags]);
}

/** The end of the aperture, in pages. */
export function apertureEnd({ addressWidth }: IommuHardware): number {
  return Math.min(2 ** (addressWidth - 12), TOP_PAGE);
}

/** The page sizes of a domain of it, as a bitmap. */
export function pageSizesOf({ pageSizes }: IommuHardware, gen: Generation): bigint {
  return pageSizes ?? gen.type1.iommuPageSizes;
}

/** The last address an IOMMU reaches, in words. */
export function limitOf(hardware: IommuHardware): string {
  const last = hex(addressOf(apertureEnd(hardware)) - 1n);
  return `${last}, the last address of the IOMMU (${hardware.addressWidth} bits)`;
}

/**
 * Why the pages [start, end) are not usable behind IOMMUs, in words that follow the range: the width or the reserved
 * region that is in the way, and what is usable.
 */
export function whyUnusable(
  iommus: readonly IommuHardware[],
  usable: readonly IovaRange[],
  start: number,
  end: number,
): string {
  const ranges = usable.map((range) => `[${hexAddress(range.start)}, ${lastOf(range)}]`);
  return `${inTheWay(iommus, start, end)}; the IOVA ranges are ${ranges.join(' ')}`;
}

function inTheWay(iommus: readonly IommuHardware[], start: number, end: number): string {
  const narrow = iommus.find((hardware) => end > apertureEnd(hardware));
  if (narrow) return `reaches beyond ${limitOf(narrow)}`;
  for (const { reserved } of iommus) {
    const region = reserved.find((one) => start < one.end && end > one.start);
    if (region) {
      return `reaches into the reserved region ${hexAddress(region.start)}-${lastOf(region)} (${region.type})`;
    }
  }
  return 'is not inside one of the IOVA ranges';
}

function lastOf({ end }: IovaRange): string {
  return hex(addressOf(end) - 1n);
}

/** Whether VFIO_DMA_CC_IOMMU holds for a domain of it. */
export function isCoherent({ enforcesCoherency, scalable }: IommuHardware, gen: Generation): boolean {
  return enforcesCoherency || (scalable && gen.type1.scalableIsCoherent);
}

/** The ranges that are usable behind all of these IOMMUs: within every aperture, outside every reserved region. */
export function usableRanges(iommus: readonly IommuHardware[]): IovaRange[] {
  let ranges: IovaRange[] = [{ start: 0, end: Math.min(...iommus.map(apertureEnd)) }];
  for (const { start, end } of iommus.flatMap(({ reserved }) => reserved)) {
    ranges = ranges.flatMap((range) => exclude(range, start, end));
  }
  return ranges;
}

/** vfio_iommu_resv_exclude of one region from one range. */
function exclude(range: IovaRange, start: number, end: number): IovaRange[] {
  if (end <= range.start || start >= range.end) return [range];
  return [
    { start: range.start, end: start },
    { start: end, end: range.end },
  ].filter((part) => part.start < part.end);
}
