/* What is written down of each ioctl: its arguments as the kernel got them, and what came back. */
#include "record.h"
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* Bytes of GET_INFO's answer that are kept. */
#define INFO_MAX 4096

static const char *request_name(enum kind kind, unsigned long request)
{
	switch (request) {
	case VFIO_CHECK_EXTENSION:
		return kind == CONTAINER ? "CHECK_EXTENSION" : NULL;
	case VFIO_SET_IOMMU:
		return kind == CONTAINER ? "SET_IOMMU" : NULL;
	case VFIO_IOMMU_GET_INFO:
		return kind == CONTAINER ? "GET_INFO" : NULL;
	case VFIO_IOMMU_MAP_DMA:
		return kind == CONTAINER ? "MAP_DMA" : NULL;
	case VFIO_IOMMU_UNMAP_DMA:
		return kind == CONTAINER ? "UNMAP_DMA" : NULL;
	case VFIO_IOMMU_DIRTY_PAGES:
		return kind == CONTAINER ? "DIRTY_PAGES" : NULL;
	case VFIO_GROUP_GET_STATUS:
		return kind == GROUP ? "GET_STATUS" : NULL;
	case VFIO_GROUP_SET_CONTAINER:
		return kind == GROUP ? "SET_CONTAINER" : NULL;
	case VFIO_GROUP_UNSET_CONTAINER:
		return kind == GROUP ? "UNSET_CONTAINER" : NULL;
	case VFIO_GROUP_GET_DEVICE_FD:
		return kind == GROUP ? "GET_DEVICE_FD" : NULL;
	default:
		return NULL;
	}
}

/* A name of letters, digits and what PCI and UUIDs have; anything else is left out. */
static void read_name(uint64_t from, char *out, size_t size)
{
	size_t n = 0;
	char c;

	while (n + 1 < size && peek(&c, from + n, 1) && c) {
		if (c < '-' || c == '\\')
			c = '-';
		out[n++] = c;
	}
	out[n] = 0;
}

/* The arguments as JSON fields, each with a comma before it. */
static void arguments(const char *name, uint64_t arg, char *out, size_t size)
{
	*out = 0;
	if (!strcmp(name, "CHECK_EXTENSION") || !strcmp(name, "SET_IOMMU")) {
		snprintf(out, size, ",\"arg\":\"0x%llx\"", (unsigned long long)arg);
	} else if (!strcmp(name, "SET_CONTAINER")) {
		char container[32] = "";
		int fd;

		if (peek(&fd, arg, sizeof(fd)) && file_of(fd, container, sizeof(container)) != CONTAINER)
			*container = 0;
		snprintf(out, size, ",\"container\":\"%s\"", container);
	} else if (!strcmp(name, "GET_DEVICE_FD")) {
		char device[128];

		read_name(arg, device, sizeof(device));
		snprintf(out, size, ",\"device\":\"%s\"", device);
	} else if (!strcmp(name, "MAP_DMA")) {
		struct vfio_iommu_type1_dma_map map;

		if (peek(&map, arg, sizeof(map)))
			snprintf(out, size,
				 ",\"argsz\":%u,\"flags\":%u,\"vaddr\":\"0x%llx\",\"iova\":\"0x%llx\",\"size\":\"0x%llx\"",
				 map.argsz, map.flags, map.vaddr, map.iova, map.size);
	} else if (!strcmp(name, "UNMAP_DMA")) {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap = { 0 };

		if (!peek(&unmap, arg, sizeof(unmap)))
			return;
		if (unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP)
			peek(&bitmap, arg + sizeof(unmap), sizeof(bitmap));
		snprintf(out, size, ",\"argsz\":%u,\"flags\":%u,\"iova\":\"0x%llx\",\"size\":\"0x%llx\",\"pgsize\":\"0x%llx\",\"bytes\":\"0x%llx\",\"data\":\"0x%llx\"",
			 unmap.argsz, unmap.flags, unmap.iova, unmap.size, bitmap.pgsize, bitmap.size,
			 (unsigned long long)(uintptr_t)bitmap.data);
	} else if (!strcmp(name, "DIRTY_PAGES")) {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get = { 0 };

		if (!peek(&head, arg, sizeof(head)))
			return;
		if (head.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
			peek(&get, arg + sizeof(head), sizeof(get));
		snprintf(out, size, ",\"argsz\":%u,\"flags\":%u,\"iova\":\"0x%llx\",\"size\":\"0x%llx\",\"pgsize\":\"0x%llx\",\"bytes\":\"0x%llx\",\"data\":\"0x%llx\"",
			 head.argsz, head.flags, get.iova, get.size, get.bitmap.pgsize, get.bitmap.size,
			 (unsigned long long)(uintptr_t)get.bitmap.data);
	} else if (!strcmp(name, "GET_INFO") || !strcmp(name, "GET_STATUS")) {
		uint32_t argsz;

		if (peek(&argsz, arg, sizeof(argsz)))
			snprintf(out, size, ",\"argsz\":%u", argsz);
	}
}

/* What came back as JSON fields. */
static void results(const char *name, uint64_t arg, int result, char *out, size_t size)
{
	*out = 0;
	if (!strcmp(name, "GET_STATUS")) {
		struct vfio_group_status status;

		if (result == 0 && peek(&status, arg, sizeof(status)))
			snprintf(out, size, ",\"value\":%u", status.flags);
	} else if (!strcmp(name, "UNMAP_DMA")) {
		struct vfio_iommu_type1_dma_unmap unmap;

		if (result == 0 && peek(&unmap, arg, sizeof(unmap)))
			snprintf(out, size, ",\"unmapped\":\"0x%llx\"", unmap.size);
	} else if (!strcmp(name, "GET_DEVICE_FD")) {
		char made[32] = "";

		if (result >= 0)
			opened(result, DEVICE, made, sizeof(made));
		snprintf(out, size, ",\"made\":\"%s\"", made);
	} else if (!strcmp(name, "GET_INFO")) {
		static _Thread_local uint8_t info[INFO_MAX];
		uint32_t argsz;

		if (result || !peek(&argsz, arg, sizeof(argsz)) || argsz > sizeof(info) || !peek(info, arg, argsz))
			return;
		size_t n = snprintf(out, size, ",\"info\":\"");

		for (uint32_t i = 0; i < argsz && n + 4 < size; i++)
			n += snprintf(out + n, size - n, "%02x", info[i]);
		snprintf(out + n, size - n, "\"");
	}
}

static int recorded_ioctl(enum kind kind, const char *file, int fd, unsigned long request, uint64_t arg)
{
	static _Thread_local char before[512], after[2 * INFO_MAX + 64];
	const char *name = request_name(kind, request);

	if (!name) {
		int result = REAL(ioctl)(fd, request, (void *)(uintptr_t)arg), error = errno;

		line("{\"e\":\"other\",\"kind\":%d,\"request\":%lu,\"errno\":%d}", kind, request, result < 0 ? error : 0);
		errno = error;
		return result;
	}
	arguments(name, arg, before, sizeof(before));
	/* The kernel may never come back from it: the caller dies of a BUG_ON, or hangs. */
	bool mortal = !strcmp(name, "UNMAP_DMA");

	if (mortal)
		line("{\"e\":\"begin\",\"name\":\"%s\",\"file\":\"%s\"%s}", name, file, before);
	int result = REAL(ioctl)(fd, request, (void *)(uintptr_t)arg), error = errno;

	results(name, arg, result, after, sizeof(after));
	line("{\"e\":\"ioctl\",\"name\":\"%s\",\"file\":\"%s\"%s,\"result\":%d,\"errno\":%d%s}", name, file, before, result,
	     result < 0 ? error : 0, after);
	errno = error;
	return result;
}

int on_ioctl(int fd, unsigned long request, uint64_t arg)
{
	char name[32];
	enum kind kind = file_of(fd, name, sizeof(name));

	if (kind == NONE)
		return REAL(ioctl)(fd, request, (void *)(uintptr_t)arg);
	return recorded_ioctl(kind, name, fd, request, arg);
}
