/*
 * Every ioctl with right and wrong arguments. Group 0 is a PCI device 0000:01:00.0, group 1 an mdev "m0".
 */
#include "check.h"
#include <sys/stat.h>
#include <sys/eventfd.h>

#define GROUP "/dev/vfio/0"
#define NAME "0000:01:00.0"

static void containers(void)
{
	int c = open("/dev/vfio/vfio", O_RDWR);
	struct vfio_iommu_type1_info info = { .argsz = 8 };

	show("version", ioctl(c, VFIO_GET_API_VERSION));
	for (int i = 0; i <= 11; i++) {
		char name[16];

		snprintf(name, sizeof(name), "extension-%d", i);
		show(name, ioctl(c, VFIO_CHECK_EXTENSION, i));
	}
	show("extension-64-bits", ioctl(c, VFIO_CHECK_EXTENSION, (1ul << 32) + 1));
	show("set-iommu-without-group", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	show("map-without-iommu", map(c, 0, memory(PAGE), PAGE, 3));
	show("map-bad-pointer-without-iommu", ioctl(c, VFIO_IOMMU_MAP_DMA, BAD));
	show("info-argsz-without-iommu", ioctl(c, VFIO_IOMMU_GET_INFO, &info));
	show("unknown-without-iommu", ioctl(c, VFIO_IOMMU_ENABLE));
	show("group-ioctl-on-container", ioctl(c, VFIO_GROUP_GET_STATUS, BAD));
	close(c);
	show("closed", ioctl(c, VFIO_GET_API_VERSION));
}

static void groups(void)
{
	struct vfio_group_status status = { .argsz = 4 };
	int c = open("/dev/vfio/vfio", O_RDWR), g = open(GROUP, O_RDWR), file = open("/dev/null", O_RDWR), none = 999;
	char longest[PAGE + 16];

	show("open-twice", open(GROUP, O_RDWR));
	show("open-missing", open("/dev/vfio/77", O_RDWR));
	show("status-pointer", ioctl(g, VFIO_GROUP_GET_STATUS, BAD));
	show("status-argsz", ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	status.argsz = 8;
	show("status", ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	show_hex("status-flags", status.flags);
	show("set-container-pointer", ioctl(g, VFIO_GROUP_SET_CONTAINER, BAD));
	show("set-container-closed", ioctl(g, VFIO_GROUP_SET_CONTAINER, &none));
	show("set-container-other-file", ioctl(g, VFIO_GROUP_SET_CONTAINER, &file));
	show("set-container-group", ioctl(g, VFIO_GROUP_SET_CONTAINER, &g));
	show("unset-without", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	show("device-without-container", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME));
	show("device-name-first", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "0000:77:00.0"));
	show("set-container", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	show("set-container-again", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	show("set-container-again-other-file", ioctl(g, VFIO_GROUP_SET_CONTAINER, &file));
	show("status-set", ioctl(g, VFIO_GROUP_GET_STATUS, &status));
	show_hex("status-set-flags", status.flags);
	int early = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);

	show_ok("device-without-iommu", early);
	if (early >= 0)
		close(early);
	show("set-iommu-8", ioctl(c, VFIO_SET_IOMMU, 8));
	show("set-iommu-9", ioctl(c, VFIO_SET_IOMMU, 9));
	show("set-iommu", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	show("set-iommu-again", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	show("device-pointer", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, BAD));
	memset(longest, 'a', sizeof(longest));
	show("device-name-too-long", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, longest));
	int d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME), again = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);

	show_ok("device", d);
	show_ok("device-again", again);
	show("cloexec", fcntl(d, F_GETFD));
	show("unset-with-device", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	show("unknown", ioctl(g, VFIO_DEVICE_RESET));
	close(d);
	show("unset-with-second", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	close(again);
	show("unset", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	close(g);
	close(c);
}

static void maps(void)
{
	struct vfio_iommu_type1_dma_map arg = { .argsz = 31, .flags = 3, .size = PAGE };
	struct vfio_iommu_type1_dma_unmap un = { .argsz = 23, .size = PAGE };
	char *at = memory(16 * PAGE), *hole = memory(2 * PAGE), *readable = memory(PAGE);
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU);

	munmap(hole + PAGE, PAGE);
	mprotect(readable, PAGE, PROT_READ);
	show("map-pointer", ioctl(c, VFIO_IOMMU_MAP_DMA, BAD));
	show("map-argsz", ioctl(c, VFIO_IOMMU_MAP_DMA, &arg));
	show("map-flags-0", map(c, 0, at, PAGE, 0));
	show("map-flags-8", map(c, 0, at, PAGE, 11));
	show("map-size-0", map(c, 0, at, 0, 3));
	show("map-misaligned", map(c, 1, at, PAGE, 3));
	show("map-wraps", map(c, -PAGE, at, 2 * PAGE, 3));
	show("map-reserved", map(c, 0xfee00000, at, PAGE, 3));
	show("map-beyond-width", map(c, 1ul << 39, at, PAGE, 3));
	show("map", map(c, 0, at, 16 * PAGE, 3));
	show("map-overlap", map(c, PAGE, at, PAGE, 3));
	show("map-hole", map(c, 0x100000, hole, 2 * PAGE, 3));
	show("map-nothing", map(c, 0x100000, BAD - 8 + PAGE, PAGE, 3));
	show("map-not-writable", map(c, 0x100000, readable, PAGE, 3));
	show("map-read-only", map(c, 0x100000, readable, PAGE, 1));
	show("unmap-pointer", ioctl(c, VFIO_IOMMU_UNMAP_DMA, BAD));
	show("unmap-argsz", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &un));
	show("unmap-flags-8", unmap(c, 0, PAGE, 8));
	show("unmap-size-0", unmap(c, 0, 0, 0));
	show("unmap-bisects", unmap(c, 0, PAGE, 0));
	show("unmap-nothing", unmap(c, 0x200000, PAGE, 0));
	show("unmap", unmap(c, 0, 16 * PAGE, 0));
	show("unmap-all", unmap(c, 0, 0, 2));
	show("map-3-again", map(c, 0, at, PAGE, 3));
	/* The result cannot be given back: EFAULT, and the mapping is gone. */
	struct vfio_iommu_type1_dma_unmap *read_only = memory(PAGE);

	read_only->argsz = sizeof(*read_only);
	read_only->size = PAGE;
	mprotect(read_only, PAGE, PROT_READ);
	show("unmap-read-only-argument", ioctl(c, VFIO_IOMMU_UNMAP_DMA, read_only));
	show("unmap-after-it", unmap(c, 0, PAGE, 0));
	close(g);
	close(c);
}

static void infos(void)
{
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[512];
	} u;
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU);

	show("info-pointer", ioctl(c, VFIO_IOMMU_GET_INFO, BAD));
	for (unsigned argsz = 15; argsz <= 24; argsz++) {
		char name[32];

		memset(&u, 0xee, sizeof(u));
		u.info.argsz = argsz;
		snprintf(name, sizeof(name), "info-argsz-%u", argsz);
		show(name, ioctl(c, VFIO_IOMMU_GET_INFO, &u));
		unsigned written = sizeof(u);

		while (written > 0 && u.bytes[written - 1] == 0xee)
			written--;
		printf("%s-bytes %u wants %u\n", name, written, u.info.argsz);
	}
	memset(&u, 0, sizeof(u));
	u.info.argsz = sizeof(u);
	show("info", ioctl(c, VFIO_IOMMU_GET_INFO, &u));
	show_hex("info-flags", u.info.flags);
	show_hex("info-pages", u.info.iova_pgsizes);
	for (uint32_t at = u.info.cap_offset; at;) {
		struct vfio_info_cap_header *head = (void *)(u.bytes + at);

		printf("capability-%u at %u version %u\n", head->id, at, head->version);
		at = head->next;
	}
	close(g);
	close(c);
}

static long dirty(int c, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap arg = { .argsz = sizeof(arg), .flags = flags };

	return ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &arg);
}

static long dirty_get(int c, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t bytes, void *data)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = { { .argsz = sizeof(arg), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP },
		  { iova, size, { page_size, bytes, data } } };

	return ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &arg);
}

static void dirties(void)
{
	uint64_t bits[8] = { 0 };
	char *at = memory(128 * PAGE);
	int g, c = attached(&g, 0, VFIO_TYPE1_IOMMU);

	show("dirty-v1-pointer", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, BAD));
	close(g);
	close(c);
	c = attached(&g, 0, VFIO_TYPE1v2_IOMMU);
	show("dirty-pointer", ioctl(c, VFIO_IOMMU_DIRTY_PAGES, BAD));
	show("dirty-flags-0", dirty(c, 0));
	show("dirty-flags-3", dirty(c, 3));
	show("dirty-get-off", dirty_get(c, 0, PAGE, PAGE, 8, bits));
	show("dirty-start", dirty(c, 1));
	show("map-a", map(c, 0x3000, at, PAGE, 3));
	show("map-b", map(c, 0x40000, at, 64 * PAGE, 3));
	show("dirty-get-page-size", dirty_get(c, 0, PAGE, 8192, 8, bits));
	show("dirty-get-small", dirty_get(c, 0, 128 * PAGE, PAGE, 8, bits));
	show("dirty-get-bisects", dirty_get(c, 0x40000, PAGE, PAGE, 8, bits));
	bits[0] = 0xf000;
	bits[1] = 0xff;
	bits[2] = 0xff;
	show("dirty-get", dirty_get(c, 0, 192 * PAGE, PAGE, 24, bits));
	show_hex("word-0", bits[0]);
	show_hex("word-1", bits[1]);
	show_hex("word-2", bits[2]);
	show("dirty-get-bad-data", dirty_get(c, 0, 192 * PAGE, PAGE, 24, BAD));
	show("dirty-get-kernel-data", dirty_get(c, 0, 192 * PAGE, PAGE, 24, (void *)-4096ul));
	struct {
		struct vfio_iommu_type1_dma_unmap head;
		struct vfio_bitmap bitmap;
	} un = { { .argsz = sizeof(un.head), .flags = 1, .iova = 0x3000, .size = PAGE }, { PAGE, 8, (void *)bits } };

	show("unmap-dirty-argsz", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &un));
	un.head.argsz = sizeof(un);
	un.bitmap.data = BAD;
	show("unmap-dirty-bad-data", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &un));
	un.bitmap.data = (void *)bits;
	bits[0] = 0;
	un.head.size = PAGE;
	show("unmap-dirty", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &un));
	show_hex("unmap-dirty-size", un.head.size);
	show_hex("unmap-dirty-word", bits[0]);
	show("dirty-stop", dirty(c, 2));
	show("unmap-dirty-off", ioctl(c, VFIO_IOMMU_UNMAP_DMA, &un));
	close(g);
	close(c);
}

static long irqs(int d, uint32_t index, uint32_t flags, uint32_t start, uint32_t count, const void *data, size_t size)
{
	uint8_t bytes[sizeof(struct vfio_irq_set) + 64];
	struct vfio_irq_set *set = (void *)bytes;

	*set = (struct vfio_irq_set){ sizeof(*set) + size, flags, index, start, count };
	memcpy(set->data, data, size);
	return ioctl(d, VFIO_DEVICE_SET_IRQS, set);
}

static void devices(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);
	struct vfio_device_info info = { .argsz = 15 };
	struct vfio_region_info region = { .argsz = 31 };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_device_feature feature = { .argsz = 8, .flags = VFIO_DEVICE_FEATURE_GET | 1 };
	uint32_t id = 0, ones = ~0u;
	int event = eventfd(0, EFD_NONBLOCK);
	uint64_t count;

	show("device-info-argsz", ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	info.argsz = sizeof(info);
	show("device-info", ioctl(d, VFIO_DEVICE_GET_INFO, &info));
	printf("device-info-counts %u %u flags 0x%x\n", info.num_regions, info.num_irqs, info.flags);
	show("region-argsz", ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &region));
	region.argsz = sizeof(region);
	for (region.index = 0; region.index <= 9; region.index++) {
		char name[32];

		snprintf(name, sizeof(name), "region-%u", region.index);
		if (show(name, ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &region)) == 0)
			printf("%s-is 0x%llx flags 0x%x\n", name, region.size, region.flags);
	}
	show("config-read", pread(d, &id, 4, 7ul << 40));
	show_hex("config-id", id);
	show("config-write-bar", pwrite(d, &ones, 4, (7ul << 40) + 0x10));
	pread(d, &id, 4, (7ul << 40) + 0x10);
	show_hex("config-bar-mask", id);
	volatile uint32_t *bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);

	bar[5] = 0x1234;
	pread(d, &id, 4, 20);
	show_hex("bar-read-after-mapped-write", id);
	munmap((void *)bar, PAGE);
	for (irq.index = 0; irq.index <= 5; irq.index++) {
		char name[32];

		irq.count = 99;
		snprintf(name, sizeof(name), "irq-%u", irq.index);
		if (show(name, ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &irq)) == 0)
			printf("%s-is %u flags 0x%x\n", name, irq.count, irq.flags);
	}
	show("irq-no-data-type", irqs(d, 0, 0x20, 0, 1, NULL, 0));
	show("irq-two-data-types", irqs(d, 0, 0x23, 0, 1, NULL, 0));
	show("irq-beyond", irqs(d, 1, 0x24, 4, 1, &event, 4));
	show("irq-short", irqs(d, 1, 0x24, 0, 1, NULL, 0));
	show("irq-trigger-without", irqs(d, 0, 0x21, 0, 1, NULL, 0));
	show("irq-not-eventfd", irqs(d, 0, 0x24, 0, 1, &c, 4));
	show("irq-intx", irqs(d, 0, 0x24, 0, 1, &event, 4));
	show("irq-msi-beside-intx", irqs(d, 1, 0x24, 0, 1, &event, 4));
	show("irq-intx-trigger", irqs(d, 0, 0x21, 0, 1, NULL, 0));
	show("irq-seen", read(event, &count, 8) == 8 ? (long)count : -1);
	show("irq-intx-off", irqs(d, 0, 0x21, 0, 0, NULL, 0));
	show("irq-msi-mask", irqs(d, 1, 0x09, 0, 1, NULL, 0));
	show("irq-msi", irqs(d, 1, 0x24, 0, 1, &event, 4));
	show("irq-request", irqs(d, 4, 0x24, 0, 1, &event, 4));
	show("reset", ioctl(d, VFIO_DEVICE_RESET));
	show("feature", ioctl(d, VFIO_DEVICE_FEATURE, &feature));
	feature.argsz = 7;
	show("feature-argsz", ioctl(d, VFIO_DEVICE_FEATURE, &feature));
	show("unknown", ioctl(d, VFIO_DEVICE_IOEVENTFD, BAD));
	show("hot-reset-info-small", ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &(struct vfio_pci_hot_reset_info){ .argsz = 12 }));
	union {
		struct vfio_pci_hot_reset head;
		int32_t words[4];
	} reset = { { .argsz = 16, .count = 1 } };

	reset.words[3] = g;
	show("hot-reset", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &reset));
	reset.words[3] = c;
	show("hot-reset-not-a-group", ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &reset));
	close(d);
	close(g);
	close(c);
}

/* /dev/iommu as a container, and what it is besides. */
static void iommufd(void)
{
	struct stat st;
	int f = open("/dev/iommu", O_RDWR), g = open(GROUP, O_RDWR);

	show("stat", stat("/dev/iommu", &st));
	if (show_ok("open", f) < 0)
		return;
	show("version", ioctl(f, VFIO_GET_API_VERSION));
	show("extension", ioctl(f, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	show("map-before-group", map(f, 0, memory(PAGE), PAGE, 3));
	show("set-container", ioctl(g, VFIO_GROUP_SET_CONTAINER, &f));
	show("set-iommu", ioctl(f, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	show("map", map(f, 0, memory(PAGE), PAGE, 3));
	show("unmap", unmap(f, 0, PAGE, 0));
	show("ioas-alloc", ioctl(f, _IO(';', 0x81), BAD));
	show("ioas-alloc-again", ioctl(f, _IO(';', 0x81), BAD));
	show("beyond", ioctl(f, _IO(';', 0xff), BAD));
	show("device", open("/dev/vfio/devices/vfio0", O_RDWR));
	close(g);
	close(f);
}

int main(int argc, char **argv)
{
	const struct {
		const char *name;
		void (*run)(void);
	} parts[] = { { "containers", containers }, { "groups", groups }, { "maps", maps },
		      { "infos", infos },	    { "dirties", dirties }, { "devices", devices },
		      { "iommufd", iommufd } };

	for (size_t i = 0; argc > 1 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(argv[1], parts[i].name))
			parts[i].run();
	return 0;
}
