/*
 * A PCI device as vfio-pci shows it: a small conventional one. Its configuration space and its BARs are plain memory at the
 * offsets of their regions in the device's memfd; what there is of them is said by its folder below /sys.
 */
#include "shim.h"
#include <limits.h>

#define INFO_SIZE 16
#define REGION_SIZE 32
#define IRQ_INFO_SIZE 16
#define HOT_RESET_SIZE 12
#define CONFIG_SIZE 256
#define DEFAULT_BAR0 0x100000
#define MSI_CAPABILITY 5

/* What a device is that nobody has described: QEMU's "edu", with a BAR of 1 MiB and one MSI vector. */
static const uint8_t EDU[CONFIG_SIZE] = {
	[0x00] = 0x34, 0x12, 0xe8, 0x11, [0x04] = 0x03, 0x01, 0x10, 0x00, [0x08] = 0x10, 0x00, 0xff, 0x00,
	[0x13] = 0xfe, [0x2c] = 0xf4, 0x1a, 0x00, 0x11, [0x34] = 0x40, [0x3d] = 0x01,
	[0x40] = MSI_CAPABILITY, 0x00, 0x80, 0x00,
};

static FILE *open_attribute(const char *name, const char *attribute)
{
	char path[PATH_MAX];

	if (!shim.root)
		return NULL;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", shim.root, name, attribute);
	return REAL(fopen)(path, "re");
}

/* Vectors of the MSI capability; 0 where there is none. */
static unsigned msi_vectors(const uint8_t *config)
{
	unsigned at = config[0x34];

	for (int i = 0; at >= 0x40 && at < 0xfc && i < 48; i++, at = config[at + 1])
		if (config[at] == MSI_CAPABILITY)
			return 1u << ((config[at + 2] >> 1) & 7);
	return 0;
}

/* Fills in what a device is, and its configuration space (4096 bytes). */
void pci_describe(struct shared *made, uint8_t *config, const char *name)
{
	FILE *file = open_attribute(name, "config");
	unsigned long long start, end, flags;

	made->config = CONFIG_SIZE;
	if (file) {
		made->config = fread(config, 1, 4096, file);
		fclose(file);
	} else {
		memcpy(config, EDU, sizeof(EDU));
	}
	file = open_attribute(name, "resource");
	if (file) {
		for (int i = 0; i < 6 && fscanf(file, "%llx %llx %llx", &start, &end, &flags) == 3; i++)
			made->bar[i] = end ? end - start + 1 : 0;
		fclose(file);
	} else {
		made->bar[0] = DEFAULT_BAR0;
	}
	made->msi = msi_vectors(config);
	made->intx = config[0x3d] != 0;
	made->bus_reset = strncmp(name + 4, ":00:", 4) != 0;
}

static unsigned irq_count(const struct shared *device, unsigned index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return device->intx;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return device->msi < IRQ_VECTORS ? device->msi : IRQ_VECTORS;
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	}
	return 0;
}

static int get_info(uint64_t arg)
{
	/* The struct grew to 20 bytes with capabilities, and to 24 in 6.6; a device without any leaves them 0. */
	struct {
		uint32_t argsz, flags, num_regions, num_irqs, cap_offset, pad;
	} info = { 0 };
	size_t size = kernel_at_least(6, 6) ? 24 : 20;

	if (from_user(&info, arg, INFO_SIZE))
		return -1;
	if (info.argsz < INFO_SIZE)
		return fails(EINVAL);
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	if (info.argsz < size)
		size = kernel_at_least(6, 1) || info.argsz >= 20 ? info.argsz : INFO_SIZE;
	return to_user(arg, &info, size);
}

static int get_region_info(const struct shared *device, uint64_t arg)
{
	struct vfio_region_info info;

	if (from_user(&info, arg, REGION_SIZE))
		return -1;
	if (info.argsz < REGION_SIZE || info.index >= VFIO_PCI_VGA_REGION_INDEX)
		return fails(EINVAL);
	info.flags = 0;
	info.size = 0;
	info.cap_offset = 0;
	info.offset = (uint64_t)info.index << 40;
	if (info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info.size = device->config;
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	} else if (info.index < 6 && device->bar[info.index]) {
		info.size = device->bar[info.index];
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		if (info.size >= 4096)
			info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	}
	return to_user(arg, &info, REGION_SIZE);
}

static int get_irq_info(const struct shared *device, uint64_t arg)
{
	struct vfio_irq_info info;

	if (from_user(&info, arg, IRQ_INFO_SIZE))
		return -1;
	if (info.argsz < IRQ_INFO_SIZE || info.index >= VFIO_PCI_NUM_IRQS)
		return fails(EINVAL);
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX)
		return fails(EINVAL); /* a conventional device reports no errors */
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = irq_count(device, info.index);
	info.flags |= info.index == VFIO_PCI_INTX_IRQ_INDEX ? VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED :
							      VFIO_IRQ_INFO_NORESIZE;
	return to_user(arg, &info, IRQ_INFO_SIZE);
}

static int hot_reset_info(const struct shared *device, uint64_t arg)
{
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device itself = { .group_id = device->group };
	unsigned domain = 0, bus = 0, slot = 0, function = 0;

	if (from_user(&info, arg, HOT_RESET_SIZE))
		return -1;
	if (info.argsz < HOT_RESET_SIZE)
		return fails(EINVAL);
	if (!device->bus_reset)
		return fails(ENODEV);
	info.flags = 0;
	info.count = 1;
	if (info.argsz < HOT_RESET_SIZE + sizeof(itself)) {
		if (to_user(arg, &info, HOT_RESET_SIZE))
			return -1;
		return fails(ENOSPC);
	}
	if (sscanf(device->id, "%4x-%2x-%2x.%1u", &domain, &bus, &slot, &function) != 4) {
		bus = (device->group / 31) & 0xff;
		slot = device->group % 31 + 1;
	}
	itself.segment = domain;
	itself.bus = bus;
	itself.devfn = slot << 3 | function;
	if (to_user(arg, &info, HOT_RESET_SIZE))
		return -1;
	return to_user(arg + HOT_RESET_SIZE, &itself, sizeof(itself));
}

/* VFIO_DEVICE_PCI_HOT_RESET: whoever resets a bus shows that all its groups are theirs. */
static int hot_reset(const struct shared *device, uint64_t arg)
{
	struct vfio_pci_hot_reset reset;
	bool owned = false;

	if (from_user(&reset, arg, HOT_RESET_SIZE))
		return -1;
	if (reset.argsz < HOT_RESET_SIZE || reset.flags)
		return fails(EINVAL);
	if (!device->bus_reset)
		return fails(ENODEV);
	if (reset.count == 0 || reset.count > 1)
		return fails(EINVAL);
	for (uint32_t i = 0; i < reset.count; i++) {
		int32_t fd;

		if (from_user(&fd, arg + HOT_RESET_SIZE + i * sizeof(fd), sizeof(fd)))
			return -1;
		if (fd < 0 || REAL(fcntl)(fd, F_GETFD) < 0)
			return fails(EBADF);
		struct vfile *group = file_get(fd);
		bool is = group && group->shared->kind == GROUP;

		owned |= is && group->shared->group == device->group;
		if (group)
			file_put(group);
		if (!is)
			return fails(EINVAL);
	}
	return owned ? 0 : fails(EINVAL);
}

/* An ioctl on a PCI device, as ioctl returns. */
int pci_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	const struct shared *device = file->shared;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(device, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(device, arg);
	case VFIO_DEVICE_SET_IRQS: {
		unsigned counts[VFIO_PCI_NUM_IRQS];

		for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
			counts[i] = irq_count(device, i);
		return set_irqs(file, arg, counts, VFIO_PCI_NUM_IRQS);
	}
	case VFIO_DEVICE_RESET:
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(device, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return hot_reset(device, arg);
	}
	return unknown_ioctl(file, request, ENOTTY);
}
