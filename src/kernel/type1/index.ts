import { NOIOMMU_DRIVER } from '../noiommu/index.ts';
import { ClassicContainer } from '../vfio/classic-container.ts';
import type { ContainerProvider, IommuDriver } from '../vfio/iommu-ops.ts';
import { extensionOfModule } from './info.ts';
import type { Type1Type } from './iommu.ts';
import { restoreType1 } from './restore.ts';
import { Type1 } from './type1.ts';

/** The module vfio_iommu_type1. */
const TYPE1_DRIVER: IommuDriver = {
  checkExtension: ({ kernel }, extension) => extensionOfModule(kernel.gen, extension),
  open: (kernel, container, type) => new Type1(kernel, container, type as Type1Type, kernel.dmaEntryLimit),
  restore: restoreType1,
};

/** The classic container with type1 behind it. */
export const TYPE1_CONTAINER: ContainerProvider = {
  openContainer: (kernel, id, process) =>
    new ClassicContainer(kernel, id, process, [TYPE1_DRIVER, NOIOMMU_DRIVER]),
};
