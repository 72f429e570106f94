/* What the test programs share: each answer on a line, `name value`, an errno by its name. */
#ifndef CHECK_H
#define CHECK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD ((void *)8)
#define PAGE 4096ul

/* Prints what a call returned: its value, or its errno. Returns the value. */
static inline long show(const char *name, long value)
{
	if (value < 0)
		printf("%s %s\n", name, strerrorname_np(errno));
	else
		printf("%s %ld\n", name, value);
	fflush(stdout);
	return value;
}

/* The same, where only whether it succeeded counts. */
static inline long show_ok(const char *name, long value)
{
	if (value < 0)
		return show(name, value);
	printf("%s ok\n", name);
	fflush(stdout);
	return value;
}

static inline void show_hex(const char *name, unsigned long long value)
{
	printf("%s 0x%llx\n", name, value);
	fflush(stdout);
}

static inline long map(int container, uint64_t iova, void *vaddr, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map arg = { .argsz = sizeof(arg), .flags = flags, .vaddr = (uintptr_t)vaddr,
						.iova = iova, .size = size };

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &arg);
}

/* Returns the size that was unmapped, or -1. */
static inline long unmap(int container, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap arg = { .argsz = sizeof(arg), .flags = flags, .iova = iova, .size = size };

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &arg) ? -1 : (long)arg.size;
}

static inline void *memory(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

/* A container of this type that the group is in; the group's descriptor in *group. */
static inline int attached(int *group, int number, unsigned long type)
{
	char path[32];
	int container = open("/dev/vfio/vfio", O_RDWR);

	snprintf(path, sizeof(path), "/dev/vfio/%d", number);
	*group = open(path, O_RDWR);
	if (container < 0 || *group < 0 || ioctl(*group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, type)) {
		perror(path);
		exit(1);
	}
	return container;
}
#endif
