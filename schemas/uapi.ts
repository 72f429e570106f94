// The numbers of include/uapi/linux/vfio.h and include/linux/iommu.h, under the kernel's own names: for what calls take and
// for what the kernel makes of it.

/** IOMMU types, which are extensions of CHECK_EXTENSION as well. */
export const VFIO_TYPE1_IOMMU = 1;
export const VFIO_TYPE1v2_IOMMU = 3;
export const VFIO_TYPE1_NESTING_IOMMU = 6;

/** Extensions that are no IOMMU types. */
export const VFIO_DMA_CC_IOMMU = 4;
export const VFIO_UNMAP_ALL = 9;
export const VFIO_UPDATE_VADDR = 10;

export const VFIO_GROUP_FLAGS_VIABLE = 1;
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

export const VFIO_DMA_MAP_FLAG_READ = 1;
export const VFIO_DMA_MAP_FLAG_WRITE = 2;
export const VFIO_DMA_MAP_FLAG_VADDR = 4;

export const VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1;
export const VFIO_DMA_UNMAP_FLAG_ALL = 2;
export const VFIO_DMA_UNMAP_FLAG_VADDR = 4;

export const VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 2;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 4;

/** Pages of one pin or unpin at most. */
export const VFIO_PIN_PAGES_MAX_ENTRIES = 512;

/** What a pin asks for; the bits of a mapping's prot. */
export const IOMMU_READ = 1;
export const IOMMU_WRITE = 2;
export const IOMMU_READ_WRITE = IOMMU_READ | IOMMU_WRITE;

/** VFIO_NOIOMMU_IOMMU. */
export const NOIOMMU_TYPE = 8;
