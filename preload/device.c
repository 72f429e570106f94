/* The ioctls of a device that buses share: features and interrupts. */
#include "shim.h"
#include <sys/eventfd.h>

#define FEATURE_SIZE 8
#define INFO_SIZE 16
#define IRQ_INFO_SIZE 16
#define IRQ_SET_SIZE 20
#define IRQ_DATA (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define IRQ_ACTION (VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

/* Makes a call on a device of the service in the name of who has the file. `more` are its arguments, each with a comma before it. */
int device_post(const struct vfile *file, const char *device, const char *call, const char *more, struct reply *reply)
{
	char args[512];

	snprintf(args, sizeof(args), "\"process\":\"%s\"%s", file_holder(file), more);
	http_call_on(reply, "device", device, call, args);
	return settle(reply);
}

/* VFIO_DEVICE_GET_INFO of a device that has no capabilities. */
int device_info(uint64_t arg, uint32_t flags, unsigned regions, unsigned irqs)
{
	struct vfio_device_info info = { 0 };

	if (from_user(&info, arg, INFO_SIZE))
		return -1;
	if (info.argsz < INFO_SIZE)
		return fails(EINVAL);
	info.flags = flags;
	info.num_regions = regions;
	info.num_irqs = irqs;
	return to_user(arg, &info, INFO_SIZE);
}

/* VFIO_DEVICE_GET_IRQ_INFO of a device that has one interrupt of each kind; that of the kind `fixed` is not resized. */
int single_irq_info(uint64_t arg, unsigned irqs, unsigned fixed)
{
	struct vfio_irq_info info;

	if (from_user(&info, arg, IRQ_INFO_SIZE))
		return -1;
	if (info.argsz < IRQ_INFO_SIZE || info.index >= irqs)
		return fails(EINVAL);
	info.count = 1;
	info.flags = VFIO_IRQ_INFO_EVENTFD | (info.index == fixed ? VFIO_IRQ_INFO_NORESIZE : 0);
	return to_user(arg, &info, IRQ_INFO_SIZE);
}

/* VFIO_DEVICE_FEATURE: a device that has none of them, migration and DMA logging included. */
static int feature(uint64_t arg)
{
	struct vfio_device_feature head;
	uint32_t how = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;

	if (from_user(&head, arg, FEATURE_SIZE))
		return -1;
	if (head.argsz < FEATURE_SIZE)
		return fails(EINVAL);
	if (head.flags & ~(VFIO_DEVICE_FEATURE_MASK | how | VFIO_DEVICE_FEATURE_PROBE))
		return fails(EINVAL);
	if (!(head.flags & VFIO_DEVICE_FEATURE_PROBE) && (head.flags & how) == how)
		return fails(EINVAL);
	return fails(ENOTTY);
}

static void signal_eventfd(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) != sizeof(one)) {
		/* The counter is full: the kernel's signal would not be seen either. */
	}
}

/* A reference of our own to an eventfd; -1 and EBADF, or EINVAL where it is something else. */
static int eventfd_get(int fd)
{
	char path[64], link[64];

	if (fd < 0 || REAL(fcntl)(fd, F_GETFD) < 0)
		return fails(EBADF);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = REAL(readlink)(path, link, sizeof(link) - 1);

	if (n < 0 || strncmp(link, "anon_inode:[eventfd]", n))
		return fails(EINVAL);
	int copy = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -1 : move_high(copy);
}

static void put_eventfd(int *at)
{
	if (*at >= 0)
		REAL(close)(*at);
	*at = -1;
}

/* Replaces the eventfd of a vector; -1 takes it away. */
static int set_eventfd(int *at, int fd)
{
	int copy = -1;

	if (fd >= 0 && (copy = eventfd_get(fd)) < 0)
		return -1;
	put_eventfd(at);
	*at = copy;
	return 0;
}

static void disable(struct vfile *file, unsigned index)
{
	for (unsigned i = 0; i < IRQ_VECTORS; i++)
		put_eventfd(&file->irq[index][i]);
	file->irq_index = file->irq_count = 0;
}

/* vfio_pci_set_ctx_trigger_single: the request interrupt, a subchannel's, an error's. */
static int trigger_single(int *at, const struct vfio_irq_set *set, const void *data)
{
	switch (set->flags & IRQ_DATA) {
	case VFIO_IRQ_SET_DATA_NONE:
		if (*at < 0)
			return fails(EINVAL);
		if (set->count)
			signal_eventfd(*at);
		else
			put_eventfd(at);
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		if (!set->count)
			return fails(EINVAL);
		if (*(const uint8_t *)data)
			signal_eventfd(*at);
		return 0;
	default:
		if (!set->count)
			return fails(EINVAL);
		int fd = *(const int32_t *)data;

		if (fd < -1)
			return fails(EINVAL);
		return set_eventfd(at, fd);
	}
}

/* vfio_ccw_mdev_set_irqs, and the like of vfio-ap: there is only one of each. */
static int trigger_on_s390(int *at, const struct vfio_irq_set *set, const void *data)
{
	if (!(set->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
		return fails(EINVAL);
	switch (set->flags & IRQ_DATA) {
	case VFIO_IRQ_SET_DATA_NONE:
		signal_eventfd(*at);
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		if (*(const uint8_t *)data)
			signal_eventfd(*at);
		return 0;
	default:
		if (*(const int32_t *)data < -1)
			return fails(EINVAL);
		return set_eventfd(at, *(const int32_t *)data);
	}
}

static int intx(struct vfile *file, const struct vfio_irq_set *set, const void *data)
{
	bool enabled = file->irq_index == VFIO_PCI_INTX_IRQ_INDEX + 1;
	uint32_t type = set->flags & IRQ_DATA, action = set->flags & IRQ_ACTION;
	int *at = &file->irq[VFIO_PCI_INTX_IRQ_INDEX][0];

	if (action != VFIO_IRQ_SET_ACTION_TRIGGER) {
		if (!enabled || set->start != 0 || set->count != 1)
			return fails(EINVAL);
		if (type != VFIO_IRQ_SET_DATA_EVENTFD)
			return 0;
		if (action == VFIO_IRQ_SET_ACTION_MASK)
			return fails(ENOTTY);
		int fd = *(const int32_t *)data;

		/* The eventfd by which the guest unmasks: it is accepted, there is no line to unmask. */
		if (fd < 0)
			return 0;
		int copy = eventfd_get(fd);

		if (copy < 0)
			return -1;
		REAL(close)(copy);
		return 0;
	}
	if (enabled && !set->count && type == VFIO_IRQ_SET_DATA_NONE) {
		disable(file, VFIO_PCI_INTX_IRQ_INDEX);
		return 0;
	}
	if ((file->irq_index && !enabled) || set->start != 0 || set->count != 1)
		return fails(EINVAL);
	if (type == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (set_eventfd(at, *(const int32_t *)data))
			return -1;
		file->irq_index = VFIO_PCI_INTX_IRQ_INDEX + 1;
		file->irq_count = 1;
		return 0;
	}
	if (!enabled)
		return fails(EINVAL);
	if (type == VFIO_IRQ_SET_DATA_NONE || *(const uint8_t *)data)
		signal_eventfd(*at);
	return 0;
}

static int msi(struct vfile *file, const struct vfio_irq_set *set, const void *data)
{
	bool enabled = file->irq_index == set->index + 1;
	uint32_t type = set->flags & IRQ_DATA, end = set->start + set->count;
	int *vectors = file->irq[set->index];

	if ((set->flags & IRQ_ACTION) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return fails(ENOTTY);
	if (enabled && !set->count && type == VFIO_IRQ_SET_DATA_NONE) {
		disable(file, set->index);
		return 0;
	}
	if (file->irq_index && !enabled)
		return fails(EINVAL);
	if (type == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (enabled && end > file->irq_count && !kernel_at_least(6, 4))
			return fails(EINVAL);
		for (uint32_t i = 0; i < set->count; i++) {
			if (set_eventfd(&vectors[set->start + i], ((const int32_t *)data)[i]) == 0)
				continue;
			int error = errno;

			while (i > 0)
				put_eventfd(&vectors[set->start + --i]);
			if (!enabled)
				disable(file, set->index);
			return fails(error);
		}
		file->irq_index = set->index + 1;
		if (end > file->irq_count)
			file->irq_count = end;
		return 0;
	}
	if (!enabled || (end > file->irq_count && !kernel_at_least(6, 4)))
		return fails(EINVAL);
	for (uint32_t i = 0; i < set->count; i++)
		if (type == VFIO_IRQ_SET_DATA_NONE || ((const uint8_t *)data)[i])
			signal_eventfd(vectors[set->start + i]);
	return 0;
}

static int request_irq(struct vfile *file, const struct vfio_irq_set *set, const void *data)
{
	if ((set->flags & IRQ_ACTION) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return fails(ENOTTY);
	if (set->start != 0 || set->count > 1)
		return fails(EINVAL);
	return trigger_single(&file->irq[set->index][0], set, data);
}

static int set_pci_irqs(struct vfile *file, const struct vfio_irq_set *set, const void *data)
{
	switch (set->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return intx(file, set, data);
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return msi(file, set, data);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return request_irq(file, set, data);
	}
	return fails(ENOTTY);
}

/*
 * VFIO_DEVICE_SET_IRQS (vfio_set_irqs_validate_and_prepare).
 *
 * `counts` has the number of interrupts of each of the `indexes`.
 */
int set_irqs(struct vfile *file, uint64_t arg, const unsigned *counts, unsigned indexes)
{
	struct vfio_irq_set set;
	uint8_t data[IRQ_VECTORS * sizeof(int32_t)] = { 0 };
	size_t size;

	if (from_user(&set, arg, IRQ_SET_SIZE))
		return -1;
	if (set.argsz < IRQ_SET_SIZE || set.index >= indexes || set.count >= UINT32_MAX - set.start ||
	    set.flags & ~(uint32_t)(IRQ_DATA | IRQ_ACTION))
		return fails(EINVAL);
	unsigned most = counts[set.index];

	if (set.start >= most || set.start + set.count > most)
		return fails(EINVAL);
	switch (set.flags & IRQ_DATA) {
	case VFIO_IRQ_SET_DATA_NONE:
		size = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(int32_t);
		break;
	default:
		return fails(EINVAL);
	}
	if (set.argsz - IRQ_SET_SIZE < set.count * size)
		return fails(EINVAL);
	if (size && set.count && from_user(data, arg + IRQ_SET_SIZE, set.count * size))
		return -1;
	if (file->shared->api != API_PCI)
		return trigger_on_s390(&file->irq[set.index][0], &set, data);
	return set_pci_irqs(file, &set, data);
}

/* An ioctl on a device, as ioctl returns. */
int device_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	if (request == VFIO_DEVICE_FEATURE)
		return feature(arg);
	switch ((enum api)file->shared->api) {
	case API_CCW:
		return ccw_ioctl(file, request, arg);
	case API_AP:
		return ap_ioctl(file, request, arg);
	default:
		return pci_ioctl(file, request, arg);
	}
}
