import { ClassicContainer } from '../vfio/classic-container.ts';
import type { Container } from '../vfio/container.ts';
import type { ContainerProvider, IommuDriver } from '../vfio/iommu-ops.ts';
import { extensionOfModule } from './info.ts';
import type { Type1Type } from './iommu.ts';
import { Type1 } from './type1.ts';

/** The module vfio_iommu_type1. */
const TYPE1_DRIVER: IommuDriver = {
  checkExtension: ({ kernel }, extension) => extensionOfModule(kernel.gen, extension),
  open: (kernel, { id, process }, type) =>
    new Type1(kernel, id, process, type as Type1Type, kernel.dmaEntryLimit),
};

/** The classic container with type1 behind it. */
export const TYPE1_CONTAINER: ContainerProvider = {
  openContainer: (kernel, id, process) => new ClassicContainer(kernel, id, process, TYPE1_DRIVER),
};

/** A classic container as type1's own snapshot sees it. */
export type Type1Container = ClassicContainer & { iommu: Type1 | null };

/** Of a container of a kernel where type1 serves it. */
export function type1Container(container: Container): Type1Container {
  return container as Type1Container;
}
