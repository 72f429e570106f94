import type { IommuHardware } from '../kernel/iommu/hardware.ts';
import { addressOf, hex, hexAddress } from '../kernel/pages.ts';

/** An IOMMU as a device's view shows it, and as a client could ask for it again. */
export function describeIommu(iommu: IommuHardware) {
  return {
    preset: iommu.preset,
    addressWidth: iommu.addressWidth,
    ...(iommu.pageSizes === null ? {} : { pageSizes: hex(iommu.pageSizes) }),
    reserved: iommu.reserved.map(({ start, end, type }) => ({
      start: hexAddress(start),
      end: hex(addressOf(end) - 1n),
      type,
    })),
    interruptRemapping: iommu.interruptRemapping,
    coherency: iommu.enforcesCoherency,
    scalable: iommu.scalable,
    ...(!iommu.mapErrno ? {} : { mapErrno: iommu.mapErrno }),
  };
}
