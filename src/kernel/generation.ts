import { SPLATS_6_1, type SplatCatalogue } from './splats.ts';

/** Everything in which one kernel generation differs from another, as data. */
export interface Generation {
  /** As in `kernel` of a recording. */
  readonly version: string;
  /** The release that was recorded. */
  readonly release: string;
  readonly splats: SplatCatalogue;
  /** An end at 2^64 wraps to 0 in comparisons: mappings that end there are lost. */
  readonly wrapsAtTop: boolean;
  /** Answer to a range beyond 2^64. */
  readonly overflow: 'EINVAL' | 'EOVERFLOW';
  /** VFIO_TYPE1_NESTING_IOMMU can be set. */
  readonly nesting: boolean;
  /** At attach a pin at an offset in its page counts as that page's (spec-misaligned-replay). */
  readonly misalignedPinsCountAtAttach: boolean;
  /** Page sizes of an IOMMU-backed domain, as a bitmap. */
  readonly iommuPageSizes: bigint;
}

/** Linux 6.1.192 (Debian bookworm). */
export const LINUX_6_1: Generation = {
  version: '6.1',
  release: '6.1.192',
  splats: SPLATS_6_1,
  wrapsAtTop: true,
  overflow: 'EINVAL',
  nesting: true,
  misalignedPinsCountAtAttach: false,
  iommuPageSizes: 0x40201000n,
};

const GENERATIONS: readonly Generation[] = [LINUX_6_1];

/** The versions a host can have. */
export const KERNEL_VERSIONS: readonly string[] = GENERATIONS.map((gen) => gen.version);

/** The generation of a version, or undefined. */
export function generationOf(version: string): Generation | undefined {
  return GENERATIONS.find((gen) => gen.version === version);
}
