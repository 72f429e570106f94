import { addressOf, hex, hexAddress } from '../pages.ts';
import type { IommuHardware } from './hardware.ts';

/** An IOMMU as views and snapshots show it, and as a client could ask for it again. */
export function propertiesOf(iommu: IommuHardware) {
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
