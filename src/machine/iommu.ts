import type { IommuArgument, IommuProperties } from '../../schemas/iommu.ts';
import { type IommuHardware, iommuKey, type ReservedRegion } from '../kernel/iommu/hardware.ts';
import { DEFAULT_IOMMU, IOMMU_PRESETS } from '../kernel/iommu/presets.ts';
import { isPageAligned, pageOf, TOP, TOP_PAGE } from '../kernel/pages.ts';
import { Refused } from './refused.ts';

/**
 * The IOMMU a client asked for.
 *
 * @throws Refused 400 for a reserved region that is none, or page sizes without 4 KiB or above
 */
export function iommuOf(argument: IommuArgument | undefined): IommuHardware {
  if (argument === undefined) return DEFAULT_IOMMU;
  if (typeof argument === 'string') return IOMMU_PRESETS[argument];
  const base: IommuHardware = IOMMU_PRESETS[argument.preset ?? 'intel-39'];
  const { addressWidth, interruptRemapping, coherency, scalable, mapErrno } = argument;
  const hardware = {
    ...base,
    ...(addressWidth === undefined ? {} : { addressWidth }),
    ...(argument.pageSizes === undefined ? {} : { pageSizes: pageSizes(argument.pageSizes) }),
    ...(argument.reserved === undefined ? {} : { reserved: argument.reserved.map(reservedRegion) }),
    ...(interruptRemapping === undefined ? {} : { interruptRemapping }),
    ...(coherency === undefined ? {} : { enforcesCoherency: coherency }),
    ...(scalable === undefined ? {} : { scalable }),
    ...(mapErrno === undefined ? {} : { mapErrno }),
  };
  return { ...hardware, key: iommuKey(hardware) };
}

function pageSizes(value: string | number): bigint {
  const sizes = BigInt(value);
  if (sizes !== 0n && isPageAligned(sizes)) return sizes;
  throw Refused.badRequest(
    `iommu/pageSizes is ${value}, but must have bits of 4 KiB and above only, at least one`,
  );
}

type RegionArgument = NonNullable<IommuProperties['reserved']>[number];

function reservedRegion({ start, end, type }: RegionArgument): ReservedRegion {
  const first = BigInt(start);
  const last = BigInt(end);
  if (!isPageAligned(first) || !isPageAligned(last + 1n) || last < first) {
    throw Refused.badRequest(
      `iommu/reserved is ${start} to ${end}, but must be whole pages, first byte to last`,
    );
  }
  return { type, start: pageOf(first), end: last === TOP - 1n ? TOP_PAGE : pageOf(last + 1n) };
}
