/* Asks a bit of everything of /dev/vfio, right and wrong, and prints nothing. Its arguments are the number of a group and
 * the name of its device. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char node[64], *name = argc > 2 ? argv[2] : "0000:01:00.0", memory[4096] __attribute__((aligned(8)));
	int container = open("/dev/vfio/vfio", O_RDWR), other = open("/dev/vfio/vfio", O_RDWR);
	void *pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	snprintf(node, sizeof(node), "/dev/vfio/%s", argc > 1 ? argv[1] : "0");
	int group = open(node, O_RDWR);

	if (container < 0 || other < 0 || group < 0)
		return 1;
	if (open(node, O_RDWR) >= 0)
		return 2;
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)pages,
						.iova = 0x10000, .size = 0x8000 };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = 0x10000, .size = 0x4000 };
	struct vfio_iommu_type1_info *info = (void *)memory;

	ioctl(group, VFIO_GROUP_GET_STATUS, &status);
	ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);
	ioctl(container, VFIO_CHECK_EXTENSION, 99);
	ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU); /* no group is in it */
	ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
	ioctl(group, VFIO_GROUP_SET_CONTAINER, &other); /* it is in one */
	ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	ioctl(group, VFIO_GROUP_GET_STATUS, &status);
	memset(memory, 0, sizeof(memory));
	info->argsz = sizeof(memory);
	ioctl(container, VFIO_IOMMU_GET_INFO, info);
	info->argsz = 8; /* too short: in no trace */
	ioctl(container, VFIO_IOMMU_GET_INFO, info);
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
	int copy = dup(device);

	ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
	ioctl(container, VFIO_IOMMU_MAP_DMA, &map); /* it is there */
	map.iova = 1;
	ioctl(container, VFIO_IOMMU_MAP_DMA, &map); /* misaligned */
	map.iova = 0xfee00000;
	ioctl(container, VFIO_IOMMU_MAP_DMA, &map); /* reserved */
	map.iova = 0x20000;
	ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
	ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap); /* half of a mapping */
	unmap.size = 0x20000;
	ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	struct vfio_iommu_type1_dirty_bitmap dirty = { .argsz = sizeof(dirty), .flags = 1 };

	ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &dirty);
	dirty.flags = 7;
	ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &dirty);
	ioctl(device, VFIO_DEVICE_RESET); /* of devices: in no trace */
	close(device);
	close(copy);
	ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
	close(group);
	close(other);
	close(container);
	return 7;
}
