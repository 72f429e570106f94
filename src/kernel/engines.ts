import { IOMMUFD_CONTAINER } from './iommufd/index.ts';
import { TYPE1_CONTAINER } from './type1/index.ts';
import type { ContainerProvider } from './vfio/iommu-ops.ts';

/** Who serves /dev/vfio/vfio, by the name a generation gives (`containerOf`). */
export const ENGINES = {
  type1: TYPE1_CONTAINER,
  iommufd: IOMMUFD_CONTAINER,
} satisfies Readonly<Record<string, ContainerProvider>>;

export type Engine = keyof typeof ENGINES;
