import type { ContainerProvider } from '../vfio/iommu-ops.ts';
import { CompatContainer } from './vfio-compat.ts';

/** iommufd serves /dev/vfio/vfio. */
export const IOMMUFD_CONTAINER: ContainerProvider = {
  openContainer: (kernel, id, process) => new CompatContainer(kernel, id, process),
};
