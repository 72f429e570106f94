/*
 * Two groups in one container: what is asked before there is any, a group that joins late, dirty pages, and files that are open at the
 * end of a forked child and of the program. Arguments: group, device, group, device.
 */
#include "../preload/check.h"

/* Maps at the edges of what the IOMMU translates, and what no kernel takes. */
static void maps(int c, char *at)
{
	map(c, 0, at, 16 * PAGE, 3);
	map(c, 16 * PAGE, at, 16 * PAGE, 1);
	map(c, 32 * PAGE, at, PAGE, 2);
	map(c, 40 * PAGE, at, PAGE, 0);
	map(c, 0x7fffffffff000ull, at, PAGE, 3);
	map(c, 1ull << 39, at, PAGE, 3);
	map(c, (1ull << 39) - PAGE, at, PAGE, 3);
	map(c, 0xfee00000, at, PAGE, 3);
	map(c, 41 * PAGE, at + 1, PAGE, 3);
	map(c, 41 * PAGE, at, 100, 3);
	map(c, 41 * PAGE, (void *)0x1000, PAGE, 3);
	map(c, 41 * PAGE, at, 0, 3);
	map(c, -PAGE, at, PAGE, 3);
}

static void dirty(int c)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} ask = { .head = { .argsz = sizeof(ask), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START } };
	uint64_t bits[8];

	ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &ask.head);
	ask.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	ask.get.size = 16 * PAGE;
	ask.get.bitmap.pgsize = PAGE;
	ask.get.bitmap.size = 8;
	ask.get.bitmap.data = (void *)bits;
	ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &ask.head);
	ask.get.size = 8 * PAGE;
	ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &ask.head);
	ask.head.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
	ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &ask.head);
	ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &ask.head);
}

static void unmaps(int c, char *at)
{
	struct vfio_iommu_type1_dma_unmap small = { .argsz = 23 };

	unmap(c, 0, 8 * PAGE, 0);
	unmap(c, PAGE, 16 * PAGE, 0);
	unmap(c, 0, 0, 0);
	unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	unmap(c, 0x100, PAGE, 0);
	ioctl(c, VFIO_IOMMU_UNMAP_DMA, &small);
	ioctl(c, VFIO_IOMMU_UNMAP_DMA, BAD);
	unmap(c, 16 * PAGE, 16 * PAGE, VFIO_DMA_UNMAP_FLAG_VADDR);
	map(c, 16 * PAGE, at, 16 * PAGE, VFIO_DMA_MAP_FLAG_VADDR);
}

int main(int argc, char **argv)
{
	int c = open("/dev/vfio/vfio", O_RDWR), group[2], device[2];
	struct vfio_group_status status = { .argsz = sizeof(status) };
	union {
		struct vfio_iommu_type1_info head;
		char room[512];
	} info = { { .argsz = sizeof(info) } };
	char *at = memory(64 * PAGE), path[64];

	for (int i = 0; argc > 4 && i < 2; i++) {
		snprintf(path, sizeof(path), "/dev/vfio/%s", argv[1 + 2 * i]);
		group[i] = open(path, O_RDWR);
	}
	ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU);
	map(c, 0, at, PAGE, 3);
	ioctl(group[0], VFIO_GROUP_SET_CONTAINER, &c);
	map(c, 0, at, PAGE, 3);
	unmap(c, 0, PAGE, 0);
	ioctl(c, VFIO_SET_IOMMU, 7ul);
	ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	for (long extension = 0; extension < 12; extension++)
		ioctl(c, VFIO_CHECK_EXTENSION, extension);
	maps(c, at);
	ioctl(group[1], VFIO_GROUP_SET_CONTAINER, &c);
	ioctl(group[1], VFIO_GROUP_GET_STATUS, &status);
	device[0] = ioctl(group[0], VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	device[1] = ioctl(group[1], VFIO_GROUP_GET_DEVICE_FD, argv[4]);
	ioctl(group[0], VFIO_GROUP_GET_DEVICE_FD, argv[4]);
	ioctl(c, VFIO_IOMMU_GET_INFO, &info);
	dirty(c);
	unmaps(c, at);
	ioctl(group[0], VFIO_GROUP_UNSET_CONTAINER);
	close(device[0]);
	ioctl(group[0], VFIO_GROUP_UNSET_CONTAINER);
	ioctl(group[0], VFIO_GROUP_UNSET_CONTAINER);
	map(c, 0, at, PAGE, 3);
	int copy = dup(c);

	close(c);
	map(copy, PAGE, at, PAGE, 3);
	if (fork() == 0) {
		map(copy, 2 * PAGE, at, PAGE, 3);
		_exit(0);
	}
	wait(NULL);
	return device[1] < 0;
}
